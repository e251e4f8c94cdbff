"""What an owner says to an agent: stop, start, restart, reload. No task is lost over it."""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
import trio

from identity.cid import wasm_cid
from sandbox.errors import CompileFailed, ModuleRefused, UnknownAgent
from sandbox.host.agent_status import Condition
from sandbox.ports import Cancelled, Completed, Failed, Outcome
from tests.sandbox.fakes import task
from tests.sandbox.host.world import ECHO, HOSTILE, World, echo, hostile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only")


async def ready(world: World, name: str = "hostile") -> None:
    await world.wait_until(lambda: world.status(name).condition is Condition.READY)


async def test_what_runs_when_its_owner_stops_an_agent_runs_again_after_start(start: ...) -> None:
    world = await start(hostile(wall_clock_s=0.3))
    await ready(world)
    outcomes: list[Outcome] = []

    async def spin() -> None:
        outcomes.append(await world.run("spin"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(spin)
        await world.wait_until(lambda: world.status().running == 1)
        world.supervisor.agent("hostile").hold("its owner said stop")
        await world.wait_until(lambda: world.status().running == 0)
        status = world.status()
        assert (status.condition, status.why) == (Condition.STOPPED, "its owner said stop")
        assert (status.workers, status.waiting) == (0, 1)
        world.supervisor.agent("hostile").start()
    (outcome,) = outcomes
    assert isinstance(outcome, Failed)
    assert outcome.code == "timeout"  # it spun a second time, for the whole of its wall clock


async def test_a_task_may_be_cancelled_while_its_agent_is_stopped(start: ...) -> None:
    world = await start(echo())
    await ready(world, "echo")
    world.supervisor.agent("echo").hold("its owner said stop")
    outcomes: list[Outcome] = []

    async def run() -> None:
        outcomes.append(await world.run("hi", agent="echo"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await world.wait_until(lambda: world.status("echo").waiting == 1)
        world.supervisor.cancel(task(1).id)
    assert outcomes == [Cancelled()]


async def test_a_stop_while_an_agent_is_stopped_leaves_its_tasks_due(start: ...) -> None:
    world = await start(echo())
    world.supervisor.agent("echo").hold("its owner said stop")
    world.supervisor.stop_now("the node stops")
    world.supervisor.agent("echo").start()
    assert world.status("echo").condition is Condition.STOPPED


async def test_restart_gives_what_runs_another_attempt(start: ...) -> None:
    world = await start(hostile(wall_clock_s=0.5))
    await ready(world)
    outcomes: list[Outcome] = []

    async def spin() -> None:
        outcomes.append(await world.run("spin"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(spin)
        await world.wait_until(lambda: world.status().running == 1)
        (first,) = world.supervisor._runners["hostile"].sessions.values()
        world.supervisor.agent("hostile").restart()
        await world.wait_until(
            lambda: first not in world.supervisor._runners["hostile"].sessions.values()
        )
    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].code == "timeout"
    assert world.status().usage.failed == 1


async def test_an_unknown_agent_is_told_nothing(start: ...) -> None:
    world = await start(echo())
    with pytest.raises(UnknownAgent):
        world.supervisor.agent("nobody")


async def test_a_changed_file_is_refused_until_it_is_approved(start: ..., tmp_path: Path) -> None:
    file = tmp_path / "agent.wasm"
    shutil.copy(ECHO, file)
    world = await start(echo(wasm_path=str(file)))
    await ready(world, "echo")
    before = world.status("echo").wasm_sha256
    shutil.copy(HOSTILE, file)
    with pytest.raises(ModuleRefused, match="was approved"):
        await world.supervisor.agent("echo").reload()
    assert world.status("echo").wasm_sha256 == before
    assert isinstance(await world.run("hi", agent="echo"), Completed)

    file.write_bytes(b"no component")
    with pytest.raises(CompileFailed):
        await world.supervisor.agent("echo").reload()
    assert isinstance(await world.run("hi", 2, agent="echo"), Completed)


async def test_what_is_approved_is_exactly_one_component(start: ..., tmp_path: Path) -> None:
    file = tmp_path / "agent.wasm"
    shutil.copy(ECHO, file)
    world = await start(echo(wasm_path=str(file)))
    await ready(world, "echo")
    agent, before = world.supervisor.agent("echo"), world.node.approved["echo"]
    shutil.copy(HOSTILE, file)
    with pytest.raises(ModuleRefused, match="and not bafkanother"):
        await agent.reload(approved="bafkanother")
    assert world.node.approved["echo"] == before  # a name that fits no file approves nothing
    cid = wasm_cid(hashlib.sha256(file.read_bytes()).digest())
    assert await agent.reload(approved=cid) == cid
    assert world.node.approved["echo"] == cid


async def test_a_reload_finishes_what_runs_and_then_runs_the_new_one(
    start: ..., tmp_path: Path
) -> None:
    file = tmp_path / "agent.wasm"
    shutil.copy(HOSTILE, file)
    world = await start(hostile(wasm_path=str(file), wall_clock_s=0.6))
    await ready(world)
    outcomes: list[Outcome] = []

    async def spin() -> None:
        outcomes.append(await world.run("spin"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(spin)
        await world.wait_until(lambda: world.status().running == 1)
        shutil.copy(ECHO, file)
        world.node.approved.clear()
        cid = await world.supervisor.agent("hostile").reload()
        assert world.status().running == 1
    assert isinstance(outcomes[0], Failed)  # by its own wall clock, not by the reload
    assert outcomes[0].code == "timeout"
    digest = world.status().wasm_sha256
    assert digest is not None
    assert wasm_cid(digest) == cid
    assert isinstance(await world.run("hi", 2), Completed)


async def test_a_module_that_was_never_approved_holds_its_agent(start: ..., tmp_path: Path) -> None:
    file = tmp_path / "agent.wasm"
    shutil.copy(ECHO, file)
    world = await start(echo(wasm_path=str(file)), approved={"echo": "bafkother"})
    await world.wait_until(lambda: world.status("echo").condition is Condition.STOPPED)
    assert "bafkother was approved" in world.status("echo").why
    world.node.approved.clear()
    await world.supervisor.agent("echo").reload()
    assert isinstance(await world.run("hi", agent="echo"), Completed)


async def test_the_status_counts_what_an_agent_uses(start: ...) -> None:
    world = await start(echo())
    await world.run("hi", agent="echo")
    status = world.status("echo")
    assert status.usage.completed == 1
    assert status.usage.fuel == status.usage.fuel_last > 0
    assert status.usage.run_s > 0
    assert status.memory_bytes > 1 << 20
