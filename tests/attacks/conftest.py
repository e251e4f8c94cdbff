"""What several attacks need."""

from tests.attacks.web import agent_for

__all__ = ("agent_for",)
