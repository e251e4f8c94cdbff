"""What strangers may cost: half-open connections, and lines in the log. No I/O.

TCP has already proven the source address. Loopback is exempt from what is counted per
source, as all users of the machine share it.
"""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

HALF_OPEN_MAX: Final = 64  # when full the oldest one without message 1 makes room, else the oldest
HALF_OPEN_PER_SOURCE_MAX: Final = 4
ARRIVALS_PER_S_MAX: Final = 20
SOURCES_MAX: Final = 1_024  # the least recently seen is forgotten, and starts afresh
NAMED_EVERY_S: Final = 600.0
LINES_PER_MINUTE_MAX: Final = 10
NAMES_MAX: Final = 1_024
GRANT_LOOKS_PER_S_MAX: Final = 50  # each costs a Diffie-Hellman and at most four verifications
GRANT_LOOKS_PER_SOURCE_MAX: Final = 4  # at once, then one a second; not for loopback


def source_of(host: str) -> str | None:
    """What connections are counted by: an IPv4 address or an IPv6 /64; None for loopback."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback:
        return None
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))


@dataclass(slots=True)
class _HalfOpen:
    source: str | None
    has_hailed: bool = False


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(frozen=True, slots=True)
class Admitted:
    """It may go on; `dropped` is the ticket that had to make room."""

    ticket: int
    dropped: int | None = None


class HalfOpen:
    """Connections whose handshake is not over."""

    def __init__(self) -> None:
        self._open: OrderedDict[int, _HalfOpen] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._last_ticket = 0

    def __len__(self) -> int:
        return len(self._open)

    def arrive(self, source: str | None, now: float) -> Admitted | str:
        """A connection was accepted: a ticket for it, or why it is closed at once."""
        if source is not None:
            if sum(half.source == source for half in self._open.values()) >= (
                HALF_OPEN_PER_SOURCE_MAX
            ):
                return "too many handshakes at once"
            if not self._spend(source, now):
                return "too many connections a second"
        dropped = self._oldest() if len(self._open) >= HALF_OPEN_MAX else None
        if dropped is not None:
            del self._open[dropped]
        self._last_ticket += 1
        self._open[self._last_ticket] = _HalfOpen(source)
        return Admitted(self._last_ticket, dropped)

    def hailed(self, ticket: int) -> None:
        """Message 1 of a trusted key is there."""
        if ticket in self._open:
            self._open[ticket].has_hailed = True

    def leave(self, ticket: int) -> None:
        """Its handshake is over, one way or the other."""
        self._open.pop(ticket, None)

    def _oldest(self) -> int:
        for ticket, half in self._open.items():
            if not half.has_hailed:
                return ticket
        return next(iter(self._open))

    def _spend(self, source: str, now: float) -> bool:
        bucket = self._buckets.setdefault(source, _Bucket(ARRIVALS_PER_S_MAX, now))
        self._buckets.move_to_end(source)
        if len(self._buckets) > SOURCES_MAX:
            self._buckets.popitem(last=False)
        return _take(bucket, now, per_s=ARRIVALS_PER_S_MAX, burst=ARRIVALS_PER_S_MAX)


class GrantLooks:
    """How often a grant of somebody unknown is looked at; who is over it stays a stranger."""

    def __init__(self) -> None:
        self._all = _Bucket(GRANT_LOOKS_PER_S_MAX, 0.0)
        self._sources: OrderedDict[str, _Bucket] = OrderedDict()

    def may_look(self, source: str | None, now: float) -> bool:
        """Whether this one is looked at; a yes is counted."""
        if source is not None:
            full = GRANT_LOOKS_PER_SOURCE_MAX
            bucket = self._sources.setdefault(source, _Bucket(full, now))
            self._sources.move_to_end(source)
            if len(self._sources) > SOURCES_MAX:
                self._sources.popitem(last=False)
            if not _take(bucket, now, per_s=1.0, burst=full):
                return False
        return _take(self._all, now, per_s=GRANT_LOOKS_PER_S_MAX, burst=GRANT_LOOKS_PER_S_MAX)


def _take(bucket: _Bucket, now: float, *, per_s: float, burst: float) -> bool:
    bucket.tokens = min(bucket.tokens + (now - bucket.at) * per_s, burst)
    bucket.at = now
    if bucket.tokens < 1:
        return False
    bucket.tokens -= 1
    return True


class StrangerLines:
    """Which lines about strangers are written: one per name and 10 min, ≤ 10 a minute in all."""

    def __init__(self) -> None:
        self._named: OrderedDict[bytes | str, float] = OrderedDict()
        self._minute = 0
        self._lines = 0

    def may_write(self, name: bytes | str, now: float) -> bool:
        """Whether this line is written; a yes is counted."""
        named_at = self._named.get(name)
        if named_at is not None and now - named_at < NAMED_EVERY_S:
            return False
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._lines = minute, 0
        if self._lines >= LINES_PER_MINUTE_MAX:
            return False
        self._lines += 1
        self._named[name] = now
        self._named.move_to_end(name)
        if len(self._named) > NAMES_MAX:
            self._named.popitem(last=False)
        return True
