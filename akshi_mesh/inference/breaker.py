"""Stop asking a provider that does not answer, and look again after a while.

closed ──5 failures in a row──▶ open ──30 s──▶ one try ──well──▶ closed
                                 ▲                └──failed──┘
"""

from typing import Final

FAILURES_MAX: Final = 5
PAUSE_S: Final = 30.0


class Breaker:
    """For one route."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_until = 0.0

    def is_open(self, now_s: float) -> bool:
        """Whether to ask nobody now. The first who asks after the pause is the try."""
        if self._failures < FAILURES_MAX:
            return False
        if now_s < self._open_until:
            return True
        self._open_until = now_s + PAUSE_S  # others wait for what the try finds out
        return False

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, now_s: float) -> None:
        self._failures += 1
        self._open_until = now_s + PAUSE_S
