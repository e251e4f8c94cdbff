"""Tests of sync.proto."""
