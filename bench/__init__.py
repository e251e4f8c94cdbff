"""The numbers we promise, each measured beside its yardstick: ``python -m bench --json``."""
