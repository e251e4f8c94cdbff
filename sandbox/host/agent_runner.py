"""One agent at work: its workers, and what becomes of it when they fail.

    starting ─ compiled, a worker is ready ─▶ ready ◀─ pause over ─┐
        │                                       ├─ worker failed ─▶ backing off
        │                                       │                      │ too often
        ├─ component refused, no jail ──────────┼──────────────────────┤
        ▼                                       ▼ broke the jail       ▼
     stopped (why)  ◀───────────────────────────┴──────────────────────┘

A worker serves one originator; the next task of the same one finds it warm, and a
fresh one stands ready for another. What a guest does wrong ends its task, not the
agent. What a worker does wrong counts, and a violation of the jail counts at once.
"""

import contextlib
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import trio

from identity.cid import wasm_cid
from sandbox.agent_spec import AgentSpec
from sandbox.audit import Event
from sandbox.errors import (
    AgentBusy,
    AgentUnavailable,
    AuditUnavailable,
    CompileFailed,
    JailMissing,
    PortRefused,
    ZygoteLost,
)
from sandbox.host.attempt import Attempt
from sandbox.host.boundary import Desk
from sandbox.host.compile import Compiled, Compiler
from sandbox.host.errors import ComponentRefused, SpawnFailed
from sandbox.host.worker_session import Broken, Ending, Session, limits_of
from sandbox.host.zygote import WorkerProcess, Zygote
from sandbox.ports import Cancelled, Failed, Interrupted, Outcome, TaskRun

RESTART_WINDOW_S = 600.0  # failures within it count together
BACKOFF_S_MAX = 300.0
CANCEL_GRACE_S = 1.0  # for a guest that asks `is-cancelled`; then it is killed
ZYGOTE_PAUSE_S = 0.05  # a new zygote needs about as long
ATTEMPTS_MAX = 3  # for one task, where the zygote dies under it
IDLE_EXTRA = 2  # warm workers of other originators kept beside `workers`


