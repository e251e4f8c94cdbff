"""Running what the task engine says should run, and telling it how that ended.

    StartAttempt ─▶ Supervisor.run_task ─▶ outcome
                                             └─▶ one transaction: staged entries become
                                                 journal entries, the result is sealed,
                                                 and last the agent's database commits

The agent's database is a file of its own, and commits first. If we die before node.db has
committed, a row in that file tells the next start that the task is done, and how.

A task that is interrupted because the node stops has no outcome: it is run again after the start.
A disk that takes nothing delays the commit; what the agent found out is kept meanwhile.
"""

from collections.abc import Callable
from typing import assert_never

import structlog
import trio

from akshi_mesh.traces import Traces
from akshi_mesh.whose_work import originator_of
from identity.did import Did
from sandbox import ports
from sandbox.errors import ActFailed, AgentBusy, ChangesLost
from sandbox.host.databases import Databases
from sandbox.host.supervisor import Supervisor
from sync.clock import Moment
from sync.errors import StoreBusy, StoreError, StoreFull, StoreReadOnly
from sync.journal_errors import JournalError
from sync.mesh import Mesh
from sync.proto import task_states
from sync.proto.task_events import AttemptEnded, EndFound, StartAttempt
from sync.proto.tasks_receiving import presentable

TROUBLE_PAUSE_S = 1.0  # between two tries to commit

log = structlog.get_logger()


