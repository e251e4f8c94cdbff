"""What `sandbox` needs of the node around it, as protocols it owns.

The node implements them over its store. Every method that is not `async` runs on
the loop and must not block. A method that cannot do what is asked raises
`PortRefused(code, why)` and has then changed nothing; the guest is told.

*Inside the open transaction* means: the sandbox has entered `CallMemory.transaction()`,
and what the method writes commits or rolls back with the remembered answer and the
audit record of the same call. What must leave the node leaves after the commit.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from identity.caps import Scope
from sandbox.agent_spec import AgentSpec
from sandbox.audit import AuditRecord
from sandbox.find import FindEntries
from sandbox.sql import Statement


@dataclass(frozen=True, slots=True)
class Remembered:
    """The answer a call of an unfinished task got. Both fields are opaque to the port."""

    request_hash: bytes
    answer: bytes


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One task to be run, as the node accepted it.

    Attributes:
        id: the 32 bytes of the task's envelope.
        sender: who handed it to us, `did:key:…` or `did:key:…/agent`.
        originator: the DID (or DID/agent) at the start of the chain; a worker is
            not shared between originators.
        chain: hops `did:key:…/agent`, oldest first, without the agent that runs it now.
        message_json: the A2A Message.
        expires_ms: wall clock; nothing of this task runs or waits beyond it.
        scope: what it may use at most, as its sender says; None: it does not say.
    """

    id: bytes
    agent: str
    sender: str
    originator: str
    chain: tuple[str, ...]
    message_json: str
    expires_ms: int
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """The guest returned a JSON array of A2A parts. `trace`: see `sandbox.trace`; or None."""

    parts_json: str
    trace: bytes | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt ended without a result. Codes are listed in docs/spec/agent-abi.md."""

    code: str
    why: str
    trace: bytes | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The task was cancelled before it had a result."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The node stops: the task has not ended, and another attempt is due after the next start."""

    why: str


Outcome = Completed | Failed | Cancelled | Interrupted


@dataclass(frozen=True, slots=True)
class EndedTask:
    """An outgoing task that ended: `task_json` is its A2A Task with state and artifacts."""

    id: str
    task_json: str


class CallMemory(Protocol):
    """The answered calls of unfinished tasks. The node drops them when a task ends."""

    def transaction(self, *, durable: bool = False) -> AbstractContextManager[None]:
        """What is written within commits together; `durable` means before a power cut, too."""

    def recall(self, task_id: bytes, number: int) -> Remembered | None: ...

    def remember(self, task_id: bytes, number: int, request_hash: bytes, answer: bytes) -> None:
        """Called inside the open transaction, at most once for a number of a task."""

    def conclude(self, task_id: bytes, number: int, answer: bytes) -> None:
        """Put `answer` in the place of what was remembered, inside the open transaction."""


class TaskPort(Protocol):
    """Tasks this node sends for its agents."""

    def send(
        self,
        *,
        task_id: bytes,
        number: int,
        from_agent: str,
        chain: tuple[str, ...],
        target: str,
        parts_json: str,
        expires_ms: int,
    ) -> str:
        """Store an outgoing task inside the open transaction; its id, 64 hex digits.

        Args:
            task_id: the task that sends.
            number: of its call; task_id and number make the id, so a repeat is the same task.
            from_agent: name of the local agent that sends.
            chain: hops oldest first, ending with the sending agent itself.
            target: `did:key:…/agent`; the DID may be our own.
            parts_json: array of A2A parts, checked; they become one message.
            expires_ms: of the task that sends; the new one must not outlive it.
        """

    async def wait(
        self, *, task_id: bytes, ids: Sequence[str], timeout_s: float
    ) -> EndedTask | None:
        """The first of `ids` that has ended, or None after `timeout_s`. May be cancelled.

        The sandbox only asks for ids that this task got from `send`.
        """

    def cancel(self, *, task_id: bytes, id: str) -> None:
        """Ask for the end of an outgoing task of `task_id`, inside the open transaction."""

    def progress(self, *, task_id: bytes, text: str) -> None:
        """Tell the sender of `task_id`, inside the open transaction."""


class JournalPort(Protocol):
    """The journal that carries the agent's name."""

    def stage(
        self, *, agent: str, task_id: bytes, number: int, originator: str, tag: str, text: str
    ) -> str:
        """Stage an entry inside the open transaction; JSON as docs/spec/agent-abi.md has it.

        It is committed with the task's result, and dropped if the task fails.
        """

    def read(self, *, agent: str, task_id: bytes, after: str, limit: int) -> str:
        """Entries after the cursor `after` ("" = from the start), own staged ones last; JSON."""

    async def search(self, *, agent: str, query: str, limit: int) -> str:
        """Best entries for the words of `query`; JSON."""

    async def find(self, *, agent: str, wish: FindEntries) -> str:
        """Best entries by words, by meaning, or by both; JSON."""


class DatabasePort(Protocol):
    """One SQLite file an agent; what a task writes is seen by nobody else until it ends."""

    async def query(self, agent: str, task_id: bytes, statement: Statement) -> str:
        """Rows as JSON. May be cancelled: the statement is stopped, and the task's changes lost."""

    async def execute(self, agent: str, task_id: bytes, statement: Statement) -> str:
        """Stage a change; how many rows changed, as JSON. Cancelled as `query`."""


class AuditPort(Protocol):
    """The node's audit log."""

    def record(self, record: AuditRecord) -> None:
        """Keep `record`; joins the open transaction if there is one.

        Raises:
            AuditUnavailable: it was not kept, so what it announces must not happen.
        """


class ModulePort(Protocol):
    """Which component may run under which name."""

    def problem(self, spec: AgentSpec, cid: str) -> str | None:
        """Why this component may not run as this agent, with the remedy; or None.

        Raises:
            AuditUnavailable: it is new, and that could not be written down.
        """

    def approve(self, agent: str, cid: str) -> None:
        """From now on this component may run as `agent`, and no other.

        Raises:
            AuditUnavailable: that could not be written down, and nothing has changed.
        """


class GuestLog(Protocol):
    """Where the node's own structured log takes what agents say."""

    def guest_said(self, *, agent: str, task_id: bytes, level: str, text: str) -> None: ...

    def note(self, event: str, **facts: object) -> None:
        """One event of the supervisor, such as `agent.violation`, for the operator."""
