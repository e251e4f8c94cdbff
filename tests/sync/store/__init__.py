"""Tests of sync.store."""
