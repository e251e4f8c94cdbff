"""The secrets broker: values at rest, and into requests at the last moment."""
