"""Logs of which somebody has more than we: one request for each at a time, in turn.

    noted ──▶ asked ──arrived──▶ asked again, from further on ──▶ complete: forgotten
                │
                └──silence──▶ the next who has it ──▶ nobody left: forgotten

What is forgotten comes back with the next reconciliation.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

WANTS_MAX: Final = 4_096  # logs wanted at a time; the surplus waits for the next reconciliation
OF_A_PEER_MAX: Final = 1_024  # of these, so that one peer's lies leave room for the others
ASKED_MAX: Final = 8  # requests under way to one peer
RETRY_S: Final = 5.0  # guess: a stretch of 48 KiB over a slow line


@dataclass(slots=True)
class _Want:
    holders: dict[bytes, int] = field(default_factory=dict)
    asked: bytes | None = None
    retry_s: float = math.inf


class Wants:
    """Whom to ask for what; no messages in here."""

    def __init__(self) -> None:
        self._wants: dict[bytes, _Want] = {}
        self._idle: dict[bytes, None] = {}
        self._under_way: dict[bytes, int] = {}
        self._of_peer: Counter[bytes] = Counter()

    @property
    def deadline(self) -> float:
        """When a request has waited long enough."""
        return min((want.retry_s for want in self._wants.values()), default=math.inf)

    def __len__(self) -> int:
        return len(self._wants)

    def note(self, log: bytes, peer: bytes, size: int) -> None:
        """`peer` has `size` entries of `log`, which is more than we have."""
        want = self._wants.get(log)
        if (want is None or peer not in want.holders) and self._of_peer[peer] >= OF_A_PEER_MAX:
            return
        if want is None:
            if len(self._wants) >= WANTS_MAX:
                return
            want = self._wants[log] = _Want()
            self._idle[log] = None
        if peer not in want.holders:
            self._of_peer[peer] += 1
        want.holders[peer] = max(size, want.holders.get(peer, 0))

    def arrived(self, log: bytes, size: int) -> None:
        """We now have `size` entries of it."""
        want = self._wants.get(log)
        if want is None:
            return
        for peer in [peer for peer, held in want.holders.items() if held <= size]:
            self._without(want, peer)
        self._release(log, want)

    def failed(self, log: bytes, peer: bytes) -> None:
        """What came from this peer is of no use."""
        want = self._wants.get(log)
        if want is not None and peer in want.holders:
            self._without(want, peer)
            self._release(log, want)

    def lost(self, peer: bytes) -> None:
        for log in [log for log, want in self._wants.items() if peer in want.holders]:
            self.failed(log, peer)
        self._under_way.pop(peer, None)

    def wake(self, now_s: float) -> None:
        """Give up on those who did not answer."""
        late = [(log, want) for log, want in self._wants.items() if want.retry_s <= now_s]
        for log, want in late:
            assert want.asked is not None
            self.failed(log, want.asked)

    def asks(
        self, now_s: float, allowed: Callable[[bytes, bytes], bool]
    ) -> list[tuple[bytes, bytes]]:
        """Whom to ask now, and for which log; `allowed` says whether this peer may be asked."""
        asks = []
        for log in list(self._idle):
            want = self._wants[log]
            for peer in list(want.holders):
                if self._under_way.get(peer, 0) >= ASKED_MAX:
                    continue
                if not allowed(peer, log):
                    self._without(want, peer)
                    continue
                want.asked, want.retry_s = peer, now_s + RETRY_S
                self._under_way[peer] = self._under_way.get(peer, 0) + 1
                del self._idle[log]
                asks.append((peer, log))
                break
            if not want.holders:
                self._forget(log)
        return asks

    def _without(self, want: _Want, peer: bytes) -> None:
        del want.holders[peer]
        self._of_peer[peer] -= 1
        if not self._of_peer[peer]:
            del self._of_peer[peer]

    def _release(self, log: bytes, want: _Want) -> None:
        if want.asked is not None:
            left = self._under_way.get(want.asked, 0) - 1
            if left > 0:
                self._under_way[want.asked] = left
            else:
                self._under_way.pop(want.asked, None)
        want.asked, want.retry_s = None, math.inf
        self._idle[log] = None
        if not want.holders:
            self._forget(log)

    def _forget(self, log: bytes) -> None:
        self._wants.pop(log, None)
        self._idle.pop(log, None)
