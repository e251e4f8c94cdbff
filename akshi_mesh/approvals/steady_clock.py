"""A wall clock that never goes back and never stands still.

A clock set back must not give an approval a longer life, nor wake one that is over. So
time here is the highest of the wall clock, what was ever stored, and what has passed on
the monotonic clock since the start.
"""

from collections.abc import Callable

from sync.clock import Moment


class SteadyClock:
    """Milliseconds since 1970-01-01 UTC, at least as many as ever before."""

    def __init__(self, clock: Callable[[], Moment], *, stored_ms: int) -> None:
        """`stored_ms` is the highest time that any earlier run has kept."""
        self._clock = clock
        now = clock()
        self._started_s = now.mono_s
        self._started_ms = self._high_ms = max(now.wall_ms, stored_ms)

    def ms(self) -> int:
        """Now."""
        now = self._clock()
        passed_ms = int((now.mono_s - self._started_s) * 1_000)
        self._high_ms = max(self._high_ms, now.wall_ms, self._started_ms + passed_ms)
        return self._high_ms
