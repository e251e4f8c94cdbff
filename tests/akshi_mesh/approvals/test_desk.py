"""The desk: one answer to one question, kept over restarts, and never a yes too many."""

import contextlib
from dataclasses import replace

import pytest
import trio
import trio.testing

from akshi_mesh.approvals.errors import NotAnOperator, UnknownApproval
from sandbox.approval_life import Approval, Standing
from sandbox.approvals import (
    Approved,
    Denied,
    TimedOut,
    Withdrawn,
)
from sandbox.audit import Event
from sandbox.errors import AlreadyVoted, ApprovalClosed, AuditUnavailable, PortRefused
from sandbox.fault import FaultCode
from sync.errors import StoreFull
from tests.akshi_mesh.approvals.desks import (
    ALICE,
    BOB,
    HERE,
    MALLORY,
    Asking,
    World,
    only,
    settle,
    yes,
)
from tests.sandbox.questions import question


async def test_a_yes_wakes_who_asked_and_is_used_once(world: World, nursery: trio.Nursery) -> None:
    desk = world.desk()
    asking = Asking(desk, question(), nursery)
    await settle()
    row = only(desk)
    yes(desk, row)
    await settle()
    assert asking.decision == Approved(row.id)
    desk.consume(row.id, row.subject.hash, now_ms=world.wall_ms)
    with pytest.raises(PortRefused, match="approval_denied: it is used"):
        desk.consume(row.id, row.subject.hash, now_ms=world.wall_ms)
    assert [r.event for r in world.records] == [Event.ASKED, Event.APPROVED, Event.CONSUMED]
    assert world.records[1].fact("by") == HERE
    assert {r.fact("hash") for r in world.records} == {row.subject.hash.hex()}


async def test_a_no_wakes_who_asked_with_the_note(world: World, nursery: trio.Nursery) -> None:
    desk = world.desk()
    asking = Asking(desk, question(), nursery)
    await settle()
    desk.vote(only(desk).id, HERE, approves=False, subject=None, note="not today")
    await settle()
    assert asking.decision == Denied("not today")


async def test_nobody_answers(world: World, autojump_clock: trio.testing.MockClock) -> None:
    """To the millisecond, and the row says so."""
    desk = world.desk()
    began_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        asking = Asking(desk, question(timeout_s=300), nursery)
        await trio.sleep(299.999)
        world.pass_ms(299_999)
        is_open = asking.decision is None
        world.pass_ms(1)
    assert is_open
    assert asking.decision == TimedOut()
    assert trio.current_time() - began_s == pytest.approx(300.0)
    desk.expire()
    assert world.records[-1].event is Event.EXPIRED


