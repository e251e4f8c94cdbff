"""What the journal engine asks of its store, and the values they exchange.

The store is synchronous and holds the truth; the engine keeps no copy of it, so a transaction
that is rolled back leaves nothing to undo in memory.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sync.checkpoint import Checkpoint, Previous
from sync.fork_proof import ForkProof
from sync.frontier import Frontier
from sync.journal import Entry, LogName


@dataclass(frozen=True, slots=True)
class Log:
    """One log as it is stored: the verified part, and whether it is frozen."""

    row: int
    id: bytes
    name: LogName
    frontier: Frontier
    previous: Previous | None
    frozen_at: int | None
    disputed: bool  # frozen, and what we hold is not known to be the common part
    total_bytes: int
    visible: int

    @property
    def size(self) -> int:
        return self.frontier.size


@dataclass(frozen=True, slots=True)
class LogState:
    """As much of a log as a have-vector needs."""

    id: bytes
    journal: str
    author: bytes
    size: int
    root: bytes
    previous: Previous | None
    frozen_at: int | None
    disputed: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Verified entries that continue a log, and what covers them."""

    times: Sequence[int]
    entries: Sequence[bytes]
    leaves: Sequence[bytes]
    frontier: Frontier


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries to be sent, with the checkpoint or the proof that covers exactly them."""

    entries: tuple[bytes, ...]
    checkpoint: bytes | None
    proof: bytes | None


@dataclass(frozen=True, slots=True)
class Staged:
    """An entry that waits for its task to end; only that task sees it."""

    journal: str
    author: bytes
    nonce: bytes
    originator: str
    tag: str
    text: str


class JournalStore(Protocol):
    """Everything happens inside the caller's transaction."""

    def journals(self) -> Collection[str]: ...

    def log(self, log_id: bytes) -> Log | None: ...

    def own_log(self, journal: str, author: bytes, run: bytes) -> Log | None:
        """The log that this run writes, unless it is frozen."""
        ...

    def last_head(self, journal: str, author: bytes) -> Previous | None: ...

    def epochs(self, author: bytes) -> int: ...

    def create(self, name: LogName, previous: Previous | None, run: bytes | None) -> Log: ...

    def states(self, journals: Collection[str], first: bytes, last: bytes) -> Iterable[LogState]:
        """Those with an id from `first` to `last`, both inclusive, in order of it."""
        ...

    def extend(self, log: Log, batch: Batch, checkpoint: Checkpoint | None) -> Log: ...

    def stretch(self, log: Log, start: int) -> Stretch | None: ...

    def checkpoint_over(self, log: Log, index: int) -> Checkpoint | None:
        """The smallest stored checkpoint of any branch we hold that covers `index`."""
        ...

    def subtree(self, log: Log, start: int, count: int) -> bytes:
        """The head of `count` leaves from `start`; any range inside what is stored."""
        ...

    def proof(self, log: Log) -> bytes | None: ...

    def proof_rank(self, log: Log) -> tuple[int, bool, bool] | None:
        """`ForkProof.rank` of the proof we hold."""
        ...

    def freeze(self, log: Log, proof: ForkProof) -> Log: ...

    def accept_forks(self, author: bytes) -> None: ...

    def attestation(self, author: bytes) -> bytes | None: ...

    def vouched_by(self, author: bytes) -> bytes | None: ...

    def keep_attestation(self, author: bytes, node: bytes, data: bytes) -> None: ...

    def append(self, journal: str, author: bytes, entry: Entry) -> None:
        """Keep an own entry until the next flush seals it."""
        ...

    def unsealed(self) -> list[tuple[str, bytes, int, bytes]]:
        """Journal, author, time and bytes of own entries no checkpoint covers, in order."""
        ...

    def forget_unsealed(self) -> None: ...

    def last_time(self, until: int) -> int: ...

    def stage(self, task_id: bytes, number: int, staged: Staged) -> Staged: ...

    def staged(self, task_id: bytes) -> list[Staged]: ...

    def drop_staged(self, task_id: bytes) -> None: ...
