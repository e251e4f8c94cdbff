"""A rate is for calls: each counts once, whoever is asked meanwhile, and no other capability's."""

import itertools
from dataclasses import replace

import pytest
from trio.testing import MockClock

from sandbox.approvals import ApprovalRule, Approved, Decision, Question
from sandbox.capability import Capability
from sandbox.fault import Fault, FaultCode
from sandbox.host.attempt import Attempt
from sandbox.hostcall import Call
from sandbox.rate import Rate
from tests.sandbox.fakes import PARTS, FakeNode, spec, task

THREE = {Capability.JOURNAL: Rate.parse("3/h")}
ALWAYS = {Capability.JOURNAL: ApprovalRule("always")}


class SaysYes:
    """A person who agrees at once."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, question: Question) -> Decision:
        self.asked += 1
        return Approved(f"apr-{self.asked}")

    def consume(self, approval: str, subject: bytes, *, now_ms: int) -> None: ...
    def withdraw(self, task_id: bytes, why: str) -> None: ...


@pytest.mark.parametrize("approval", [{}, ALWAYS], ids=["plain", "approved"])
async def test_a_call_counts_once(
    autojump_clock: MockClock, approval: dict[Capability, ApprovalRule]
) -> None:
    """With a person in between the node looks twice; that is one call all the same."""
    node = FakeNode()
    boundary = node.boundary()
    boundary.ports = replace(boundary.ports, approvals=SaysYes())
    attempt = Attempt(boundary.desk(spec(rates=THREE, approval=approval)), task())
    numbers = itertools.count()

    async def append() -> str | Fault:
        return await attempt.answer(Call(next(numbers), "journal.append", ("tag", "text")))

    answers = [await append() for _ in range(4)]
    assert [isinstance(answer, Fault) for answer in answers] == [False, False, False, True]
    assert answers[3] == Fault(FaultCode.RATE_LIMITED, "more than 3/h of journal")
    assert len(node.state.staged) == 3
    other = await attempt.answer(Call(next(numbers), "a2a.send", ("friend/reader", PARTS)))
    assert not isinstance(other, Fault)


async def test_tasks_of_one_agent_share_its_rate(autojump_clock: MockClock) -> None:
    node = FakeNode()
    desk = node.boundary().desk(spec(rates=THREE))
    answers = [
        await Attempt(desk, task(number)).answer(Call(0, "journal.append", ("tag", "text")))
        for number in range(4)
    ]
    assert [isinstance(answer, Fault) for answer in answers] == [False, False, False, True]
