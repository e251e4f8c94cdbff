"""One agent at work: its tasks, and what becomes of it when its workers fail or its owner speaks.

    starting ─ compiled, admitted, a worker is ready ─▶ ready ◀─ pause over ─┐
        │                                       ├─ worker failed ─▶ backing off
        │ module not admitted, `stop`           │                      │ too often
        ├───────────▶ held ── `start` ──▶ starting                      │
        ├─ component refused, no jail ──────────┼──────────────────────┤
        ▼                                       ▼ broke the jail       ▼
     stopped (why)  ◀───────────────────────────┴──────────────────────┘ ── `start` ──▶ starting

What a guest does wrong ends its task, not the agent. What a worker does wrong counts, and
a violation of the jail counts at once. While an agent is held its tasks wait; when it has
stopped by itself they fail, and say why.
"""

from dataclasses import replace
from pathlib import Path

import trio

from identity.cid import wasm_cid
from sandbox.agent_spec import AgentSpec
from sandbox.errors import (
    AgentBusy,
    AgentUnavailable,
    AuditUnavailable,
    CompileFailed,
    ModuleRefused,
    ZygoteLost,
)
from sandbox.host.agent_records import AgentRecords
from sandbox.host.agent_status import AgentStatus, Condition
from sandbox.host.attempt import Attempt
from sandbox.host.boundary import Desk
from sandbox.host.compile import Compiled, Compiler
from sandbox.host.errors import SpawnFailed
from sandbox.host.rerun import Replayed, rerun
from sandbox.host.usage import Usage, resident_bytes
from sandbox.host.worker_pool import ZYGOTE_PAUSE_S, WorkerPool
from sandbox.host.worker_session import Broken, Ending, Session
from sandbox.host.zygote import Zygote
from sandbox.ports import Cancelled, Completed, Failed, Interrupted, Outcome, TaskRun
from sandbox.trace import Trace

# For a guest that asks `is-cancelled`; then it is killed. Work of a node that lost its trust is
# gone within a second of that, so this and the time to notice are less.
CANCEL_GRACE_S = 0.5
ATTEMPTS_MAX = 3  # for one task, where the zygote dies under it


