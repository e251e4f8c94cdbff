"""Running what the task engine says should run, and telling it how that ended.

    StartAttempt ─▶ Supervisor.run_task ─▶ outcome
                                             └─▶ one transaction: staged entries become
                                                 journal entries, the result is sealed

A task that is interrupted because the node stops has no outcome: it is run again after the start.
A disk that takes nothing delays the commit; what the agent found out is kept meanwhile.
"""

from collections.abc import Callable
from typing import assert_never

import structlog
import trio

from identity.did import Did
from sandbox import ports
from sandbox.errors import AgentBusy
from sandbox.host.supervisor import Supervisor
from sync.clock import Moment
from sync.errors import StoreBusy, StoreError, StoreFull, StoreReadOnly
from sync.journal_errors import JournalError
from sync.mesh import Mesh
from sync.proto import task_states
from sync.proto.task_events import AttemptEnded, StartAttempt

TROUBLE_PAUSE_S = 1.0  # between two tries to commit

log = structlog.get_logger()


class Attempts:
    """A service: construct, then ``await nursery.start(attempts.run)``."""

    def __init__(self, mesh: Mesh, supervisor: Supervisor, clock: Callable[[], Moment]) -> None:
        self._mesh = mesh
        self._supervisor = supervisor
        self._clock = clock
        self._nursery: trio.Nursery | None = None
        self._ongoing: set[bytes] = set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the running attempts until cancelled."""
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

    async def _attempt(self, attempt: StartAttempt) -> None:
        outcome = await self._outcome_on_a_well_disk(attempt)
        while outcome is not None:
            try:
                self._end(attempt, outcome)
                self._ongoing.discard(attempt.task_id)
                return
            except JournalError as refusal:  # what it staged cannot be kept, so it is not done
                outcome = task_states.Failed("journal", str(refusal))
                continue
            except (StoreFull, StoreReadOnly, StoreBusy) as trouble:
                _log_unsaved(attempt, trouble)
            await trio.sleep(TROUBLE_PAUSE_S)

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
        now = self._clock()
        with self._mesh.transaction():
            # Effects of the task and its result are one: both are kept, or neither.
            if isinstance(outcome, task_states.Completed):
                self._mesh.journals.commit_staged(attempt.task_id, now)
                self._mesh.say(self._mesh.journals.flush(now))
            else:
                self._mesh.journals.drop_staged(attempt.task_id)
            self._mesh.say(self._mesh.tasks.handle(AttemptEnded(attempt.task_id, outcome), now))

    async def _outcome(self, attempt: StartAttempt) -> task_states.Outcome | None:
        sender = str(Did(attempt.peer))
        run = ports.TaskRun(
            id=attempt.task_id,
            agent=attempt.agent,
            sender=attempt.chain[-1] if attempt.chain else sender,
            originator=originator_of(sender, str(Did(self._mesh.me)), attempt.chain),
            chain=attempt.chain,
            message_json=attempt.message,
            expires_ms=attempt.expires_ms,
        )
        try:
            ended = await self._supervisor.run_task(run)
        except AgentBusy as busy:
            return task_states.Failed("busy", str(busy))
        match ended:
            case ports.Completed(parts):
                return task_states.Completed(parts)
            case ports.Failed(code, why):
                log.info("task.failed", id=attempt.task_id.hex(), agent=attempt.agent, code=code)
                return task_states.Failed(code, why)
            case ports.Cancelled():
                return task_states.Cancelled()
            case ports.Interrupted():
                return None
            case _:
                assert_never(ended)


def _log_unsaved(attempt: StartAttempt, trouble: StoreError) -> None:
    task = attempt.task_id.hex()
    log.error("task.unsaved", id=task, why=str(trouble), hint=trouble.hint)


def originator_of(sender: str, me: str, chain: tuple[str, ...]) -> str:
    """Who is proven to have brought this work to us; what a chain says before that is a claim.

    The last hop of a chain is its author's. In a chain of our own that is the hop before our first.
    """
    if sender != me:
        return chain[-1] if chain else sender
    ours = next((at for at, hop in enumerate(chain) if hop.partition("/")[0] == me), 0)
    return chain[ours - 1] if ours else me
