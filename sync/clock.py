"""The two clocks of a machine, read once by its shell and handed in as one value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, twice.

    >>> Moment(mono_s=12.5, wall_ms=1_700_000_000_000).wall_ms
    1700000000000
    """

    mono_s: float  # never jumps: timers and backoff
    wall_ms: int  # milliseconds since 1970-01-01 UTC, may jump: expiry and what people read