class AgentRunner:
    """A service: construct, then ``nursery.start_soon(runner.run)``."""

    def __init__(self, spec: AgentSpec, desk: Desk, zygote: Zygote, compiler: Compiler) -> None:
        self.spec = spec
        self.sessions: dict[bytes, Session[Attempt]] = {}
        self._desk = desk
        self._compiler = compiler
        self._usage: Usage = desk.usage
        self._records = records = AgentRecords(desk, self.stop)
        self._pool = WorkerPool(
            spec, zygote, stop=self.stop, violated=records.violated, lost=records.worker_lost
        )
        self._slots = trio.Semaphore(spec.workers)
        self._admitted: dict[bytes, bool] = {}  # tasks here, and whether they are to end
        self._changed = trio.Event()  # of what tasks wait for: set and replaced at each change
        self._stopped_why = ""
        self._held_why = ""
        self._node_stops = False

    async def run(self) -> None:
        """Keep a fresh worker ready while the agent may run. Ends with the node."""
        try:
            while not self._node_stops:
                # An agent that nobody will start again needs no service; `start` wakes this one.
                if not self._rests:
                    await self._serve()
                if self._rests and not self._node_stops:
                    await self._changed.wait()
        finally:
            self._pool.close()

    async def _serve(self) -> None:
        """One life of the agent: until it is held or stopped."""
        try:
            module = await self._compile()
            self._admit(module)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_when_resting, nursery.cancel_scope)
                await self._pool.keep_one_ready()
        except* AgentUnavailable:
            pass  # `why` is in the status, and every task is told
        finally:
            self._pool.close()

    async def _end_when_resting(self, scope: trio.CancelScope) -> None:
        while not self._rests:
            await self._changed.wait()
        scope.cancel()

    @property
    def _rests(self) -> bool:
        return bool(self._stopped_why or self._held_why)

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
        except AgentUnavailable:
            outcome = self._not_run(self._stopped_why)
        finally:
            del self._admitted[task.id]
        if isinstance(outcome, Failed):
            self._usage.failed += 1
        else:
            self._usage.completed += 1
        return outcome

    def cancel(self, task_id: bytes) -> bool:
        """The task is to end; False if it is not here."""
        if task_id not in self._admitted:
            return False
        self._admitted[task_id] = True
        if session := self.sessions.get(task_id):
            session.attempt.cancel(grace_s=CANCEL_GRACE_S)
        self._tell()
        return True

    def end_overdue(self, now_s: float) -> None:
        """Kill what has no time left."""
        for session in list(self.sessions.values()):
            if session.attempt.deadline_s <= now_s:
                is_cancelled = session.attempt.is_cancelled
                session.end(Ending.CANCELLED if is_cancelled else Ending.TIMEOUT)

    # What the owner and the supervisor say.

    def stop(self, why: str, *, node_stops: bool = False) -> None:
        """No further worker, and none that lives: all at once, nothing is waited for."""
        if not (node_stops or self._stopped_why):
            self._records.stopped(why)
        self._stopped_why = self._stopped_why or why
        self._node_stops = self._node_stops or node_stops
        self._end_sessions(Ending.NODE_STOPS if node_stops else Ending.AGENT_STOPPED)

    def hold(self, why: str) -> None:
        """As `stop`, but what runs and what waits is run again after `start`."""
        self._held_why = why
        self._end_sessions(Ending.RESTARTED)

    def start(self) -> None:
        """Run again, whatever kept the agent from it; failures before this count no more."""
        if self._node_stops:
            return
        self._stopped_why = self._held_why = ""
        self._pool.forget_failures()
        self._tell()

    def restart(self) -> None:
        """New workers at once; what ran has another attempt, and finds its calls answered."""
        self._pool.dismiss_all()
        self._end_sessions(Ending.RESTARTED)

    async def reload(self, *, approved: str | None = None) -> str:
        """Take the file as it is now; its CID. What runs finishes in a worker of the old one.

        Args:
            approved: what its owner approves now; the file must be exactly that.

        Raises:
            ModuleRefused: it is not the one that was approved; the agent goes on as it was.
            CompileFailed, OSError: it is no agent; likewise.
        """
        module = await self._compiled_once()
        cid = wasm_cid(module.sha256)
        try:
            self._check_approved(cid, approved)
        except (ModuleRefused, AuditUnavailable):
            module.code.close()
            raise
        if self._rests:
            module.code.close()
            self.start()
        else:
            self._admit(module)
        return cid

    def _check_approved(self, cid: str, approved: str | None) -> None:
        modules = self._desk.boundary.ports.modules
        if approved is not None and approved != cid:
            raise ModuleRefused(self.spec.name, why=f"its file is {cid}, and not {approved}")
        if approved is not None and self.spec.wasm_cid is None:
            modules.approve(self.spec.name, cid)
        problem = modules.problem(self.spec, cid)
        if problem is not None:
            raise ModuleRefused(self.spec.name, why=problem)

    async def replay(self, trace: Trace) -> Replayed:
        """Run a task that has ended once more, in a fresh worker; nothing comes of it.

        Raises:
            AgentUnavailable: the agent does not run.
        """
        if self._rests:
            raise AgentUnavailable(self.spec.name, why=self._stopped_why or self._held_why)
        lease = await self._pool.lease(f"a replay of {trace.task_id.hex()}")
        try:
            return await rerun(lease.worker, self._desk, trace, self._pool.limits)
        finally:
            self._pool.give_back(lease, is_whole=False)

    def _end_sessions(self, ending: Ending) -> None:
        for session in list(self.sessions.values()):
            session.end(ending)
        self._pool.dismiss_all()
        self._pool.hurry()
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    @property
    def status(self) -> AgentStatus:
        if self._rests:
            condition = Condition.STOPPED
        elif self._pool.is_pausing:
            condition = Condition.BACKING_OFF
        elif self._pool.idle or self.sessions:
            condition = Condition.READY
        else:
            condition = Condition.STARTING
        trouble = self._pool.trouble if condition != Condition.READY else ""
        module = self._pool.module
        return AgentStatus(
            name=self.spec.name,
            condition=condition,
            why=self._stopped_why or self._held_why or trouble,
            workers=self._pool.idle + len(self.sessions),
            running=len(self.sessions),
            waiting=len(self._admitted) - len(self.sessions),
            restarts=self._pool.restarts,
            wasm_sha256=module.sha256 if module else None,
            memory_bytes=resident_bytes(self._pool.pids()),
            usage=self._usage,
        )

    # One task.

    async def _attempts(self, task: TaskRun) -> Outcome:
        whose, left = _whose(task), ATTEMPTS_MAX
        while left:
            if not await self._may_run(task):
                return Cancelled()
            try:
                lease = await self._pool.lease(whose)
            except AgentUnavailable:
                if self._stopped_why:
                    raise
                continue  # held: what waits is run after `start`
            session = Session(lease.worker, Attempt(self._desk, task))
            self.sessions[task.id] = session
            is_whole, began_s = False, trio.current_time()
            try:
                outcome = await session.outcome(self._pool.limits)
                is_whole = not isinstance(outcome, Broken) and session.ending is None
            finally:
                del self.sessions[task.id]
                self._usage.run_s += trio.current_time() - began_s
                self._usage.burnt(session.fuel_used)
                self._pool.give_back(lease, is_whole=is_whole)
            if session.ending is Ending.RESTARTED and isinstance(outcome, Broken | Interrupted):
                continue
            if not isinstance(outcome, Broken):
                self._close(session, outcome, task)
                return _traced(outcome, session.attempt)
            if self._broken(outcome, task):
                return Failed("violation", outcome.why)
            if not outcome.is_zygotes:
                return Failed("worker-fault", outcome.why)
            left -= 1
        return Failed("worker-fault", "its process was lost again and again")

    async def _may_run(self, task: TaskRun) -> bool:
        """Wait while the agent is held or not yet compiled; False if the task is to end first.

        Raises:
            AgentUnavailable: the agent has stopped by itself.
        """
        while True:
            if self._admitted[task.id]:
                return False
            if self._stopped_why:
                raise AgentUnavailable(self.spec.name, why=self._stopped_why)
            if self._pool.module is not None:
                return True
            await self._changed.wait()

    def _close(self, session: Session[Attempt], outcome: Outcome, task: TaskRun) -> None:
        if session.attempt.has_asked and not isinstance(outcome, Interrupted):
            self._records.withdraw(task)
        if session.ending in (Ending.TIMEOUT, Ending.CANCELLED):
            self._records.killed(session.ending, task)

    def _not_run(self, why: str) -> Outcome:
        return Interrupted(why) if self._node_stops else Failed("agent-stopped", why)

    def _broken(self, broken: Broken, task: TaskRun) -> bool:
        """Draw the consequences of a failed worker; whether it had broken its jail."""
        if broken.how.violation:
            self._records.violated(broken.why, broken.why, task)
            return True
        if not broken.is_zygotes:
            self._pool.count_failure(broken.why)
        return False

    async def _take_slot(self) -> None:
        # trio gives up the turn even where a slot is free.
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            await self._slots.acquire()

    # The module.

    def _admit(self, module: Compiled) -> None:
        """Make workers of `module`, if it is the one that was approved, and if that is on record.

        Raises:
            AgentUnavailable: neither; the agent is held or has stopped, and says why.
        """
        cid = wasm_cid(module.sha256)
        try:
            problem = self._desk.boundary.ports.modules.problem(self.spec, cid)
        except AuditUnavailable as unavailable:
            problem = str(unavailable)
        if problem is None:
            self._records.admitted(module.sha256)
        else:
            self.hold(problem)
        if self._rests:
            module.code.close()
            raise AgentUnavailable(self.spec.name, why=self._stopped_why or self._held_why)
        self._desk.module_cid = cid
        self._pool.take_module(module)
        self._tell()

    async def _compile(self) -> Compiled:
        while True:
            await self._pool.pause()
            if self._rests:
                raise AgentUnavailable(self.spec.name, why=self._stopped_why)
            try:
                return await self._compiled_once()
            except SpawnFailed as failure:
                self._pool.count_failure(str(failure))
            except (CompileFailed, OSError) as failure:
                self.stop(str(failure))

    async def _compiled_once(self) -> Compiled:
        while True:
            try:
                return await self._compiler.compiled(Path(self.spec.wasm_path))
            except ZygoteLost:
                await trio.sleep(ZYGOTE_PAUSE_S)


def _traced(outcome: Outcome, attempt: Attempt) -> Outcome:
    match outcome:
        case Completed(parts):
            return replace(outcome, trace=attempt.trace(("ok", parts)))
        case Failed(code, why):
            return replace(outcome, trace=attempt.trace((code, why)))
        case _:
            return outcome


def _whose(task: TaskRun) -> str:
    """Whom a worker serves. The originator is the sender's word, so its node counts too."""
    return f"{task.sender.partition('/')[0]} {task.originator}"
