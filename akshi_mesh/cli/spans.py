"""Times as people type them: ``7d``, ``1h30m``, ``2027-01-31``, ``2027-01-31 18:00``."""

import datetime
import re

from akshi_mesh.errors import UsageError

_UNITS_S = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPAN = re.compile(r"(?:\d{1,9}(?:\.\d{1,3})?[wdhms])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")
YEARS_MAX = 100
SPAN_S_MAX = YEARS_MAX * 366 * 86_400


class MalformedTime(UsageError):
    """Neither a span nor a point in time."""

    def __init__(self, text: str, *, want: str) -> None:
        super().__init__(f"time {text[:40]!r}: want {want}")


def span_s(text: str) -> float:
    """Seconds of a span such as ``90s``, ``1h30m`` or ``7d``; more than none.

    Raises:
        MalformedTime: not one.
    """
    if _SPAN.fullmatch(text):
        seconds = sum(float(count) * _UNITS_S[unit] for count, unit in _PART.findall(text))
        if 0 < seconds <= SPAN_S_MAX:
            return seconds
    raise MalformedTime(text, want="30s, 5m, 2h, 7d, 2w or 1h30m")


def until_ms(text: str, *, now_ms: int) -> int:
    """When something ends: a span from now, or a date (its end) or time in this zone.

    Raises:
        MalformedTime: neither, or not in the future.
    """
    if _SPAN.fullmatch(text):
        return now_ms + round(span_s(text) * 1000)
    try:
        point = datetime.datetime.fromisoformat(text)
    except ValueError as failure:
        raise MalformedTime(
            text, want="7d, 2027-01-31, or 2027-01-31T18:00 with or without a zone"
        ) from failure
    try:
        if len(text) == len("2027-01-31"):  # a day is over when it is over
            point += datetime.timedelta(days=1)
        found = round(point.timestamp() * 1000)
    except (OverflowError, ValueError, OSError) as failure:
        raise MalformedTime(text, want="a year that clocks know") from failure
    if not now_ms < found <= now_ms + SPAN_S_MAX * 1000:
        raise MalformedTime(text, want=f"the future, and at most {YEARS_MAX} years of it")
    return found


def past_ms(text: str, *, now_ms: int, ends: bool = False) -> int:
    """A point in time: a span ago, or a date (its start, or its end if `ends`) or time.

    Raises:
        MalformedTime: neither.
    """
    if _SPAN.fullmatch(text):
        return now_ms - round(span_s(text) * 1000)
    try:
        point = datetime.datetime.fromisoformat(text)
        if ends and len(text) == len("2027-01-31"):
            point += datetime.timedelta(days=1)
        return round(point.timestamp() * 1000)
    except (OverflowError, ValueError, OSError) as failure:
        want = "7d (ago), 2026-01-31, or 2026-01-31T18:00 with or without a zone"
        raise MalformedTime(text, want=want) from failure