async def test_the_service_lets_rows_expire_though_nobody_waits(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    desk = world.desk()
    async with trio.open_nursery() as nursery:
        await nursery.start(desk.run)
        Asking(desk, question(timeout_s=2), nursery).cancel()
        await trio.sleep(1)
        assert [row.standing for row in desk.table.open()] == [Standing.PENDING]
        world.pass_ms(2_000)
        await trio.sleep(6)
        assert desk.table.open() == []
        nursery.cancel_scope.cancel()


async def test_after_a_restart_the_same_call_finds_its_pending_question(
    world: World, nursery: trio.Nursery
) -> None:
    first = world.desk()
    asking = Asking(first, question(), nursery)
    await settle()
    row = only(first)
    asking.cancel()  # the node stops
    await settle()
    second = world.desk()
    again = Asking(second, question(), nursery)
    await settle()
    assert only(second).id == row.id
    yes(second, row)
    await settle()
    assert again.decision == Approved(row.id)


async def test_after_a_restart_the_same_call_finds_its_unused_yes(
    world: World, nursery: trio.Nursery
) -> None:
    first = world.desk()
    Asking(first, question(), nursery)
    await settle()
    row = yes(first, only(first))
    second = world.desk()
    again = Asking(second, question(), nursery)
    await settle()
    assert again.decision == Approved(row.id)
    second.consume(row.id, row.subject.hash, now_ms=world.wall_ms)
    third = world.desk()
    assert await third.ask(question()) == Denied("it was used before")


async def test_another_request_of_the_same_call_is_another_question(
    world: World, nursery: trio.Nursery
) -> None:
    desk = world.desk()
    first = Asking(desk, question(), nursery)
    await settle()
    old = yes(desk, only(desk))
    await settle()
    second = Asking(desk, question(policy=b"the policy after an edit"), nursery)
    await settle()
    assert first.decision == Approved(old.id)
    assert second.decision is None
    assert only(desk).id != old.id
    with pytest.raises(PortRefused, match="withdrawn"):
        desk.consume(old.id, old.subject.hash, now_ms=world.wall_ms)
    second.cancel()


async def test_a_dead_attempt_takes_its_questions_with_it(
    world: World, nursery: trio.Nursery
) -> None:
    desk = world.desk()
    asking = Asking(desk, question(), nursery)
    await settle()
    row = only(desk)
    desk.withdraw(question().task_id, "the task was cancelled")
    await settle()
    assert asking.decision == Withdrawn("the task was cancelled")
    with pytest.raises(ApprovalClosed):
        yes(desk, row)
    again = Asking(desk, question(), nursery)
    await settle()
    assert only(desk).id != row.id
    again.cancel()


async def test_a_quorum_takes_distinct_operators(world: World, nursery: trio.Nursery) -> None:
    world.operators |= {str(ALICE.did)}
    desk = world.desk()
    asking = Asking(desk, question(quorum=2), nursery)
    await settle()
    row = only(desk)
    yes(desk, row)
    with pytest.raises(AlreadyVoted):
        yes(desk, row)
    await settle()
    assert asking.decision is None
    yes(desk, row, str(ALICE.did))
    await settle()
    assert asking.decision == Approved(row.id)


async def test_the_vote_of_who_is_no_operator_counts_for_nothing(
    world: World, nursery: trio.Nursery
) -> None:
    world.operators |= {str(ALICE.did), str(BOB.did)}
    desk = world.desk()
    asking = Asking(desk, question(quorum=2), nursery)
    await settle()
    row = only(desk)
    with pytest.raises(NotAnOperator):
        yes(desk, row, str(MALLORY.did))
    yes(desk, row, str(ALICE.did))
    world.operators.remove(str(ALICE.did))  # before the second vote
    after = yes(desk, row, str(BOB.did))
    assert after.standing is Standing.PENDING
    yes(desk, row)
    await settle()
    assert asking.decision == Approved(row.id)
    world.operators.remove(str(BOB.did))  # between the yes and its use
    with pytest.raises(PortRefused, match="an operator who approved is none any more"):
        desk.consume(row.id, row.subject.hash, now_ms=world.wall_ms)


async def test_a_consumption_that_is_rolled_back_has_not_happened(
    world: World, nursery: trio.Nursery
) -> None:
    desk = world.desk()
    Asking(desk, question(), nursery)
    await settle()
    row = yes(desk, only(desk))
    with contextlib.suppress(RuntimeError), world.database.transaction():
        desk.consume(row.id, row.subject.hash, now_ms=world.wall_ms)
        raise RuntimeError
    desk.consume(row.id, row.subject.hash, now_ms=world.wall_ms)


async def test_uses_and_answers_are_on_the_disk_before_anything_follows(
    world: World, nursery: trio.Nursery
) -> None:
    desk = world.desk()
    syncs = world.database.syncs
    Asking(desk, question(), nursery)
    await settle()
    assert world.database.syncs == syncs  # what a power cut takes away is asked again
    row = yes(desk, only(desk))
    assert world.database.syncs == syncs + 1
    with world.database.transaction():
        desk.consume(row.id, row.subject.hash, now_ms=world.wall_ms)
    assert world.database.syncs == syncs + 2


async def test_what_cannot_be_written_down_is_not_asked_answered_or_used(
    world: World, nursery: trio.Nursery
) -> None:
    desk = world.desk()
    world.audit_full = True
    with pytest.raises(AuditUnavailable):
        await desk.ask(question())
    world.audit_full = False
    Asking(desk, question(), nursery)
    await settle()
    row = only(desk)
    world.audit_full = True
    with pytest.raises(AuditUnavailable):
        yes(desk, row)
    world.audit_full = False
    yes(desk, row)
    world.audit_full = True
    with pytest.raises(AuditUnavailable):
        desk.consume(row.id, row.subject.hash, now_ms=world.wall_ms)
    world.audit_full = False
    desk.consume(row.id, row.subject.hash, now_ms=world.wall_ms)


async def test_a_full_disk_is_the_guests_to_hear_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = world.desk()

    def full(_: Approval) -> None:
        raise StoreFull("node.db", "disk full")

    monkeypatch.setattr(desk.table, "save", full)
    with pytest.raises(PortRefused) as refused:
        await desk.ask(question())
    assert refused.value.code is FaultCode.UNAVAILABLE


async def test_a_row_that_cannot_be_read_is_good_for_nothing(
    world: World, nursery: trio.Nursery
) -> None:
    desk = world.desk()
    Asking(desk, question(), nursery)
    await settle()
    row = yes(desk, only(desk))
    await settle()
    with world.database.transaction():
        world.database.execute("UPDATE approvals SET record = x'00'")
    with pytest.raises(PortRefused) as refused:
        desk.consume(row.id, row.subject.hash, now_ms=world.wall_ms)
    assert refused.value.code is FaultCode.APPROVAL_DENIED
    with pytest.raises(PortRefused):
        await desk.ask(question())
    assert (
        desk.table.check()
        == [f"approval {row.id} cannot be read: approval: the item ran out of data"]
        or len(desk.table.check()) == 1
    )
    world.pass_ms(400_000)
    desk.expire()
    assert desk.table.next_expiry_ms() is None


def test_an_id_that_is_not_here(world: World) -> None:
    desk = world.desk()
    with pytest.raises(UnknownApproval):
        desk.vote("apr-0", HERE, approves=True, subject=None)
    with pytest.raises(PortRefused, match="no such approval"):
        desk.consume("apr-0", bytes(32), now_ms=0)


async def test_who_listens_is_told_what_has_committed(world: World, nursery: trio.Nursery) -> None:
    desk = world.desk()
    told: list[Standing] = []
    desk.listen(lambda row: told.append(row.standing))
    Asking(desk, question(), nursery)
    await settle()
    row = only(desk)
    world.audit_full = True
    with pytest.raises(AuditUnavailable):
        yes(desk, row)
    world.audit_full = False
    yes(desk, row)
    assert told == [Standing.PENDING, Standing.APPROVED]
    assert replace(row, standing=Standing.APPROVED).is_open


async def test_a_disk_in_trouble_is_waited_for_and_nobody_gets_a_late_yes(
    world: World, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = world.desk()
    async with trio.open_nursery() as nursery:
        asking = Asking(desk, question(timeout_s=2), nursery)
        await settle()
        row = only(desk)
        world.pass_ms(2_000)
        with monkeypatch.context() as patch:
            patch.setattr(desk.table, "save", full_disk)
            await nursery.start(desk.run)
            await trio.sleep(5)
            assert asking.decision == TimedOut()
            with pytest.raises(StoreFull):
                yes(desk, row)
        await trio.sleep(5)
        assert desk.table.open() == []
        nursery.cancel_scope.cancel()


def full_disk(_: Approval) -> None:
    raise StoreFull("node.db", "disk full")


async def test_a_row_that_was_pruned_under_a_waiter_is_no_yes(
    world: World, nursery: trio.Nursery
) -> None:
    desk = world.desk()
    asking = Asking(desk, question(), nursery)
    await settle()
    row = only(desk)
    with world.database.transaction():
        world.database.execute("DELETE FROM approvals")
    desk._waiting[row.id].set()
    await settle()
    assert asking.decision == TimedOut()
