"""What happens to the task engine, and what it wants done.

Events are handed to `Tasks.handle` inside the caller's transaction; the effects that come back are
performed after it has committed: *store first, then speak*.
"""

from dataclasses import dataclass

from identity.caps import Scope
from identity.envelope import Envelope
from sync.proto.task_states import Outcome

# --- events ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A live link to `peer` exists; our own key stands for the way back to ourselves."""

    peer: bytes


@dataclass(frozen=True, slots=True)
class LinkDown:
    peer: bytes


@dataclass(frozen=True, slots=True)
class LinkFull:
    """The link took no more when the envelope `id` was to be sent."""

    peer: bytes
    id: bytes | None


@dataclass(frozen=True, slots=True)
class LinkRoom:
    """A link that was full takes envelopes again."""

    peer: bytes


@dataclass(frozen=True, slots=True)
class PeerHello:
    """The peer named its epoch: one run of one process."""

    peer: bytes
    epoch: bytes


@dataclass(frozen=True, slots=True)
class EnvelopeArrived:
    """A verified envelope about tasks, addressed to us, over the link with `peer`."""

    peer: bytes
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class CameEarly:
    """An envelope of `peer` is dated ahead of our clock. It may come again, and is told why."""

    peer: bytes
    id: bytes
    ahead_min: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The attempt that a `StartAttempt` asked for is over."""

    task_id: bytes
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class EndFound:
    """An attempt of an earlier run had ended, and that run died before it could say so.

    Told before any agent is ready. What such a task changed stands, so its end does, too,
    though it may have been cancelled or expired since.
    """

    task_id: bytes
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class AttemptLost:
    """The attempt is over without an outcome, as when its agent was stopped: try it again."""

    task_id: bytes


@dataclass(frozen=True, slots=True)
class ProgressMade:
    """A running task has something to say to whoever sent it."""

    task_id: bytes
    text: str


@dataclass(frozen=True, slots=True)
class AgentReady:
    """The agent takes tasks, as many at once as the policy gives slots."""

    agent: str


@dataclass(frozen=True, slots=True)
class AgentStopped:
    """The agent starts no more attempts; what waits for it stays queued."""

    agent: str


@dataclass(frozen=True, slots=True)
class TrustLost:
    """The peer is no longer trusted: none of its tasks may run on."""

    peer: bytes


Event = (
    LinkUp
    | LinkDown
    | LinkFull
    | LinkRoom
    | PeerHello
    | EnvelopeArrived
    | CameEarly
    | AttemptEnded
    | EndFound
    | AttemptLost
    | ProgressMade
    | AgentReady
    | AgentStopped
    | TrustLost
)

# --- effects --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """Hand these bytes to the link; if it takes none, say `LinkFull` with this id."""

    peer: bytes
    data: bytes
    id: bytes | None = None  # of what is retried until it is answered


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Run the agent on this task; one `AttemptEnded` or `AttemptLost` must follow."""

    task_id: bytes
    agent: str
    peer: bytes
    chain: tuple[str, ...]
    message: str  # A2A Message, JSON
    expires_ms: int
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class CancelAttempt:
    """Stop the attempt; its end must still be told."""

    task_id: bytes


@dataclass(frozen=True, slots=True)
class Changed:
    """Something about this task is new: progress, acknowledgement, end."""

    task_id: bytes


@dataclass(frozen=True, slots=True)
class DropStaged:
    """The task ended while no attempt ran: drop what earlier ones staged, in this transaction."""

    task_id: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """A peer's task was turned away; the peer is told why, and our operator reads it, too."""

    peer: bytes
    why: str


Effect = Send | StartAttempt | CancelAttempt | Changed | DropStaged | Refused
