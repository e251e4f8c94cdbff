"""Tests of akshi_mesh.transport."""
