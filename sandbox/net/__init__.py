"""The node's way out: names resolved once, addresses checked, nothing followed unasked."""
