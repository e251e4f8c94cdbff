"""Where agents are begun, built and looked at. No node is needed for any of it."""
