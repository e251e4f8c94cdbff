"""How tasks and agents end: cancelled, stopped, out of their jail, lost, never started."""

import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from sandbox.host.agent_status import Condition
from sandbox.host.supervisor import Supervisor
from sandbox.ports import Cancelled, Completed, Failed, Interrupted, Outcome
from tests.sandbox.fakes import spec, task
from tests.sandbox.host.world import RELAY, ROOT, WAIT_S, echo, hostile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only")


async def test_an_unknown_agent_is_said_to_be_unknown(start: ...) -> None:
    world = await start()
    outcome = await world.run("hi", agent="nobody")
    assert outcome == Failed("agent-stopped", "no agent nobody on this node")


async def test_a_cancelled_task_is_killed_when_it_does_not_listen(start: ...) -> None:
    world = await start(hostile(wall_clock_s=60.0))
    outcomes: list[Outcome] = []

    async def attack() -> None:
        outcomes.append(await world.run("spin"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attack)
        await world.wait_until(lambda: world.status().running == 1)
        assert world.supervisor.cancel(task(1).id)
        assert not world.supervisor.cancel(task(2).id)
    assert outcomes == [Cancelled()]


async def test_a_task_cancelled_while_it_waits_never_starts(start: ...) -> None:
    world = await start(hostile(wall_clock_s=0.3))
    outcomes: dict[int, Outcome] = {}

    async def run(number: int) -> None:
        outcomes[number] = await world.run("spin", number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, 1)
        await world.wait_until(lambda: world.status().running == 1)
        nursery.start_soon(run, 2)
        await world.wait_until(lambda: world.status().waiting == 1)
        assert world.supervisor.cancel(task(2).id)
    assert outcomes[2] == Cancelled()


async def test_stop_means_stop_at_once_and_the_tasks_stay_due(start: ...) -> None:
    world = await start(hostile(workers=4, wall_clock_s=60.0), echo())
    outcomes: list[Outcome] = []

    async def attack(number: int) -> None:
        outcomes.append(await world.run("spin", number))

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(attack, number)
        await world.wait_until(lambda: world.status().running == 4)
        world.supervisor.stop_now("the operator said stop")
        await world.zygote.wait_none()
    assert sorted(outcome.why for outcome in outcomes if isinstance(outcome, Interrupted)) == [
        *["the node stops"] * 4,
        *["the operator said stop"] * 2,
    ]
    assert world.boundary.stopped == "the operator said stop"
    assert await world.run("hi", 9, agent="echo") == Interrupted("the operator said stop")
    assert world.status().condition is Condition.STOPPED


async def test_a_worker_that_breaks_its_jail_stops_the_agent_and_is_on_record(start: ...) -> None:
    world = await start(hostile(wall_clock_s=60.0), echo())
    outcomes: list[Outcome] = []

    async def attack() -> None:
        outcomes.append(await world.run("spin"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attack)
        await world.wait_until(lambda: world.status().running == 1)
        (session,) = world.supervisor._runners["hostile"].sessions.values()
        # What the kernel does to a worker that makes a system call outside of the list.
        os.kill(session.worker.pid, signal.SIGSYS)
    (outcome,) = outcomes
    assert isinstance(outcome, Failed)
    assert outcome.code == "violation"
    assert world.status().condition is Condition.STOPPED
    assert world.status().why.startswith("violation: ")
    assert [r.agent for r in world.node.state.audit if r.event == "violation"] == ["hostile"]
    assert [event for event, _ in world.node.notes] == ["agent.violation", "agent.stopped"]
    refused = await world.run("hi", 2)
    assert isinstance(refused, Failed)
    assert refused.code == "agent-stopped"
    assert await world.run("hi", 3, agent="echo") == Completed('[{"text":"hi"}]')


async def test_a_worker_killed_from_outside_is_replaced_after_a_pause_and_given_up_in_the_end(
    start: ...,
) -> None:
    world = await start(hostile(wall_clock_s=60.0, max_restarts=2, restart_backoff_s=0.05))
    outcomes: list[Outcome] = []

    async def attack(number: int) -> None:
        outcomes.append(await world.run("spin", number))

    for number in range(3):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(attack, number)
            await world.wait_until(lambda: world.status().running == 1)
            (session,) = world.supervisor._runners["hostile"].sessions.values()
            os.kill(session.worker.pid, signal.SIGKILL)
        assert isinstance(outcomes[-1], Failed)
        assert outcomes[-1].code == "worker-fault"
    assert world.status().restarts == 2
    assert world.status().condition is Condition.STOPPED
    assert world.status().why.startswith("gave up after 3 failures")


async def test_a_dead_zygote_costs_an_attempt_and_not_the_task(start: ...) -> None:
    world = await start(hostile(wall_clock_s=0.5))
    outcomes: list[Outcome] = []

    async def attack() -> None:
        outcomes.append(await world.run("spin"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attack)
        await world.wait_until(lambda: world.status().running == 1)
        (session,) = world.supervisor._runners["hostile"].sessions.values()
        parent = int(Path(f"/proc/{session.worker.pid}/stat").read_text().split()[3])
        os.kill(parent, signal.SIGKILL)
    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].code == "timeout"  # of the second attempt
    assert world.status().restarts == 0


async def test_a_file_that_is_no_component_stops_its_agent_and_says_why(
    start: ..., tmp_path: Path
) -> None:
    (tmp_path / "bad.wasm").write_bytes(b"no wasm")
    bad = spec(name="bad", wasm_path=str(tmp_path / "bad.wasm"))
    gone = spec(name="gone", wasm_path=str(tmp_path / "gone.wasm"))
    foreign = spec(name="foreign", wasm_path=str(ROOT / "tests" / "agents" / "foreign_wasi.wasm"))
    world = await start(bad, gone, foreign, echo())
    for name in ("bad", "gone", "foreign"):
        outcome = await world.run("hi", agent=name)
        assert isinstance(outcome, Failed)
        assert outcome.code == "agent-stopped"
        assert outcome.why
        assert world.status(name).condition is Condition.STOPPED
        assert world.status(name).why == outcome.why
    assert "wasi" in world.status("foreign").why
    assert await world.run("hi", 3, agent="echo") == Completed('[{"text":"hi"}]')


async def test_below_the_minimum_no_agent_starts_and_status_says_so(start: ...) -> None:
    world = await start(echo(), refusal="jail missing: no seccomp in this kernel")
    outcome = await world.run("hi", agent="echo")
    assert outcome == Failed("agent-stopped", "jail missing: no seccomp in this kernel")
    assert world.status("echo").condition is Condition.STOPPED
    assert world.zygote.workers == []


async def test_an_agent_that_cannot_be_recorded_does_not_start(start: ...) -> None:
    world = await start(echo())
    world.node.audit_full = True
    other = Supervisor(
        [echo(name="late")],
        boundary=world.boundary,
        zygote=world.zygote,
        compiler=world.supervisor._compiler,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(other.run)
        with trio.fail_after(WAIT_S):
            outcome = await other.run_task(world.task("hi", agent="late"))
        nursery.cancel_scope.cancel()
    assert isinstance(outcome, Failed)
    assert "audit log" in outcome.why


async def test_a_task_that_nobody_waits_for_any_more_takes_its_worker_along(start: ...) -> None:
    world = await start(hostile(wall_clock_s=60.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.run, "spin")
        await world.wait_until(lambda: world.status().running == 1)
        (session,) = world.supervisor._runners["hostile"].sessions.values()
        nursery.cancel_scope.cancel()
    with trio.fail_after(WAIT_S):
        assert (await session.worker.wait()).signal == signal.SIGKILL


async def test_agents_wait_for_each_other_and_the_clock_stands_still(start: ...) -> None:
    """The relay sends, waits longer than its wall clock, and answers with what came."""
    relay = spec(name="relay", wasm_path=RELAY, wall_clock_s=0.3, peers_allowed=("friend/*",))
    world = await start(relay)
    answer = '[{"text":"from afar"}]'

    async def far_away() -> None:
        await world.wait_until(lambda: len(world.node.state.sent) == 1)
        await trio.sleep(0.6)
        id = next(iter(world.node.state.calls.values())).answer[1:].decode()
        world.node.ended[id] = (
            f'{{"id":"{id}","status":{{"state":"TASK_STATE_COMPLETED"}},'
            f'"artifacts":[{{"artifactId":"a","parts":{answer}}}]}}'
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(far_away)
        outcome = await world.run("friend/reader question", agent="relay")
    assert outcome == Completed(answer)


async def test_folded_refusals_are_written_within_a_second_or_two(start: ...) -> None:
    world = await start(hostile(capabilities=frozenset(), wall_clock_s=5.0))
    assert await world.run("deny 500") == Completed('[{"text":"500"}]')
    world.node.now_ms += 1_000
    await world.wait_until(
        lambda: sum(r.count for r in world.node.state.audit if r.event == "refused") == 500
    )


async def test_a_full_disk_under_the_audit_log_is_noted_and_ends_nothing(start: ...) -> None:
    world = await start(hostile(capabilities=frozenset(), wall_clock_s=5.0))
    assert await world.run("deny 500") == Completed('[{"text":"500"}]')
    world.node.audit_full = True
    world.node.now_ms += 1_000
    await world.wait_until(lambda: "audit.unavailable" in dict(world.node.notes))
    assert await world.run("deny 5", 2) == Completed('[{"text":"5"}]')
