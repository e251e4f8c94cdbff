"""Fetchers for the tests of this folder."""

from tests.sandbox.net.world import fetcher_for

__all__ = ("fetcher_for",)
