"""Floods of questions, and clocks that are set back."""

from collections import Counter

import pytest
import trio
import trio.testing

from akshi_mesh.approvals.desk import WITHDRAWN_MAX
from akshi_mesh.approvals.table import CLOSED_PER_AGENT_MAX
from sandbox.approval_life import PENDING_PER_AGENT_MAX
from sandbox.approvals import (
    TimedOut,
    TooMany,
    Withdrawn,
)
from sandbox.errors import ApprovalClosed, PortRefused
from tests.akshi_mesh.approvals.desks import HERE, Asking, World, only, settle, yes
from tests.sandbox.questions import question


async def test_a_ninth_question_of_one_agent_is_refused_and_others_may_ask(
    world: World, nursery: trio.Nursery
) -> None:
    desk = world.desk()
    for number in range(PENDING_PER_AGENT_MAX):
        Asking(desk, question(number=number), nursery)
    await settle()
    assert isinstance(await desk.ask(question(number=99)), TooMany)
    other = Asking(desk, question(agent="other", number=100), nursery)
    await settle()
    assert other.decision is None
    waiting = Counter(row.subject.agent for row in desk.table.open())
    assert waiting == {"reader": PENDING_PER_AGENT_MAX, "other": 1}


async def test_a_storm_after_a_no_backs_off_and_a_yes_ends_it(
    world: World, nursery: trio.Nursery
) -> None:
    desk = world.desk()
    number = 0

    async def ask() -> Asking:
        nonlocal number
        number += 1
        asking = Asking(desk, question(number=number), nursery)
        await settle()
        return asking

    for pause_ms in (2_000, 4_000, 8_000):
        await ask()
        desk.vote(only(desk).id, HERE, approves=False, subject=None)
        assert isinstance((await ask()).decision, TooMany)
        world.pass_ms(pause_ms - 1)
        assert isinstance((await ask()).decision, TooMany)
        world.pass_ms(1)
    await ask()
    yes(desk, only(desk))
    asking = await ask()
    assert asking.decision is None


async def test_questions_that_are_taken_back_again_and_again_are_asked_no_more(
    world: World, nursery: trio.Nursery
) -> None:
    """A peer that sends tasks and cancels them must not fill the screens of people."""
    desk = world.desk()
    for number in range(WITHDRAWN_MAX):
        asking = Asking(desk, question(number=number), nursery)
        await settle()
        desk.withdraw(question().task_id, "cancelled")
        await settle()
        assert isinstance(asking.decision, Withdrawn)
    assert isinstance(await desk.ask(question(number=99)), TooMany)
    other = Asking(desk, question(agent="other", number=100), nursery)
    await settle()
    assert other.decision is None
    world.pass_ms(60_000)
    again = Asking(desk, question(number=101), nursery)
    await settle()
    assert again.decision is None


async def test_rows_stay_bounded_under_a_flood_of_questions(world: World) -> None:
    desk = world.desk()
    with trio.CancelScope() as scope:
        scope.cancel()
        for number in range(CLOSED_PER_AGENT_MAX + 200):
            asked = question(number=number, request=b"x" * 5_000)
            with trio.CancelScope(shield=True), trio.move_on_after(0):
                await desk.ask(asked)
            desk.withdraw(asked.task_id, "over")
            world.pass_ms(1)
    count = world.database.value("SELECT COUNT(*) FROM approvals")
    assert count <= CLOSED_PER_AGENT_MAX + 1
    size = world.database.value("SELECT SUM(LENGTH(record)) FROM approvals")
    assert size < (CLOSED_PER_AGENT_MAX + 1) * 6_000
    assert not desk._waiting


async def test_a_clock_set_back_gives_no_longer_life(world: World, nursery: trio.Nursery) -> None:
    desk = world.desk()
    Asking(desk, question(timeout_s=60), nursery)
    await settle()
    row = yes(desk, only(desk))
    world.wall_ms -= 3_600_000
    world.mono_s += 60
    with pytest.raises(PortRefused, match="approval_timeout"):
        desk.consume(row.id, row.subject.hash, now_ms=world.wall_ms)


async def test_a_clock_set_back_over_a_restart_revives_nothing(
    world: World, nursery: trio.Nursery
) -> None:
    desk = world.desk()
    asking = Asking(desk, question(timeout_s=60), nursery)
    await settle()
    row = only(desk)
    asking.cancel()
    world.pass_ms(60_000)
    desk.expire()
    world.wall_ms -= 3_600_000
    late = world.desk()
    with pytest.raises(ApprovalClosed):
        yes(late, row)
    assert await late.ask(question(timeout_s=60)) == TimedOut()
