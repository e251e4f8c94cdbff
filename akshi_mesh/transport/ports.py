"""What the transport needs of the node: somebody to talk to, and stamps that survive a restart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

LinkState: TypeAlias = Literal["up", "dialling", "waiting"]


class LinkSink(Protocol):
    """Who hears of links and takes what arrives. Only `messages` may wait."""

    def link_up(self, peer: bytes) -> None:
        """Messages can be sent; what was queued on an earlier link is gone."""

    def link_down(self, peer: bytes, why: str) -> None:
        """They cannot; always after a `link_up` of the same peer, once."""

    def link_room(self, peer: bytes) -> None:
        """A queue that had refused a message has room again."""

    async def messages(self, peer: bytes, messages: Sequence[tuple[int, bytes]]) -> None:
        """Take messages (type, body) in order; their bytes count as in flight until this returns.

        What arrived together comes together, some 16 KiB at a time. Messages of one lane
        come one after another; the two lanes run beside each other.
        """

    def note(self, event: str, **facts: str | int | float) -> None:
        """For logs and `doctor`; the transport limits how often."""


class StampStore(Protocol):
    """Handshake stamps, per peer, on disk before they are used."""

    def next_stamp(self, peer: bytes, *, above: int) -> int:
        """A stamp to send to `peer`: max(clock in us, last one sent to it + 1, above + 1)."""

    def accept(self, peer: bytes, stamp: int) -> bool:
        """Store `stamp` as the highest of `peer`, durably; False if one as high is stored."""

    def highest(self, peer: bytes) -> int:
        """The highest stamp accepted of `peer`; 0 if none."""


class GrantDesk(Protocol):
    """Grants shown in handshakes: by peers to us, by us to peers. None of it may wait."""

    def chain_for(self, peer: bytes) -> bytes:
        """The chain to show to `peer`; empty if there is none."""

    def why_not(self, peer: bytes, chain: bytes) -> str | None:
        """Why `chain` does not let in `peer`, whose key is proven; None: it does. No change."""

    def take(self, peer: bytes, chain: bytes) -> None:
        """`peer` is present and has shown `chain`: keep it if it holds."""


class NoGrants:
    """A `GrantDesk` of a node that neither takes nor shows any."""

    def chain_for(self, peer: bytes) -> bytes:  # noqa: ARG002 - for nobody
        return b""

    def why_not(self, peer: bytes, chain: bytes) -> str | None:  # noqa: ARG002 - nobody's
        return "this node takes no grants"

    def take(self, peer: bytes, chain: bytes) -> None:
        """Nothing is kept."""


class Chance(Protocol):
    """Randomness for jitter, such as `random.Random`; nothing secret comes from it."""

    def random(self) -> float:
        """At least 0 and below 1."""


class Entropy(Protocol):
    """Random bytes that nobody can guess, such as `secrets.token_bytes`."""

    def __call__(self, size: int, /) -> bytes:
        """That many."""


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """One peer as `status` shows it."""

    peer: bytes
    state: LinkState
    address: str | None
    dialled_by_us: bool
    since_s: float  # seconds this state of the link lasts; 0 unless up
    last_failure: str | None
    hint: str | None
    bytes_sent: int
    bytes_received: int
