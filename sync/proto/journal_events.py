"""What happens to the journal engine, and what it wants done."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A link to this peer is live."""

    peer: bytes


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link is gone; what was under way on it is lost."""

    peer: bytes


@dataclass(frozen=True, slots=True)
class LinkRoom:
    """A queue that had refused a send has room again."""

    peer: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """The body of a SYNC message."""

    peer: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """Trust, rights or scopes have changed."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a SYNC message; if it is lost, reconciliation makes up for it."""

    peer: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Misbehaved:
    """No correct node does this: drop the link."""

    peer: bytes
    why: str


@dataclass(frozen=True, slots=True)
class ForkFound:
    """This author signed two histories; the log shows nothing from `index` on."""

    author: bytes
    journal: str
    epoch: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Grew:
    """There are new entries in this journal."""

    journal: str


Event: TypeAlias = LinkUp | LinkDown | LinkRoom | Received | PolicyChanged
Effect: TypeAlias = Send | Misbehaved | ForkFound | Grew


class Policy(Protocol):
    """What the operator decided."""

    def mesh_journals(self) -> Collection[str]:
        """Journals this node shares, whether or not there is anything in them yet."""
        ...

    def may_sync(self, peer: bytes, journal: str) -> bool:
        """The peer has the right journal:NAME, and the journal's scope here is mesh."""
        ...

    def author_admitted(self, journal: str, node: bytes) -> bool:
        """Whether we keep what this node, or an agent it vouches for, writes there."""
        ...


class Randomness(Protocol):
    """`random.Random`, as much of it as is needed."""

    def random(self) -> float: ...

    def randbytes(self, n: int, /) -> bytes: ...