class Attempts:
    """A service: construct, then ``await nursery.start(attempts.run)``."""

    def __init__(
        self,
        mesh: Mesh,
        supervisor: Supervisor,
        databases: Databases,
        traces: Traces,
        clock: Callable[[], Moment],
    ) -> None:
        self._mesh = mesh
        self._supervisor = supervisor
        self._databases = databases
        self._traces = traces
        self._traced: dict[bytes, bytes] = {}
        self._clock = clock
        self._nursery: trio.Nursery | None = None
        self._ongoing: set[bytes] = set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tell what an earlier run left untold, then hold the running attempts until cancelled."""
        self._tell_what_had_ended()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def start(self, attempt: StartAttempt) -> None:
        assert self._nursery is not None, "attempts start while the service runs"
        # An engine whose transaction failed begins again what is under way here already.
        if attempt.task_id not in self._ongoing:
            self._ongoing.add(attempt.task_id)
            self._nursery.start_soon(self._attempt, attempt)

    def cancel(self, task_id: bytes) -> None:
        self._supervisor.cancel(task_id)

    def _tell_what_had_ended(self) -> None:
        for agent in self._databases.agents():
            try:
                ended = self._databases.ended(agent)
                for task_id, result in ended.items():
                    self._tell_end(agent, task_id, result)
                self._databases.forget(agent, ended)
            except ActFailed as trouble:
                log.error(
                    "database.unreadable", agent=agent, why=trouble.why, hint="akshi-node fsck"
                )

    def _tell_end(self, agent: str, task_id: bytes, result: bytes) -> None:
        """Its database has it, so the task is done, even if node.db heard of a cancel since."""
        now, outcome = self._clock(), task_states.Completed(result.decode())
        with self._mesh.transaction():
            effects = self._mesh.tasks.handle(EndFound(task_id, outcome), now)
            if effects:
                log.info("task.end_found", id=task_id.hex(), agent=agent)
                self._mesh.journals.commit_staged(task_id, now)
                self._mesh.say(self._mesh.journals.flush(now))
            self._mesh.say(effects)

    async def _attempt(self, attempt: StartAttempt) -> None:
        outcome = await self._outcome_on_a_well_disk(attempt)
        while outcome is not None:
            outcome = presentable(outcome)
            try:
                if isinstance(outcome, task_states.Completed):
                    await self._databases.prepare(attempt.task_id, outcome.parts.encode())
                self._end(attempt, outcome)
            except JournalError as refusal:  # what it staged cannot be kept, so it is not done
                outcome = task_states.Failed("journal", str(refusal))
            except ChangesLost as lost:
                outcome = task_states.Failed("database", lost.why)
            except (StoreFull, StoreReadOnly, StoreBusy, ActFailed) as trouble:
                _log_unsaved(attempt, trouble)
                await trio.sleep(TROUBLE_PAUSE_S)
            else:
                self._ongoing.discard(attempt.task_id)
                self._traced.pop(attempt.task_id, None)
                await self._tidy(attempt)
                return
        self._databases.roll_back(attempt.task_id)

    async def _tidy(self, attempt: StartAttempt) -> None:
        try:
            await self._databases.finish(attempt.task_id)
        except ActFailed as trouble:  # the row stays, and the next start removes it
            log.warning("database.untidy", agent=attempt.agent, why=trouble.why)

    async def _outcome_on_a_well_disk(self, attempt: StartAttempt) -> task_states.Outcome | None:
        """A failure while the disk took nothing is not the task's: it gets another attempt."""
        while True:
            before = self._mesh.failures
            outcome = await self._outcome(attempt)
            if not isinstance(outcome, task_states.Failed) or self._mesh.failures == before:
                return outcome
            await self._wait_well(attempt)

    async def _wait_well(self, attempt: StartAttempt) -> None:
        while True:
            await trio.sleep(TROUBLE_PAUSE_S)
            try:
                self._mesh.touch()
                return
            except (StoreFull, StoreReadOnly, StoreBusy) as trouble:
                _log_unsaved(attempt, trouble)

    def _end(self, attempt: StartAttempt, outcome: task_states.Outcome) -> None:
        now, is_well = self._clock(), isinstance(outcome, task_states.Completed)
        if not is_well:
            self._databases.roll_back(attempt.task_id)
        with self._mesh.transaction():
            # Effects of the task and its result are one: both are kept, or neither.
            if is_well:
                self._mesh.journals.commit_staged(attempt.task_id, now)
                self._mesh.say(self._mesh.journals.flush(now))
            else:
                self._mesh.journals.drop_staged(attempt.task_id)
            effects = self._mesh.tasks.handle(AttemptEnded(attempt.task_id, outcome), now)
            self._mesh.say(effects)
            trace = self._traced.get(attempt.task_id)
            if trace is not None:
                self._traces.keep(attempt.task_id, trace)
            if is_well and effects:  # the engine may know that it ended otherwise
                self._databases.commit(attempt.task_id)

    def _note_trace(self, attempt: StartAttempt, trace: bytes | None) -> None:
        """Keep it until this task ends; an attempt that is not the last leaves nothing."""
        if trace is None:
            self._traced.pop(attempt.task_id, None)
        else:
            self._traced[attempt.task_id] = trace

    async def _outcome(self, attempt: StartAttempt) -> task_states.Outcome | None:
        self._databases.roll_back(attempt.task_id)  # what an attempt that failed has left
        sender = str(Did(attempt.peer))
        run = ports.TaskRun(
            id=attempt.task_id,
            agent=attempt.agent,
            sender=attempt.chain[-1] if attempt.chain else sender,
            originator=originator_of(sender, str(Did(self._mesh.me)), attempt.chain),
            chain=attempt.chain,
            message_json=attempt.message,
            expires_ms=attempt.expires_ms,
            scope=attempt.scope,
        )
        try:
            ended = await self._supervisor.run_task(run)
        except AgentBusy as busy:
            return task_states.Failed("busy", str(busy))
        match ended:
            case ports.Completed(parts, trace):
                self._note_trace(attempt, trace)
                return task_states.Completed(parts)
            case ports.Failed(code, why, trace):
                self._note_trace(attempt, trace)
                log.info("task.failed", id=attempt.task_id.hex(), agent=attempt.agent, code=code)
                return task_states.Failed(code, why)
            case ports.Cancelled():
                return task_states.Cancelled()
            case ports.Interrupted():
                return None
            case _:
                assert_never(ended)


def _log_unsaved(attempt: StartAttempt, trouble: StoreError | ActFailed) -> None:
    task = attempt.task_id.hex()
    log.error("task.unsaved", id=task, why=str(trouble), hint=trouble.hint)