class Condition(StrEnum):
    """What an agent is doing, in one word for `status`."""

    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing-off"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """One agent in `status`. `why` is empty while all is well."""

    name: str
    condition: Condition
    why: str
    workers: int
    running: int
    waiting: int
    completed: int
    failed: int
    restarts: int
    wasm_sha256: bytes | None


@dataclass(slots=True)
class _Warm:
    """A worker between two tasks of one originator."""

    worker: WorkerProcess
    whose: str


class AgentRunner:
    """A service: construct, then ``nursery.start_soon(runner.run)``."""

    def __init__(self, spec: AgentSpec, desk: Desk, zygote: Zygote, compiler: Compiler) -> None:
        self.spec = spec
        self.sessions: dict[bytes, Session] = {}
        self._desk = desk
        self._zygote = zygote
        self._compiler = compiler
        self._limits = limits_of(spec)
        self._slots = trio.Semaphore(spec.workers)
        self._admitted: dict[bytes, bool] = {}  # tasks here, and whether they are to end
        self._warm: deque[_Warm] = deque()
        self._fresh: deque[WorkerProcess] = deque()
        self._spawning = trio.Lock()
        self._want_fresh = trio.Event()
        self._compiled: Compiled | None = None
        self._is_compiled = trio.Event()
        self._stopped_why = ""
        self._node_stops = False
        self._stopping = trio.Event()
        self._trouble = ""
        self._not_before_s = float("-inf")
        self._failures: deque[float] = deque()
        self._completed = 0
        self._failed = 0
        self._restarts = 0

    async def run(self) -> None:
        """Compile, then keep a fresh worker ready. Ends when the agent is stopped for good."""
        try:
            self._compiled = await self._compile()
            self._desk.module_cid = wasm_cid(self._compiled.sha256)
            self._is_compiled.set()
            while not self._stopped_why:
                self._want_fresh = trio.Event()
                async with self._spawning:
                    if not self._fresh:
                        self._fresh.append(await self._spawn())
                await self._want_fresh.wait()
        except AgentUnavailable:
            pass  # `why` is in the status, and every task is told
        finally:
            self._is_compiled.set()
            self._dismiss_all()
            if self._compiled is not None:
                self._compiled.code.close()
                self._compiled = None

    async def run_task(self, task: TaskRun) -> Outcome:
        """Run `task` to its end, when its turn comes.

        Raises:
            AgentBusy: `queue` tasks wait already.
        """
        if len(self._admitted) >= self.spec.queue + self.spec.workers:
            raise AgentBusy(self.spec.name, queue=self.spec.queue)
        assert task.id not in self._admitted, "a task runs once at a time"
        self._admitted[task.id] = False
        try:
            await self._take_slot()
            try:
                outcome = await self._attempts(task)
            finally:
                self._slots.release()
        except AgentUnavailable as unavailable:
            outcome = self._not_run(unavailable.why)
        finally:
            del self._admitted[task.id]
        if isinstance(outcome, Failed):
            self._failed += 1
        else:
            self._completed += 1
        return outcome

    def cancel(self, task_id: bytes) -> bool:
        """The task is to end; False if it is not here."""
        if task_id not in self._admitted:
            return False
        self._admitted[task_id] = True
        if session := self.sessions.get(task_id):
            session.attempt.cancel(grace_s=CANCEL_GRACE_S)
        return True

    def end_overdue(self, now_s: float) -> None:
        """Kill what has no time left."""
        for session in list(self.sessions.values()):
            if session.attempt.deadline_s <= now_s:
                is_cancelled = session.attempt.is_cancelled
                session.end(Ending.CANCELLED if is_cancelled else Ending.TIMEOUT)

    def stop(self, why: str, *, node_stops: bool = False) -> None:
        """No further worker, and none that lives: all at once, nothing is waited for."""
        if not (node_stops or self._stopped_why):
            self._desk.boundary.ports.log.note("agent.stopped", agent=self.spec.name, why=why)
        self._stopped_why = self._stopped_why or why
        self._node_stops = self._node_stops or node_stops
        for session in self.sessions.values():
            session.end(Ending.NODE_STOPS if node_stops else Ending.AGENT_STOPPED)
        self._dismiss_all()
        self._stopping.set()
        self._is_compiled.set()
        self._want_fresh.set()

    @property
    def status(self) -> AgentStatus:
        if self._stopped_why:
            condition = Condition.STOPPED
        elif self._not_before_s > trio.current_time():
            condition = Condition.BACKING_OFF
        elif self._fresh or self._warm or self.sessions:
            condition = Condition.READY
        else:
            condition = Condition.STARTING
        return AgentStatus(
            name=self.spec.name,
            condition=condition,
            why=self._stopped_why or (self._trouble if condition != Condition.READY else ""),
            workers=len(self._fresh) + len(self._warm) + len(self.sessions),
            running=len(self.sessions),
            waiting=len(self._admitted) - len(self.sessions),
            completed=self._completed,
            failed=self._failed,
            restarts=self._restarts,
            wasm_sha256=self._compiled.sha256 if self._compiled else None,
        )

    # One task.

    async def _attempts(self, task: TaskRun) -> Outcome:
        whose = _whose(task)
        for _ in range(ATTEMPTS_MAX):
            if self._admitted[task.id]:
                return Cancelled()
            worker = await self._worker_for(whose)
            session = Session(worker, Attempt(self._desk, task))
            self.sessions[task.id] = session
            is_whole = False
            try:
                outcome = await session.outcome(self._limits)
                is_whole = not isinstance(outcome, Broken) and session.ending is None
            finally:
                del self.sessions[task.id]
                self._give_back(worker, whose, is_whole=is_whole)
            if not isinstance(outcome, Broken):
                if session.attempt.has_asked and not isinstance(outcome, Interrupted):
                    self._withdraw(task)
                if session.ending in (Ending.TIMEOUT, Ending.CANCELLED):
                    self._record_kill(session.ending, task)
                return outcome
            if self._broken(outcome, task):
                return Failed("violation", outcome.why)
            if not outcome.is_zygotes:
                return Failed("worker-fault", outcome.why)
        return Failed("worker-fault", "its process was lost again and again")

    def _not_run(self, why: str) -> Outcome:
        return Interrupted(why) if self._node_stops else Failed("agent-stopped", why)

    def _broken(self, broken: Broken, task: TaskRun) -> bool:
        """Draw the consequences of a failed worker; whether it had broken its jail."""
        if broken.how.violation:
            self._record(Event.VIOLATION, code="violation", detail=broken.why, task=task)
            self._desk.boundary.ports.log.note(
                "agent.violation", agent=self.spec.name, task=task.id.hex(), why=broken.why
            )
            self.stop(f"violation: a worker broke its jail ({broken.why})")
            return True
        if not broken.is_zygotes:
            self._count_failure(broken.why)
        return False

    # Workers.

    async def _take_slot(self) -> None:
        # trio gives up the turn even where a slot is free.
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            await self._slots.acquire()

    async def _worker_for(self, whose: str) -> WorkerProcess:
        """A worker that has served nobody else, warm if possible."""
        if not self._is_compiled.is_set():  # waiting for what has happened costs a turn too
            await self._is_compiled.wait()
        for warm in self._warm:
            if warm.whose == whose or self.spec.share_originators:
                self._warm.remove(warm)
                return warm.worker
        # Someone new: one fresh worker is used up, so another is made meanwhile.
        async with self._spawning:
            worker = self._fresh.popleft() if self._fresh else await self._spawn()
        if self._warm and not self.spec.share_originators:
            self._want_fresh.set()
        return worker

    def _give_back(self, worker: WorkerProcess, whose: str, *, is_whole: bool) -> None:
        if not is_whole or self._stopped_why:
            _dismiss(worker)
            self._want_fresh.set()
            return
        self._warm.append(_Warm(worker, whose))
        while len(self._warm) > self.spec.workers + IDLE_EXTRA:
            _dismiss(self._warm.popleft().worker)

    async def _spawn(self) -> WorkerProcess:
        """A fresh worker, after the pause that earlier failures have earned.

        Raises:
            AgentUnavailable: there will be none.
        """
        while True:
            await self._pause()
            if self._stopped_why or self._compiled is None:
                raise AgentUnavailable(self.spec.name, why=self._stopped_why)
            try:
                return await self._zygote.spawn(self._compiled.code, self._limits)
            except ZygoteLost:
                await trio.sleep(ZYGOTE_PAUSE_S)
            except SpawnFailed as failure:
                if failure.how is not None and failure.how.violation:
                    self._record(Event.VIOLATION, code="violation", detail=str(failure))
                    self.stop(f"violation: a worker broke its jail ({failure.why})")
                else:
                    self._count_failure(str(failure))
            except (ComponentRefused, JailMissing) as refused:
                self.stop(str(refused))

    async def _compile(self) -> Compiled:
        while True:
            await self._pause()
            try:
                compiled = await self._compiler.compiled(Path(self.spec.wasm_path))
            except ZygoteLost:
                await trio.sleep(ZYGOTE_PAUSE_S)
            except SpawnFailed as failure:
                self._count_failure(str(failure))
            except (CompileFailed, OSError) as failure:
                self.stop(str(failure))
            else:
                granted = " ".join(sorted(self.spec.capabilities)) or "nothing"
                detail = f"wasm {compiled.sha256.hex()} may use {granted}"
                self._record(Event.ADMITTED, code="", detail=detail)
                return compiled
            if self._stopped_why:
                raise AgentUnavailable(self.spec.name, why=self._stopped_why)

    async def _pause(self) -> None:
        """The pause that earlier failures have earned; over at once when the agent stops."""
        if self._not_before_s > trio.current_time():
            with trio.move_on_at(self._not_before_s):
                await self._stopping.wait()

    def _count_failure(self, why: str) -> None:
        """One more worker is lost: pause, longer each time, and give up in the end."""
        now_s = trio.current_time()
        self._failures.append(now_s)
        while self._failures[0] < now_s - RESTART_WINDOW_S:
            self._failures.popleft()
        self._trouble = why
        self._desk.boundary.ports.log.note("agent.worker_lost", agent=self.spec.name, why=why)
        if len(self._failures) > self.spec.max_restarts:
            self.stop(f"gave up after {len(self._failures)} failures; the last: {why}")
            return
        self._restarts += 1
        doublings = len(self._failures) - 1
        pause_s = min(self.spec.restart_backoff_s * 2.0**doublings, BACKOFF_S_MAX)
        self._not_before_s = now_s + pause_s

    def _dismiss_all(self) -> None:
        for warm in self._warm:
            _dismiss(warm.worker)
        for worker in self._fresh:
            _dismiss(worker)
        self._warm.clear()
        self._fresh.clear()

    def _withdraw(self, task: TaskRun) -> None:
        """Nobody waits for a person any more; what was answered already stays as it is."""
        approvals = self._desk.boundary.ports.approvals
        assert approvals is not None, "somebody was asked"
        try:
            approvals.withdraw(task.id, "the task has ended")
        except (PortRefused, AuditUnavailable) as trouble:
            # It expires by itself; until then a yes to it is good for nothing.
            self._desk.boundary.ports.log.note("approval.not_withdrawn", why=str(trouble))

    def _record_kill(self, ending: Ending, task: TaskRun) -> None:
        # The kill has happened; a log that is full must not bring the worker back.
        with contextlib.suppress(AuditUnavailable):
            detail = f"the node ended the worker: {ending}"
            self._desk.note(Event.KILLED, code=ending.value, detail=detail, task=task)

    def _record(self, event: Event, *, code: str, detail: str, task: TaskRun | None = None) -> None:
        """Write it down; where that fails the agent is stopped, since it may no longer act."""
        try:
            self._desk.note(event, code=code, detail=detail, task=task)
        except AuditUnavailable as unavailable:
            self.stop(str(unavailable))


def _dismiss(worker: WorkerProcess) -> None:
    worker.kill()
    worker.close()


def _whose(task: TaskRun) -> str:
    """Whom a worker serves. The originator is the sender's word, so its node counts too."""
    return f"{task.sender.partition('/')[0]} {task.originator}"
