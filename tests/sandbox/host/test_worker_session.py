"""One task in one worker, the worker played by a script: whatever it says, an outcome."""

from collections.abc import Sequence

import pytest

from sandbox.errors import MalformedFrame, WorkerLost
from sandbox.fault import Fault, FaultCode
from sandbox.host.attempt import Attempt
from sandbox.host.worker_session import Broken, Ending, Session, limits_of, task_json
from sandbox.host.zygote import Exit
from sandbox.hostcall import Answer, Call, Done, Faulted, FaultKind, Frame, Ready, Run
from sandbox.ports import Cancelled, Completed, Failed, Interrupted, Outcome
from tests.sandbox.fakes import FRIEND, MESSAGE, FakeNode, spec, task

LOST = WorkerLost(why="it closed its channel")
KILLED = Exit(signal=9)


class ScriptedWorker:
    """Says its frames one by one, whatever it hears; an exception is raised instead."""

    def __init__(self, says: Sequence[Frame | Exception], how: Exit) -> None:
        self._says = list(says)
        self._how = how
        self.heard: list[Frame] = []
        self.is_killed = False

    async def send(self, frame: Frame) -> None:
        self.heard.append(frame)

    async def receive(self) -> Frame:
        said = self._says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def kill(self) -> None:
        self.is_killed = True

    async def wait(self) -> Exit:
        return self._how


class Played:
    def __init__(
        self, *says: Frame | Exception, how: Exit = KILLED, node: FakeNode | None = None
    ) -> None:
        self.worker = ScriptedWorker(says, how)
        self.attempt = Attempt((node or FakeNode()).boundary().desk(spec()), task())
        self.session = Session(self.worker, self.attempt)  # type: ignore[arg-type]

    async def outcome(self) -> Outcome | Broken:
        return await self.session.outcome(limits_of(spec()))


async def test_the_guest_is_handed_its_task_and_its_calls_are_answered() -> None:
    played = Played(
        Call(0, "task.is-cancelled", ()),
        Call(1, "inference.prompt", ("{}",)),
        Done(True, '[ {"text": "done"} ]', 5),
    )
    assert await played.outcome() == Completed('[{"text":"done"}]')
    run, *answers = played.worker.heard
    assert run == Run(limits_of(spec()), task_json(task()))
    assert answers == [
        Answer(0, "false"),
        Answer(1, Fault(FaultCode.INVALID, "want either prompt or messages")),
    ]
    assert not played.worker.is_killed


def test_a_task_is_json_around_the_message() -> None:
    text = f'{{"id":"{task().id.hex()}","from":"{FRIEND}","message":{MESSAGE}}}'
    assert task_json(task()) == text


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FaultKind.TRAP, "trapped"),
        (FaultKind.STACK_OVERFLOW, "trapped"),
        (FaultKind.MALFORMED_TEXT, "trapped"),
        (FaultKind.OUT_OF_FUEL, "out-of-fuel"),
        (FaultKind.TOO_LONG, "invalid-result"),
    ],
)
async def test_a_guest_that_fails_leaves_its_worker_whole(kind: FaultKind, code: str) -> None:
    played = Played(Faulted(kind, "why" * 500))
    outcome = await played.outcome()
    assert outcome == Failed(code, ("why" * 500)[:500])
    assert not played.worker.is_killed


@pytest.mark.parametrize(
    "said",
    [
        Ready(jailed=True),
        Answer(0, "mine"),
        Call(7, "task.now", ()),
        Call(0, "task.now", ("more",)),
        MalformedFrame(why="length 0"),
        Faulted(FaultKind.WORKER, "a bug"),
        Faulted(FaultKind.REFUSED, "now?"),
    ],
)
async def test_a_worker_that_speaks_out_of_turn_is_killed(said: Frame | Exception) -> None:
    played = Played(said)
    outcome = await played.outcome()
    assert isinstance(outcome, Broken)
    assert not outcome.is_zygotes
    assert played.worker.is_killed


async def test_how_a_lost_worker_ended_is_told_apart() -> None:
    for how, violation, zygotes in (
        (Exit(signal=31), True, False),
        (Exit(signal=9), False, False),
        (Exit(code=70), False, False),
        (Exit(), False, True),
    ):
        outcome = await Played(LOST, how=how).outcome()
        assert isinstance(outcome, Broken)
        assert (outcome.how.violation, outcome.is_zygotes) == (violation, zygotes)


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (Ending.TIMEOUT, Failed("timeout", "no result and no progress within 30 s")),
        (Ending.CANCELLED, Cancelled()),
        (Ending.NODE_STOPS, Interrupted("the node stops")),
        (Ending.AGENT_STOPPED, Failed("agent-stopped", "the agent was stopped")),
    ],
)
async def test_the_first_reason_to_end_a_worker_is_told(ending: Ending, outcome: Outcome) -> None:
    played = Played(LOST)
    played.session.end(ending)
    played.session.end(Ending.NODE_STOPS)
    assert await played.outcome() == outcome


async def test_an_error_of_a_cancelled_guest_is_its_cancellation() -> None:
    played = Played(Done(False, "I was told to", 1))
    played.attempt.cancel(grace_s=1)
    assert await played.outcome() == Cancelled()
    assert await Played(Done(False, "no", 1)).outcome() == Failed("guest-error", "no")


async def test_another_call_than_before_ends_the_attempt_and_the_worker() -> None:
    node = FakeNode()
    await Played(Call(0, "journal.append", ("t", "one")), LOST, node=node).outcome()
    played = Played(Call(0, "journal.append", ("t", "two")), node=node)
    outcome = await played.outcome()
    assert isinstance(outcome, Failed)
    assert outcome.code == "nondeterministic"
    assert played.worker.is_killed
    assert node.state.staged == ["one"]
