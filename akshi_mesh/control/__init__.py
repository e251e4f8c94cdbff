"""What may be asked of a running node, answered from its parts; one file per command group."""
