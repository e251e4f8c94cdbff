"""Run a task that has ended once more, answered out of its trace, and see whether it is the same.

Nothing is reached and nothing is recorded: the guest's calls meet what it was told then. It
runs in a fresh worker, with the fuel and the wall clock of the agent as it is configured now.
"""

import contextlib
from dataclasses import dataclass

import trio

from sandbox.errors import AgentFault
from sandbox.host.boundary import Desk
from sandbox.host.worker_session import Broken, Session
from sandbox.host.zygote import WorkerProcess
from sandbox.hostcall import Call, Limits
from sandbox.kept import Answer
from sandbox.ports import Completed, Failed, Outcome, TaskRun
from sandbox.request import read_request
from sandbox.trace import Trace


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it.

    Attributes:
        differs: where it went another way than then, or empty: it did the same.
        calls: how many calls were answered.
    """

    differs: str
    calls: int


class Diverged(AgentFault):
    """The guest went another way; never seen outside."""


class Rerun:
    """Answers the calls of one guest out of a trace. In the place of an `Attempt`."""

    def __init__(self, desk: Desk, trace: Trace) -> None:
        self.desk = desk
        self.task = TaskRun(
            id=trace.task_id,
            agent=trace.agent,
            sender=trace.sender,
            originator=trace.sender,
            chain=(),
            message_json=trace.message_json,
            expires_ms=0,
        )
        self.is_cancelled = False
        self.answered = 0
        self._trace = trace

    async def answer(self, call: Call) -> Answer:
        """What it was told then.

        Raises:
            Diverged: it did not ask this then.
        """
        await trio.lowlevel.checkpoint()
        if call.number >= len(self._trace.calls):
            raise Diverged(f"call {call.number} is {call.function}, and then there was none")
        then = self._trace.calls[call.number]
        request = read_request(call.number, call.function, call.arguments)
        if call.function != then.function:
            raise Diverged(f"call {call.number} is {call.function}, then it was {then.function}")
        if request.hash != then.request_hash:
            raise Diverged(f"call {call.number} of {call.function} has other arguments")
        self.answered += 1
        return then.answer

    def abandon(self) -> None:
        """Nothing here waits."""


async def rerun(worker: WorkerProcess, desk: Desk, trace: Trace, limits: Limits) -> Replayed:
    """Run it in `worker`, which is of no more use afterwards."""
    again = Rerun(desk, trace)
    session = Session(worker, again)
    outcome: Outcome | Broken | None = None
    differs = ""
    with trio.move_on_after(desk.spec.wall_clock_s), contextlib.ExitStack() as stack:
        stack.callback(worker.kill)
        try:
            outcome = await session.outcome(limits)
        except Diverged as diverged:
            differs = str(diverged)
    if not differs:
        differs = _difference(outcome, again.answered, trace)
    return Replayed(differs, again.answered)


def _difference(outcome: Outcome | Broken | None, answered: int, trace: Trace) -> str:
    match outcome:
        case None:
            end = ("timeout", "no result within its wall clock")
        case Completed(parts):
            end = ("ok", parts)
        case Failed(code, why):
            end = (code, why)
        case _:
            return f"its worker was lost: {getattr(outcome, 'why', 'for no known reason')}"
    if answered < len(trace.calls):
        then = trace.calls[answered].function
        return f"it ended after {answered} calls, and then went on with {then}"
    if end[0] != trace.end[0]:
        return f"it ended with {end[0]}, then with {trace.end[0]}"
    if end != trace.end:
        return "all calls are the same, and the answer is another"
    return ""
