"""Floods: what a guest can make the node remember is bounded, and what it did is still counted."""

import itertools
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest
import trio.testing

from akshi_mesh.approvals.table import CLOSED_PER_AGENT_MAX
from sandbox.approval_life import PENDING_PER_AGENT_MAX
from sandbox.approvals import ApprovalRule
from sandbox.audit import FOLDS_MAX, AuditRecord, Event
from sandbox.capability import Capability
from sandbox.fault import Fault, FaultCode
from sandbox.host.attempt import KEPT_BYTES_MAX, Attempt
from sandbox.hostcall import Call
from sandbox.ledger import RECORDS_BURST, Ledger
from sandbox.trace import TRACE_BYTES_MAX
from sync.errors import TooManyCalls
from sync.store.calls import ANSWER_BYTES_MAX, CALLS_MAX, Calls
from sync.store.database import MEMORY, Database
from sync.store.tasks_schema import SCHEMA
from tests.akshi_mesh.approvals.desks import World
from tests.sandbox.fakes import NOW_MS, FakeNode, spec, task

MIB = 1 << 20


@pytest.fixture
def allocated() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


class Endless(FakeNode):
    """A journal that always has a megabyte to tell."""

    def read(self, *, agent: str, task_id: bytes, after: str, limit: int) -> str:
        return f"{after:>{ANSWER_BYTES_MAX - 100}}"


async def test_memory_of_remembered_calls_under_a_flood(
    autojump_clock: trio.testing.MockClock, allocated: None
) -> None:
    """Forty megabytes of answers are asked for; sixteen are given, and then no more."""
    node = Endless()
    attempt = Attempt(node.boundary().desk(spec()), task())
    given, refused = 0, 0
    for number in range(40):
        answer = await attempt.answer(Call(number, "journal.read", (str(number), 1)))
        if isinstance(answer, Fault):
            assert answer.code is FaultCode.BUDGET_EXCEEDED
            refused += 1
        else:
            assert not refused, "an answer after the limit"
            given += len(answer)
    assert refused > 20
    assert given <= KEPT_BYTES_MAX + 2 * ANSWER_BYTES_MAX
    now, _peak = tracemalloc.get_traced_memory()
    assert now < KEPT_BYTES_MAX + 4 * MIB
    assert attempt.trace(("ok", "[]")) is None
    assert attempt._told_chars <= TRACE_BYTES_MAX + ANSWER_BYTES_MAX


def test_rows_of_remembered_calls_under_a_flood() -> None:
    """The store's own end, for whatever reaches it: ten thousand calls of one task."""
    calls = Calls(Database.open(MEMORY, schemas=SCHEMA))
    with calls.transaction():
        for number in range(CALLS_MAX):
            calls.remember(bytes(32), number, bytes(32), b"o")
        with pytest.raises(TooManyCalls):
            calls.remember(bytes(32), CALLS_MAX, bytes(32), b"o")


async def test_memory_of_audit_under_a_flood_of_equal_refusals(
    autojump_clock: trio.testing.MockClock,
) -> None:
    node = FakeNode()
    desk = node.boundary().desk(spec(capabilities=frozenset()))
    attempt = Attempt(desk, task())
    for number in range(5_000):
        await attempt.answer(Call(number, "journal.append", ("tag", "text")))
        node.now_ms = NOW_MS + number // 4  # 4,000 calls a second is its pace
    desk.ledger.close()
    assert len(node.state.audit) < 10
    assert sum(record.count for record in node.state.audit) == 5_000
    assert {record.event for record in node.state.audit} == {Event.REFUSED}


def test_memory_of_audit_under_a_flood_of_invented_refusals() -> None:
    """No two alike: each is written while the budget lasts, then they lose what sets them apart."""
    node = FakeNode()
    ledger = Ledger(node, now_s=0.0)
    flood = RECORDS_BURST + 20_000
    first = AuditRecord(
        NOW_MS, Event.REFUSED, "a", "o", bytes(32), 0, "journal.append", "invalid", "", bytes(32)
    )
    for number in range(flood):
        assert ledger.record(replace(first, detail=str(number)), now_s=0.0)
        assert len(ledger._folding) <= FOLDS_MAX
    ledger.close()
    assert sum(record.count for record in node.state.audit) == flood
    assert len(node.state.audit) <= RECORDS_BURST + 2 * FOLDS_MAX


async def test_memory_of_audit_under_a_flood_of_acts() -> None:
    """What cannot be recorded does not happen: the budget of records is one of acts, too."""
    node = FakeNode()
    ledger = Ledger(node, now_s=0.0)
    act = AuditRecord(
        NOW_MS, Event.DONE, "a", "o", bytes(32), 0, "journal.append", "", "", bytes(32)
    )
    done = sum(ledger.record(act, now_s=0.0) for _ in range(RECORDS_BURST + 5_000))
    assert done == RECORDS_BURST == len(node.state.audit)


async def test_memory_of_approvals_under_a_flood(nursery: trio.Nursery) -> None:
    """Three hundred tasks ask at once and go away again; eight stay open, few rows stay."""
    node, world = FakeNode(), World(wall_ms=NOW_MS)
    desk = world.desk()
    boundary = node.boundary()
    boundary.ports = replace(boundary.ports, approvals=desk)
    agent = boundary.desk(spec(approval={Capability.JOURNAL: ApprovalRule("always")}))
    answers: list[str | Fault] = []

    async def ask(number: int) -> None:
        attempt = Attempt(agent, task(number))
        answers.append(await attempt.answer(Call(0, "journal.append", ("tag", str(number)))))

    numbers = itertools.count(1)
    for _ in range(300):
        number = next(numbers)
        with trio.CancelScope() as scope:
            nursery.start_soon(ask, number)
            await trio.testing.wait_all_tasks_blocked()
        assert not scope.cancelled_caught
        assert len(desk.table.open()) <= PENDING_PER_AGENT_MAX
        if number % 2:
            desk.withdraw(task(number).id, "its task has ended")
            await trio.testing.wait_all_tasks_blocked()
        world.pass_ms(1_000)
        node.now_ms += 1_000
    assert len(desk.table.open()) == PENDING_PER_AGENT_MAX
    assert len(desk.table.closed(limit=10_000)) <= CLOSED_PER_AGENT_MAX
    assert [answer for answer in answers if isinstance(answer, str)] == []
    assert node.state.staged == []
    nursery.cancel_scope.cancel()
