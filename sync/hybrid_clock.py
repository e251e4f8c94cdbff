"""Hybrid logical time: wall-clock milliseconds that never run backwards past what was seen.

A time is one integer: milliseconds since 1970 shifted left by 16, plus a counter that tells apart
what happens within one millisecond (Kulkarni and others 2014, "Logical Physical Clocks").
"""

from typing import Final

COUNTER_BITS: Final = 16
TIME_MAX: Final = (1 << 63) - 1  # so that it fits a signed column
AHEAD_MS_MAX: Final = 5 * 60 * 1000  # the clock skew the whole mesh tolerates


def time_at(wall_ms: int) -> int:
    """The first hybrid time of a millisecond."""
    return max(0, wall_ms) << COUNTER_BITS


def wall_of(time: int) -> int:
    """The milliseconds of a hybrid time."""
    return time >> COUNTER_BITS


def due_until(wall_ms: int) -> int:
    """The last hybrid time that the view shows now; what lies later waits."""
    return time_at(wall_ms + AHEAD_MS_MAX + 1) - 1


class HybridClock:
    """Gives times for our entries that lie after those of the entries we have seen."""

    def __init__(self, last: int = 0) -> None:
        self._last = last

    def saw(self, *times: int, wall_ms: int) -> None:
        """Entries carry these times; what lies more than 5 minutes ahead is ignored."""
        due = due_until(wall_ms)
        self._last = max(self._last, max((time for time in times if time <= due), default=0))

    def tick(self, wall_ms: int) -> int:
        """The time of our next entry."""
        # When our own clock was set back by more than the tolerance, going on from
        # the old time would hide every new entry from the view: start from the wall.
        if self._last > due_until(wall_ms):
            self._last = 0
        self._last = max(self._last + 1, time_at(wall_ms))
        return self._last
