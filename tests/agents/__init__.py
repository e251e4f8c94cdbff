"""The example agents and the hostile ones, run without a node."""
