"""Approvals of a node."""
