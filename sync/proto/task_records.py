"""What is stored about tasks, as values."""

from dataclasses import dataclass

from identity.caps import Scope
from identity.envelope import Kind
from sync.proto.task_states import Counted


@dataclass(frozen=True, slots=True)
class Origin:
    """Which call of which task of ours made this one; it is made only once."""

    task_id: bytes
    call: int


@dataclass(frozen=True, slots=True)
class SentTask:
    """A task of ours for an agent elsewhere (or here)."""

    id: bytes
    peer: bytes
    agent: str
    message_id: str
    context_id: str | None
    body_hash: bytes
    origin: Origin | None
    created_ms: int
    expires_ms: int
    size_bytes: int  # of the envelope
    outbox: int | None  # its number there, until it has ended
    is_named: bool = False  # the message id was given to us, so it may come a second time
    counted: Counted = Counted.QUEUED
    ended_ms: int | None = None
    answered: bool = False  # the peer's own result is here, not only our report
    cancel: bool = False  # we asked the peer to stop
    cancel_outbox: int | None = None  # the number of that request, until it was answered
    reason: str = ""
    result: str | None = None  # A2A Task, JSON
    progress: str | None = None  # A2A TaskStatusUpdateEvent, JSON
    progress_ms: int = 0


@dataclass(frozen=True, slots=True)
class ReceivedTask:
    """A task that a peer gave to an agent of ours; the row is also its protection from replay."""

    id: bytes
    peer: bytes
    agent: str
    message_id: str | None  # None where another task has it: a conflict
    context_id: str | None
    body_hash: bytes
    created_ms: int
    expires_ms: int
    chain: tuple[str, ...]
    message: str  # A2A Message, JSON; empty once finished
    cancel: bool = False  # stop it as soon as it runs
    finished_ms: int | None = None
    disposition: int | None = None  # of a task that was turned away: how
    reason: str = ""
    result: str | None = None  # A2A Task, JSON
    outbox: int | None = None  # number of its result there, until the peer acknowledged it
    scope: Scope | None = None  # what it may use at most, as its sender says


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A sealed envelope that is offered until the peer answers it."""

    peer: bytes
    number: int
    id: bytes
    kind: Kind
    task_id: bytes
    data: bytes
    until_ms: int
    kept: bool = False  # acknowledged; offered again only if the peer starts a new epoch


@dataclass(frozen=True, slots=True)
class PeerLedger:
    """One peer's account. The first four are the promise; they hold after every commit."""

    sent: int = 0
    acknowledged: int = 0
    expired: int = 0
    refused: int = 0
    queued: int = 0  # kept beside the rows, for the limits; `Ledger.queued` counts the rows
    queued_bytes: int = 0
    received: int = 0  # rows that protect from replay
    owed: int = 0  # results and cancels the peer has not acknowledged
    owed_bytes: int = 0
    purged_through_ms: int = 0
    epoch: bytes | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """`sent` always equals the sum of the others; `queued` is counted from rows, not kept."""

    peer: bytes
    sent: int
    acknowledged: int
    queued: int
    expired: int
    refused: int

    @property
    def conserved(self) -> bool:
        return self.sent == self.acknowledged + self.queued + self.expired + self.refused
