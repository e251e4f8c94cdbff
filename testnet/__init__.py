"""Many nodes on one machine: a pure simulator, and real processes."""
