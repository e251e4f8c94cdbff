"""When to dial whom, and which of two links to keep. No I/O, no clock, no randomness.

    kept ──▶ waiting ──dial_at──▶ dialling ──opened──▶ linked
                ▲                    │ failed             │ closed
                └──── pause grows ───┴────────────────────┘
                      (a link that lasted STABLE_S makes it small again)

A peer that takes a connection and hangs up at once is as down as one that refuses it, so
only time on a link resets the pause. Links that others dialled are ruled here as well: when
both dialled within 10 s, both ends keep the link dialled by the smaller key; otherwise the
newer replaces the older, which the other side must have given up.
"""

import math
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from akshi_mesh.transport.address import Address
from akshi_mesh.transport.errors import SelfDial
from akshi_mesh.transport.ports import Chance

PAUSE_FIRST_S: Final = 0.1  # a restarting node listens again within a second
PAUSE_MAX_S: Final = 30.0  # guess: a person who just typed `trust add` there still waits this long
STABLE_S: Final = 30.0  # longer than a dead link lives unnoticed (ping and answer)
BOTH_DIALLED_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Kept:
    """The node wants a link to `peer`, whose addresses are tried in order."""

    peer: bytes
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """It no longer does; what there is must end."""

    peer: bytes
    why: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A handshake is complete, whoever dialled; `link` is its number, never used twice."""

    peer: bytes
    link: int
    dialled_by_us: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """That link has ended."""

    peer: bytes
    link: int


@dataclass(frozen=True, slots=True)
class DialEnded:
    """The last `Dial` gave no link; at least `pause_s` must pass before the next."""

    peer: bytes
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Dial:
    """Try the addresses in order; answer with Opened or DialEnded."""

    peer: bytes
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class CancelDial:
    """Stop trying; no answer is wanted."""

    peer: bytes


@dataclass(frozen=True, slots=True)
class Adopt:
    """This link is the peer's from now on."""

    peer: bytes
    link: int


@dataclass(frozen=True, slots=True)
class CloseLink:
    """This link is not wanted."""

    link: int
    why: str


Event: TypeAlias = Kept | Forgotten | Opened | Closed | DialEnded
Effect: TypeAlias = Dial | CancelDial | Adopt | CloseLink


@dataclass(slots=True)
class _Link:
    number: int
    dialled_by_us: bool
    opened_at: float


@dataclass(slots=True)
class _Peer:
    addresses: tuple[Address, ...] = ()
    is_kept: bool = False
    is_dialling: bool = False
    failures: int = 0
    dial_at: float = math.inf
    link: _Link | None = None


class Keeper:
    """Holds one link to each kept peer. Give it events, perform its effects in order."""

    def __init__(self, me: bytes, chance: Chance) -> None:
        self._me = me
        self._chance = chance
        self._peers: dict[bytes, _Peer] = {}

    @property
    def deadline(self) -> float:
        """When `wake` is next due, on the clock of `now`; ``inf`` if never."""
        return min((peer.dial_at for peer in self._peers.values()), default=math.inf)

    def is_dialling(self, peer: bytes) -> bool:
        return peer in self._peers and self._peers[peer].is_dialling

    def kept(self) -> list[bytes]:
        """The peers a link is wanted to, and those that have one."""
        return list(self._peers)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Raises SelfDial if the node is asked to keep a link to itself."""
        match event:
            case Kept(peer, addresses):
                self._keep(peer, addresses, now)
            case Forgotten(peer, why):
                return self._forget(peer, why)
            case Opened(peer, link, dialled_by_us):
                return self._open(peer, _Link(link, dialled_by_us, now))
            case Closed(peer, link):
                self._close(peer, link, now)
            case DialEnded(peer, pause_s):
                self._end_dial(peer, pause_s, now)
            case _:
                assert_never(event)
        return []

    def wake(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for key, peer in self._peers.items():
            if peer.dial_at <= now:
                peer.dial_at = math.inf
                peer.is_dialling = True
                effects.append(Dial(key, peer.addresses))
        return effects

    def _keep(self, key: bytes, addresses: tuple[Address, ...], now: float) -> None:
        if key == self._me:
            raise SelfDial
        peer = self._peers.setdefault(key, _Peer())
        if peer.is_kept and peer.addresses == addresses:
            return
        peer.is_kept, peer.addresses = True, addresses
        if not peer.link and not peer.is_dialling:
            peer.dial_at = now if addresses else math.inf  # `wake` is due at once

    def _forget(self, key: bytes, why: str) -> list[Effect]:
        peer = self._peers.get(key)
        if peer is None:
            return []
        effects: list[Effect] = []
        if peer.is_dialling:
            effects.append(CancelDial(key))
        if peer.link:
            effects.append(CloseLink(peer.link.number, why))
        del self._peers[key]
        return effects

    def _open(self, key: bytes, link: _Link) -> list[Effect]:
        peer = self._peers.setdefault(key, _Peer())
        if link.dialled_by_us:
            peer.is_dialling = False
        older = peer.link
        if older is None:
            peer.link, peer.dial_at = link, math.inf
            return [Adopt(key, link.number)]
        both_dialled = (
            older.dialled_by_us != link.dialled_by_us
            and link.opened_at - older.opened_at <= BOTH_DIALLED_S
        )
        if both_dialled and link.dialled_by_us != (self._me < key):
            return [CloseLink(link.number, "both dialled, the other link stays")]
        peer.link = link
        why = "both dialled, the other link stays" if both_dialled else "replaced by a newer link"
        return [CloseLink(older.number, why), Adopt(key, link.number)]

    def _close(self, key: bytes, number: int, now: float) -> None:
        peer = self._peers.get(key)
        if peer is None or peer.link is None or peer.link.number != number:
            return
        lasted_s = now - peer.link.opened_at
        peer.link = None
        if not peer.is_kept:
            if not peer.is_dialling:
                del self._peers[key]
            return
        peer.failures = 0 if lasted_s >= STABLE_S else peer.failures + 1
        self._plan(peer, 0.0, now)

    def _end_dial(self, key: bytes, pause_s: float, now: float) -> None:
        peer = self._peers.get(key)
        if peer is None or not peer.is_dialling:
            return
        peer.is_dialling = False
        if peer.link is None:
            peer.failures += 1
            self._plan(peer, pause_s, now)

    def _plan(self, peer: _Peer, pause_s: float, now: float) -> None:
        if peer.is_dialling or not peer.addresses:
            return
        doublings = min(max(peer.failures - 1, 0), 16)
        pause_max_s = min(PAUSE_FIRST_S * 2.0**doublings, PAUSE_MAX_S)
        # Full jitter would dial at once now and then; half of the pause is kept.
        jittered_s = pause_max_s * (0.5 + self._chance.random() / 2)
        peer.dial_at = now + max(jittered_s, pause_s)
