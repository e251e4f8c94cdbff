"""Which envelopes are on their way to whom, and when each is offered again.

    in the store ──window──▶ flying ──answered──▶ gone
                               │  ▲
                   link full,  │  │ retry: backoff, or room on the link
                   busy        ▼  │
                             resting

Memory only, and only about live links: what must survive is in the outbox. A link that went down
is forgotten whole; when it is up again everything unanswered is read from the store again, in
order. Bounds: `window` flying envelopes a peer, and no more resting ones than its outbox has rows.
"""

import heapq
import math
from dataclasses import dataclass, field

from sync.proto.task_limits import Limits
from sync.proto.task_ports import Random


@dataclass(slots=True)
class _Try:
    number: int  # in the outbox
    retry_at: float = 0.0
    failures: int = 0
    flying: bool = True
    reason: str = ""  # why the peer does not take it now, in its words


@dataclass(slots=True)
class _Way:
    """The live link to one peer."""

    tries: dict[bytes, _Try] = field(default_factory=dict)
    flying: int = 0
    after: int = 0  # rows of the outbox up to this number were read
    more: bool = True  # there may be rows beyond it
    full: bool = False  # the link said so; until it has room, or a second has passed
    refused: set[bytes] = field(default_factory=set)
    reason: str = ""  # the last one that the peer gave


class Delivery:
    """Bookkeeping of attempts; it neither reads nor sends."""

    def __init__(self, limits: Limits, random: Random) -> None:
        self._limits = limits
        self._random = random
        self._ways: dict[bytes, _Way] = {}
        # When, to whom, and in the order of the outbox.
        self._heap: list[tuple[float, bytes, int, bytes]] = []

    @property
    def deadline(self) -> float:
        while self._heap:
            at, peer, _, id_ = self._heap[0]
            attempt = self._attempt(peer, id_)
            if attempt is not None and attempt.retry_at == at:
                return at
            heapq.heappop(self._heap)  # answered, or moved since
        return math.inf

    def link_up(self, peer: bytes) -> None:
        self._ways[peer] = _Way()

    def link_down(self, peer: bytes) -> None:
        self._ways.pop(peer, None)

    def is_up(self, peer: bytes) -> bool:
        return peer in self._ways

    def up(self) -> list[bytes]:
        return list(self._ways)

    def forget_all(self) -> None:
        """Keep the links, forget the rest; the store is read again."""
        for peer in self._ways:
            self._ways[peer] = _Way()
        self._heap.clear()

    def more(self, peer: bytes) -> None:
        """New rows are in the outbox."""
        if (way := self._ways.get(peer)) is not None:
            way.more = True

    def from_start(self, peer: bytes) -> None:
        """Rows that were read before may want to be offered again."""
        if (way := self._ways.get(peer)) is not None:
            way.after, way.more = 0, True

    def room(self, peer: bytes) -> tuple[int, int]:
        """How many rows may be read for this peer now, and after which number."""
        way = self._ways.get(peer)
        if way is None or way.full or not way.more:
            return 0, 0
        return max(0, self._limits.window - way.flying), way.after

    def read(self, peer: bytes, number: int) -> None:
        """The rows up to `number` were read."""
        self._ways[peer].after = max(self._ways[peer].after, number)

    def exhausted(self, peer: bytes) -> None:
        """There were no rows left to read."""
        self._ways[peer].more = False

    def number(self, peer: bytes, id_: bytes) -> int | None:
        """Where in the outbox an envelope is that was offered over this link, unanswered."""
        attempt = self._attempt(peer, id_)
        return None if attempt is None else attempt.number

    def attempts(self, peer: bytes, id_: bytes) -> int:
        """How often it was offered over this link."""
        attempt = self._attempt(peer, id_)
        return 0 if attempt is None else attempt.failures + 1

    def is_next(self, peer: bytes) -> bool:
        """Whether a new row may leave at once: a link with room, and no older row unread."""
        way = self._ways.get(peer)
        return (
            way is not None and not way.more and not way.full and way.flying < self._limits.window
        )

    def sending(self, peer: bytes, number: int, id_: bytes, now: float) -> None:
        """The envelope leaves now, for the first time or again."""
        way = self._ways[peer]
        way.after = max(way.after, number)
        attempt = way.tries.get(id_)
        if attempt is None:
            attempt = way.tries[id_] = _Try(number)
            way.flying += 1
        else:
            attempt.failures += 1
            if not attempt.flying:
                attempt.flying = True
                way.flying += 1
        self._retry_at(peer, id_, attempt, now + self._pause_s(attempt.failures))

    def answered(self, peer: bytes, id_: bytes) -> None:
        """Nothing more to do about this envelope."""
        way = self._ways.get(peer)
        if way is not None and (attempt := way.tries.pop(id_, None)) is not None:
            way.flying -= attempt.flying
            way.refused.discard(id_)

    def reason(self, peer: bytes, id_: bytes) -> str:
        """Why the peer does not take it now, in its own words; empty if it has not said."""
        attempt = self._attempt(peer, id_)
        return "" if attempt is None else attempt.reason

    def rest(self, peer: bytes, id_: bytes, now: float, reason: str = "") -> bool:
        """The peer is busy: it keeps its place in the queue, others may overtake it.

        Returns:
            Whether the peer gave a reason, and not the one it gave last.
        """
        attempt = self._attempt(peer, id_)
        is_news = False
        if attempt is not None:
            attempt.reason = reason
            is_news = bool(reason) and self._ways[peer].reason != reason
            self._ways[peer].reason = reason
            self._land(peer, attempt)
            self._retry_at(peer, id_, attempt, now + self._pause_s(attempt.failures))
        return is_news

    def link_full(self, peer: bytes, id_: bytes | None, now: float) -> None:
        """The link did not take it; ask again when it has room, or in a while."""
        way = self._ways.get(peer)
        if way is None:
            return
        way.full = True
        if id_ is not None and (attempt := way.tries.get(id_)) is not None:
            self._land(peer, attempt)
            way.refused.add(id_)
            self._retry_at(peer, id_, attempt, now + self._limits.retry_s)

    def link_room(self, peer: bytes, now: float) -> None:
        way = self._ways.get(peer)
        if way is None:
            return
        way.full = False
        for id_ in way.refused:
            self._retry_at(peer, id_, way.tries[id_], now)  # `due` takes it off the list

    def due(self, now: float) -> list[tuple[bytes, bytes, int]]:
        """What to offer again. The caller says `sending` or `answered` for each."""
        found: list[tuple[bytes, bytes, int]] = []
        while self.deadline <= now:
            _, peer, number, id_ = heapq.heappop(self._heap)
            way = self._ways[peer]
            way.full = False  # if it still is, it will say so
            way.refused.discard(id_)
            found.append((peer, id_, number))
        return found

    def _attempt(self, peer: bytes, id_: bytes) -> _Try | None:
        way = self._ways.get(peer)
        return None if way is None else way.tries.get(id_)

    def _land(self, peer: bytes, attempt: _Try) -> None:
        if attempt.flying:
            attempt.flying = False
            self._ways[peer].flying -= 1

    def _retry_at(self, peer: bytes, id_: bytes, attempt: _Try, at: float) -> None:
        attempt.retry_at = at
        heapq.heappush(self._heap, (at, peer, attempt.number, id_))

    def _pause_s(self, failures: int) -> float:
        """Doubling from `retry_s`, never beyond `retry_s_max`, a quarter of it by chance."""
        whole = min(self._limits.retry_s_max, self._limits.retry_s * 2.0 ** min(failures, 16))
        return whole * (0.75 + 0.25 * self._random.random())
