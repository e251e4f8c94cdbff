"""A node in memory: every port of the sandbox, with transactions that really roll back."""

import contextlib
import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import trio

from identity import SigningKey
from sandbox.agent_spec import AgentSpec
from sandbox.audit import AuditRecord
from sandbox.capability import Capability
from sandbox.errors import AuditUnavailable, PortRefused
from sandbox.fault import FaultCode
from sandbox.host.boundary import Boundary, Ports
from sandbox.ports import EndedTask, Remembered, TaskRun

ME = str(SigningKey.from_seed(bytes(31) + b"\1").did)
FRIEND = str(SigningKey.from_seed(bytes(31) + b"\2").did)
STRANGER = str(SigningKey.from_seed(bytes(31) + b"\3").did)
NOW_MS = 1_800_000_000_000
ALL = frozenset(Capability)
PARTS = '[{"text":"hi"}]'
MESSAGE = '{"messageId":"m1","role":"ROLE_USER","parts":[{"text":"hi"}]}'


@dataclass
class State:
    """What a transaction can undo."""

    calls: dict[tuple[bytes, int], Remembered] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    progress: list[str] = field(default_factory=list)
    staged: list[str] = field(default_factory=list)
    audit: list[AuditRecord] = field(default_factory=list)


class FakeNode:
    """All five ports. Set `refuse`, `audit_full` or `commit_fails` to make it fail."""

    def __init__(self) -> None:
        self.state = State()
        self.said: list[str] = []
        self.notes: list[tuple[str, dict[str, object]]] = []
        self.refuse: PortRefused | None = None
        self.audit_full = False
        self.commit_fails = False
        self.ended: dict[str, str] = {}
        self.commits = 0
        self.recalls = 0
        self.now_ms = NOW_MS
        self.trusted = {"friend": FRIEND}
        self.approved: dict[str, str] = {}
        self._depth = 0

    # CallMemory

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        before = copy.copy(self.state)
        for name, value in vars(before).items():
            setattr(before, name, copy.copy(value))
        self._depth += 1
        try:
            yield
            if self.commit_fails:
                raise PortRefused(FaultCode.UNAVAILABLE, "disk full")
            self.commits += 1
        except BaseException:
            self.state = before
            raise
        finally:
            self._depth -= 1

    def recall(self, task_id: bytes, number: int) -> Remembered | None:
        self.recalls += 1
        return self.state.calls.get((task_id, number))

    def remember(self, task_id: bytes, number: int, request_hash: bytes, answer: bytes) -> None:
        assert self._depth, "remembered outside of a transaction"
        assert (task_id, number) not in self.state.calls, "remembered twice"
        self.state.calls[task_id, number] = Remembered(request_hash, answer)

    def conclude(self, task_id: bytes, number: int, answer: bytes) -> None:
        assert self._depth, "concluded outside of a transaction"
        begun = self.state.calls[task_id, number]
        self.state.calls[task_id, number] = Remembered(begun.request_hash, answer)

    # TaskPort

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
        self._act()
        id = (task_id[:31] + bytes([number])).hex()
        self.state.sent.append((target, parts_json))
        return id

    async def wait(
        self, *, task_id: bytes, ids: Sequence[str], timeout_s: float
    ) -> EndedTask | None:
        with trio.move_on_after(timeout_s):
            while True:
                for id in ids:
                    if id in self.ended:
                        return EndedTask(id, self.ended[id])
                await trio.sleep(0.01)
        return None

    def cancel(self, *, task_id: bytes, id: str) -> None:
        self._act()
        self.state.cancelled.append(id)

    def progress(self, *, task_id: bytes, text: str) -> None:
        self._act()
        self.state.progress.append(text)

    # JournalPort

    def stage(
        self, *, agent: str, task_id: bytes, number: int, originator: str, tag: str, text: str
    ) -> str:
        self._act()
        self.state.staged.append(text)
        return json.dumps({"id": number})

    def read(self, *, agent: str, task_id: bytes, after: str, limit: int) -> str:
        return json.dumps({"entries": self.state.staged[:limit]})

    async def search(self, *, agent: str, query: str, limit: int) -> str:
        await trio.lowlevel.checkpoint()
        return json.dumps({"hits": [text for text in self.state.staged if query in text]})

    # AuditPort, GuestLog

    def record(self, record: AuditRecord) -> None:
        if self.audit_full:
            raise AuditUnavailable(why="disk full")
        self.state.audit.append(record)

    def guest_said(self, *, agent: str, task_id: bytes, level: str, text: str) -> None:
        self.said.append(f"{level}: {text}")

    def note(self, event: str, **facts: object) -> None:
        self.notes.append((event, facts))

    # ModulePort

    def problem(self, spec: AgentSpec, cid: str) -> str | None:
        approved = self.approved.setdefault(spec.name, cid)
        return None if cid == approved else f"{approved} was approved, and not {cid}"

    def approve(self, agent: str, cid: str) -> None:
        self.approved[agent] = cid

    # What the sandbox is given beside the ports

    def boundary(
        self, *, hidden: Sequence[str] = (), random_bytes: Callable[[int], bytes] = bytes
    ) -> Boundary:
        return Boundary(
            Ports(memory=self, tasks=self, journals=self, audit=self, log=self, modules=self),
            me=ME,
            resolve=self.trusted.get,
            wall_ms=lambda: self.now_ms,
            random_bytes=random_bytes,
            did_of=lambda name: f"{ME}#{name}",
            hidden=hidden,
        )

    def _act(self) -> None:
        assert self._depth, "a local effect outside of a transaction"
        if self.refuse is not None:
            raise self.refuse

    @property
    def events(self) -> list[str]:
        return [f"{record.event}:{record.function}" for record in self.state.audit]


def spec(**changes: object) -> AgentSpec:
    """An agent that may do everything and reach the friend's and its own node's readers."""
    facts: dict[str, object] = {
        "name": "writer",
        "wasm_path": "writer.wasm",
        "capabilities": ALL,
        "peers_allowed": ("friend/read*", "self/reader"),
    }
    return AgentSpec(**(facts | changes))  # type: ignore[arg-type]


def task(number: int = 1, **changes: object) -> TaskRun:
    """A task from the friend."""
    facts: dict[str, object] = {
        "id": number.to_bytes(32, "big"),
        "agent": "writer",
        "sender": FRIEND,
        "originator": FRIEND,
        "chain": (),
        "message_json": MESSAGE,
        "expires_ms": NOW_MS + 3_600_000,
    }
    return TaskRun(**(facts | changes))  # type: ignore[arg-type]
