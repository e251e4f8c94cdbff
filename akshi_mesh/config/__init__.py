"""runtime.toml: what the owner wrote, as values that cannot be wrong."""
