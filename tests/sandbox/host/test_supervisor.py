"""Agents under supervision, with real processes: what one does, no other feels."""

import sys

import pytest
import trio

from sandbox.errors import AgentBusy
from sandbox.host import worker_pool
from sandbox.host.agent_status import Condition
from sandbox.ports import Completed, Failed, Outcome
from tests.sandbox.fakes import FRIEND, STRANGER
from tests.sandbox.host.world import WAIT_S, echo, hostile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only")


async def test_a_task_is_run_and_the_next_one_finds_the_worker_warm(start: ...) -> None:
    world = await start(echo())
    for number in range(3):
        outcome = await world.run(f"hi {number}", number, agent="echo")
        assert outcome == Completed(f'[{{"text":"hi {number}"}}]')
    pids = {worker.pid for worker in world.zygote.workers}
    await world.run("hi", 9, agent="echo")
    assert {worker.pid for worker in world.zygote.workers} == pids
    assert world.status("echo").condition is Condition.READY
    assert world.status("echo").usage.completed == 4
    admitted = [r for r in world.node.state.audit if r.event == "admitted"]
    assert {record.agent for record in admitted} == {"echo"}


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("spin", "timeout"),
        ("recurse", "trapped"),
        ("trap", "trapped"),
        ("badutf8-call", "trapped"),
        ("badutf8-result", "trapped"),
        ("wild-call", "trapped"),
        ("wild-result", "trapped"),
        ("wild-text", "trapped"),
        ("wrong-case", "trapped"),
        ("late", "timeout"),
        ("flood", "timeout"),
        ("exit-early", "invalid-result"),
        ("not-json", "invalid-result"),
        ("not-parts", "invalid-result"),
        ("many-parts", "invalid-result"),
        ("huge-result", "invalid-result"),
        ("no-such-attack", "guest-error"),
    ],
)
async def test_what_a_guest_does_wrong_ends_its_task_and_not_the_agent(
    start: ..., attack: str, code: str
) -> None:
    world = await start()
    outcome = await world.run(attack)
    assert isinstance(outcome, Failed)
    assert outcome.code == code, outcome
    assert await world.run("hi", 3, agent="echo") == Completed('[{"text":"hi"}]')
    killed = [record.code for record in world.node.state.audit if record.event == "killed"]
    assert killed == (["timeout"] if code == "timeout" else [])
    assert world.status().condition is not Condition.STOPPED
    assert world.status().restarts == 0


async def test_fuel_ends_a_spinning_guest_too(start: ...) -> None:
    world = await start(hostile(fuel=1_000_000))
    outcome = await world.run("spin")
    assert isinstance(outcome, Failed)
    assert outcome.code == "out-of-fuel"


async def test_memory_ends_where_the_limit_is_and_the_guest_lives_on(start: ...) -> None:
    world = await start(hostile(memory_mb=2))
    assert await world.run("grow") == Completed('[{"text":"32"}]')


async def test_refusals_do_not_end_an_agent_and_are_counted(start: ...) -> None:
    world = await start(hostile(capabilities=frozenset(), wall_clock_s=5.0))
    assert await world.run("deny 500") == Completed('[{"text":"500"}]')
    with trio.fail_after(WAIT_S):
        world.supervisor.stop_now()
        await world.zygote.wait_none()
    refused = [r for r in world.node.state.audit if r.event == "refused"]
    assert {record.code for record in refused} == {"capability-denied"}


async def test_a_neighbour_works_on_while_a_guest_floods(start: ...) -> None:
    """What it costs in time is the bench's matter; here: it works, and in turn."""
    world = await start(hostile(wall_clock_s=2.0), echo())
    outcomes: list[Outcome] = []

    async def attack(number: int, text: str) -> None:
        outcomes.append(await world.run(text, number))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attack, 1, "flood-log")
        for number in range(2, 50):
            outcome = await world.run("hi", number, agent="echo")
            assert outcome == Completed('[{"text":"hi"}]')
    assert [outcome.code for outcome in outcomes if isinstance(outcome, Failed)] == ["timeout"]


# Whose worker.


async def test_a_worker_serves_one_originator(start: ...) -> None:
    world = await start(echo())

    async def pids_after(originator: str, number: int, sender: str = FRIEND) -> set[int]:
        facts = {"agent": "echo", "originator": originator, "sender": sender}
        await world.run("hi", number, **facts)
        return {warm.worker.pid for warm in world.supervisor._runners["echo"]._pool._warm}

    friends = await pids_after(FRIEND, 1)
    assert await pids_after(FRIEND, 2) == friends
    both = await pids_after(STRANGER, 3)
    assert len(both) == 2
    assert friends < both
    # A stranger who says that it works for the friend does not get the friend's worker.
    assert both < await pids_after(FRIEND, 4, sender=f"{STRANGER}/liar")


async def test_an_agent_may_share_its_worker_between_originators(start: ...) -> None:
    world = await start(echo(share_originators=True))
    for number, originator in enumerate([FRIEND, STRANGER, FRIEND]):
        await world.run("hi", number, agent="echo", originator=originator)
    assert len(world.supervisor._runners["echo"]._pool._warm) == 1


async def test_workers_of_many_originators_do_not_pile_up(start: ...) -> None:
    world = await start(echo())
    for number in range(12):
        await world.run("hi", number, agent="echo", originator=f"{FRIEND}/{number}")
    assert world.status("echo").workers <= 1 + worker_pool.IDLE_EXTRA + 1


async def test_tasks_run_in_turn_as_many_at_once_as_there_are_workers(start: ...) -> None:
    world = await start(hostile(workers=2, wall_clock_s=0.4))
    most = 0

    async def attack(number: int) -> None:
        await world.run("spin", number)

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(attack, number)
        while world.status().usage.failed < 4:
            await trio.sleep(0.01)
            most = max(most, world.status().running)
    assert most == 2


async def test_more_tasks_than_the_queue_holds_are_refused(start: ...) -> None:
    world = await start(hostile(queue=1))
    async with trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(world.run, "spin", number)
        await world.wait_until(lambda: world.status().running == 1)
        assert world.status().waiting == 1
        with pytest.raises(AgentBusy):
            await world.supervisor.run_task(world.task("spin", 3, agent="hostile"))
