"""What agents reach of the mesh: their calls' memory, tasks for others, their own journal.

Each class fits a protocol of `sandbox.ports`. What they write joins the transaction of the
host call that asked for it, and what must leave the node leaves when that has committed.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
import trio

from akshi_mesh.finder import Finder
from akshi_mesh.switchboard import Switchboard
from akshi_mesh.waits import Waits
from akshi_mesh.whose_work import originator_of
from identity.caps import Scope
from identity.did import Did
from sandbox.agent_address import AgentAddress
from sandbox.errors import PortRefused
from sandbox.fault import FaultCode
from sandbox.find import FindEntries
from sandbox.ports import EndedTask, Remembered
from sync.clock import Moment
from sync.errors import (
    MalformedTask,
    StoreBusy,
    StoreFull,
    StoreReadOnly,
    StoreUnreadable,
    SubmitRefused,
    TooManyCalls,
    UnknownTask,
)
from sync.hybrid_clock import wall_of
from sync.journal_errors import JournalError
from sync.mesh import Mesh
from sync.proto.task_events import ProgressMade
from sync.proto.task_records import Origin
from sync.proto.tasks_sending import Order
from sync.store.calls import Calls
from sync.store.journals_view import Seen, View
from sync.store.tasks import TaskTables

log = structlog.get_logger()

Clock = Callable[[], Moment]
# Of an originator, the hops, and the scope of a task: the scope of what that task sends.
ScopeOf = Callable[[str, tuple[str, ...], Scope | None], Scope | None]


@contextmanager
def _store_refuses() -> Iterator[None]:
    """A disk that takes nothing is the guest's to hear of, and its task's to fail of."""
    try:
        yield
    except (StoreFull, StoreReadOnly, StoreBusy) as trouble:
        why = "the node's disk takes nothing now"
        log.error("store.trouble", why=str(trouble), hint=trouble.hint)
        raise PortRefused(FaultCode.UNAVAILABLE, why) from trouble


class Memory:
    """`CallMemory`: the answered calls of unfinished tasks."""

    def __init__(self, mesh: Mesh, calls: Calls) -> None:
        self._mesh = mesh
        self._calls = calls

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        with _store_refuses(), self._mesh.transaction(fsync=durable):
            yield

    @_store_refuses()
    def recall(self, task_id: bytes, number: int) -> Remembered | None:
        found = self._calls.recall(task_id, number)
        return Remembered(found.request_hash, found.answer) if found else None

    @_store_refuses()
    def remember(self, task_id: bytes, number: int, request_hash: bytes, answer: bytes) -> None:
        try:
            self._calls.remember(task_id, number, request_hash, answer)
        except TooManyCalls as full:
            raise PortRefused(FaultCode.RATE_LIMITED, str(full)) from full

    @_store_refuses()
    def conclude(self, task_id: bytes, number: int, answer: bytes) -> None:
        try:
            self._calls.conclude(task_id, number, answer)
        except TooManyCalls as full:
            raise PortRefused(FaultCode.RATE_LIMITED, str(full)) from full


class Errands:
    """`TaskPort`: tasks this node sends for its agents."""

    def __init__(
        self,
        mesh: Mesh,
        tables: TaskTables,
        switchboard: Switchboard,
        clock: Clock,
        waits: Waits,
        *,
        scope_of: ScopeOf,
    ) -> None:
        self._narrowed = scope_of
        self._waits = waits
        self._mesh = mesh
        self._tables = tables
        self._switchboard = switchboard
        self._clock = clock

    @_store_refuses()
    def send(
        self,
        *,
        task_id: bytes,
        number: int,
        from_agent: str,  # noqa: ARG002 - the chain ends with it
        chain: tuple[str, ...],
        target: str,
        parts_json: str,
        expires_ms: int,
    ) -> str:
        address = AgentAddress.parse(target)
        order = Order(
            peer=Did.parse(address.node).public_key,
            agent=address.agent,
            parts=parts_json,
            chain=chain,
            origin=Origin(task_id, number),
            expires_ms=expires_ms,
            scope=self._scope_of(task_id),
        )
        try:
            made, effects = self._mesh.tasks.submit(order, self._clock())
        except (SubmitRefused, MalformedTask) as refusal:
            code = (
                FaultCode.INVALID if isinstance(refusal, MalformedTask) else FaultCode.NOT_ALLOWED
            )
            raise PortRefused(code, str(refusal)) from refusal
        self._mesh.say(effects)
        return made.hex()

    def _scope_of(self, task_id: bytes) -> Scope | None:
        """What the task that sends may itself use now: the new one gets no more."""
        task = self._tables.received.get(task_id)
        assert task is not None, "only a task that runs here sends"
        sender, me = str(Did(task.peer)), str(Did(self._mesh.me))
        originator = originator_of(sender, me, task.chain)
        return self._narrowed(originator, task.chain, task.scope)

    async def wait(
        self, *, task_id: bytes, ids: Sequence[str], timeout_s: float
    ) -> EndedTask | None:
        wanted = [bytes.fromhex(text) for text in ids]
        agent, targets = self._who_waits(task_id, wanted)
        if self._waits.would_stand_still(agent, targets):
            why = f"{', '.join(sorted(targets))} waits for {agent} itself"
            raise PortRefused(FaultCode.NOT_ALLOWED, why)
        with self._waits.under_way(task_id, agent, targets), trio.move_on_after(timeout_s):
            while True:
                for sent_id in wanted:
                    sent = self._tables.sent.get(sent_id)
                    if sent is not None and sent.ended_ms is not None:
                        return EndedTask(sent_id.hex(), sent.result or "null")
                await self._switchboard.wait_changed(wanted)
        return None

    def _who_waits(self, task_id: bytes, ids: Sequence[bytes]) -> tuple[str, frozenset[str]]:
        """The agent that asks, and for which agents here it waits: none if others may end first."""
        asking = self._tables.received.get(task_id)
        assert asking is not None, "only a task that runs here waits"
        sent = [task for task in map(self._tables.sent.get, ids) if task is not None]
        if any(task.peer != self._mesh.me or task.ended_ms is not None for task in sent):
            return asking.agent, frozenset()
        return asking.agent, frozenset(task.agent for task in sent)

    @_store_refuses()
    def cancel(self, *, task_id: bytes, id: str) -> None:  # noqa: ARG002 - as `wait`
        try:
            self._mesh.say(self._mesh.tasks.cancel(bytes.fromhex(id), self._clock()))
        except UnknownTask as unknown:
            raise PortRefused(FaultCode.INVALID, str(unknown)) from unknown

    @_store_refuses()
    def progress(self, *, task_id: bytes, text: str) -> None:
        self._mesh.say(self._mesh.tasks.handle(ProgressMade(task_id, text), self._clock()))


class Diaries:
    """`JournalPort`: the journal that carries the agent's name."""

    def __init__(
        self, mesh: Mesh, view: View, finder: Finder, author: Callable[[str], bytes], clock: Clock
    ) -> None:
        """`author` gives the public key under which the agent of a name writes."""
        self._mesh = mesh
        self._view = view
        self._finder = finder
        self._author = author
        self._clock = clock

    @_store_refuses()
    def stage(
        self, *, agent: str, task_id: bytes, number: int, originator: str, tag: str, text: str
    ) -> str:
        try:
            entry_id = self._mesh.journals.stage(
                agent,
                self._author(agent),
                task_id=task_id,
                number=number,
                tag=tag,
                text=text,
                originator=originator,
                now=self._clock(),
            )
        except JournalError as refusal:
            raise PortRefused(FaultCode.INVALID, str(refusal)) from refusal
        return json.dumps({"id": entry_id})

    @_store_refuses()
    def read(self, *, agent: str, task_id: bytes, after: str, limit: int) -> str:
        try:
            seen = self._view.read(agent, after=after, limit=limit, now_ms=self._clock().wall_ms)
        except JournalError as refusal:
            raise PortRefused(FaultCode.INVALID, str(refusal)) from refusal
        entries = [as_json(entry) for entry in seen]
        if len(seen) >= limit:
            return json.dumps({"entries": entries, "next": str(seen[-1].cursor)})
        staged = self._mesh.journals.staged(task_id)[: limit - len(seen)]
        entries += [
            {"id": s.nonce.hex(), "tag": s.tag, "text": s.text, "originator": s.originator}
            for s in staged
        ]
        return json.dumps({"entries": entries, "next": None})

    async def search(self, *, agent: str, query: str, limit: int) -> str:
        return await self.find(agent=agent, wish=FindEntries(query, "keyword", limit))

    async def find(self, *, agent: str, wish: FindEntries) -> str:
        try:
            with _store_refuses():
                hits = await self._finder.find(agent, wish, now_ms=self._clock().wall_ms)
        except JournalError as refusal:
            raise PortRefused(FaultCode.INVALID, str(refusal)) from refusal
        except StoreUnreadable as trouble:
            raise PortRefused(FaultCode.UNAVAILABLE, trouble.why) from trouble
        return json.dumps(
            {"entries": [{**as_json(hit.seen), "score": round(hit.score, 6)} for hit in hits]}
        )


class AgentLog:
    """`GuestLog`: what agents say, as events of the node's own log."""

    def guest_said(self, *, agent: str, task_id: bytes, level: str, text: str) -> None:
        log.info("agent.said", agent=agent, task=task_id.hex(), said=level, text=text)

    def note(self, event: str, **facts: object) -> None:
        log.warning(event, **facts)


def as_json(seen: Seen) -> dict[str, str | int]:
    """An entry as docs/spec/agent-abi.md shows it to guests."""
    return {
        "id": seen.entry.nonce.hex(),
        "at_ms": wall_of(seen.entry.time),
        "author": str(Did(seen.author)),
        "originator": seen.entry.originator,
        "tag": seen.entry.tag,
        "text": seen.entry.text,
    }
