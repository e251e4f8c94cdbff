"""The border between guests and the node: what every host call of every agent shares.

    guest ─▶ worker ══ socketpair ══▶ Attempt ─▶ gate ─▶ acts ─▶ ports
                                        │
              one Desk per agent: its audit budget, its pace, its shelves

What the gate decides is in `sandbox.gate`; `sandbox.host.attempt` plays it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from sandbox.acts.filesystem import Shelf
from sandbox.agent_address import Resolve
from sandbox.agent_spec import AgentSpec
from sandbox.audit import AuditRecord, Event
from sandbox.budget import Budget
from sandbox.host.usage import Usage
from sandbox.ledger import Ledger
from sandbox.outside import (
    ApprovalPort,
    BoundsPort,
    HttpPort,
    ModelPort,
    PursePort,
    SecretsPort,
    ToolPort,
)
from sandbox.ports import (
    AuditPort,
    CallMemory,
    DatabasePort,
    GuestLog,
    JournalPort,
    ModulePort,
    TaskPort,
    TaskRun,
)
from sandbox.rate import budgets
from sandbox.risk import RiskTable
from sandbox.risk_defaults import DEFAULTS

# One token is one plain call (measured: some 100 µs of the node) or 1 KiB of text in or out:
# an agent that floods takes under half of one core, and its neighbours do not feel it.
TOKENS_BURST = 4_000
TOKENS_PER_S = 4_000.0
THREADS_PER_AGENT = 2  # a file system that hangs holds these, and no other agent's


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside that an agent's call can reach. What is None answers `unavailable`."""

    memory: CallMemory
    tasks: TaskPort
    journals: JournalPort
    audit: AuditPort
    log: GuestLog
    modules: ModulePort
    approvals: ApprovalPort | None = None
    purse: PursePort | None = None
    http: HttpPort | None = None
    secrets: SecretsPort | None = None
    bounds: BoundsPort | None = None
    tools: ToolPort | None = None
    databases: DatabasePort | None = None
    models: ModelPort | None = None


class Boundary:
    """The node's side of all host calls.

    Args:
        ports: the node.
        me: the DID of this node.
        resolve: petname to DID, as trust stands at the moment of the call.
        wall_ms: the wall clock.
        random_bytes: the node's source of randomness.
        did_of: the DID of an agent of this node, by name.
        risks: the table that calls are judged by.
        hidden: directories that no agent may see, whatever is allowed: the node's home.
    """

    def __init__(
        self,
        ports: Ports,
        *,
        me: str,
        resolve: Resolve,
        wall_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        did_of: Callable[[str], str],
        risks: RiskTable = DEFAULTS,
        hidden: Sequence[str] = (),
    ) -> None:
        self.ports = ports
        self.me = me
        self.resolve = resolve
        self.wall_ms = wall_ms
        self.random_bytes = random_bytes
        self.did_of = did_of
        self.risks = risks
        self.hidden = tuple(str(Path(path).resolve()) for path in hidden)
        self.stopped: str | None = None

    @property
    def spend_halted(self) -> bool:
        """Whether the kill switch of money is on. Without a purse nothing can be paid."""
        return self.ports.purse is not None and self.ports.purse.halted

    def stop(self, why: str) -> None:
        """From now on every call of every agent is refused."""
        self.stopped = why

    def desk(self, spec: AgentSpec) -> "Desk":
        """What the calls of one agent have in common. One per agent and node."""
        return Desk(self, spec)


class Desk:
    """One agent's allowances: its audit budget, its pace, its shelves."""

    def __init__(self, boundary: Boundary, spec: AgentSpec) -> None:
        now_s = trio.current_time()
        self.boundary = boundary
        self.spec = spec
        self.shelves = {root: Shelf(root, boundary.hidden) for root in spec.filesystem_allowed}
        self.ledger = Ledger(boundary.ports.audit, now_s=now_s)
        self.pace = Budget(burst=TOKENS_BURST, per_s=TOKENS_PER_S, now_s=now_s)
        self.rates = budgets(spec.rates, now_s=now_s)
        self.usage = Usage()
        self.module_cid = ""  # of the component that runs, once it is compiled
        self.threads = trio.CapacityLimiter(THREADS_PER_AGENT)

    def note(self, event: Event, *, code: str, detail: str, task: TaskRun | None = None) -> None:
        """Record what happened to the agent itself. Raises AuditUnavailable."""
        record = AuditRecord(
            at_ms=self.boundary.wall_ms(),
            event=event,
            agent=self.spec.name,
            originator=task.originator if task else "",
            task_id=task.id if task else b"",
            number=-1,
            function="",
            code=code,
            detail=detail,
            request_hash=b"",
        )
        self.ledger.record(record, now_s=trio.current_time())
