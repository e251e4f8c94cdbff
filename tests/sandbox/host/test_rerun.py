"""A task that has ended, run once more: the same, or where it went another way."""

import sys
from dataclasses import replace

import pytest

from sandbox.errors import AgentUnavailable
from sandbox.ports import Completed
from sandbox.trace import Told, Trace
from tests.sandbox.host.world import World, hostile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only")


async def traced(world: World, text: str) -> Trace:
    outcome = await world.run(text)
    assert isinstance(outcome, Completed), outcome
    assert outcome.trace is not None
    return Trace.from_cbor(outcome.trace)


async def test_a_task_does_the_same_again_and_reaches_nothing(start: ...) -> None:
    world = await start(hostile())
    trace = await traced(world, "deny 5")
    assert [told.function for told in trace.calls] == ["inference.prompt"] * 5
    records = len(world.node.state.audit)
    replayed = await world.supervisor.agent("hostile").replay(trace)
    assert (replayed.differs, replayed.calls) == ("", 5)
    assert len(world.node.state.audit) == records
    assert world.status().usage.completed == 1


async def test_where_it_goes_another_way_is_named(start: ...) -> None:
    world = await start(hostile())
    agent = world.supervisor.agent("hostile")
    trace = await traced(world, "deny 3")

    async def differs(trace: Trace) -> str:
        return (await agent.replay(trace)).differs

    fewer = replace(trace, calls=trace.calls[:2])
    assert await differs(fewer) == "call 2 is inference.prompt, and then there was none"
    more = replace(trace, calls=(*trace.calls, trace.calls[0]))
    assert await differs(more) == ("it ended after 3 calls, and then went on with inference.prompt")
    other = replace(trace, calls=(Told("task.now", bytes(32), "1"), *trace.calls[1:]))
    assert await differs(other) == "call 0 is inference.prompt, then it was task.now"
    first = replace(trace.calls[0], request_hash=bytes(32))
    asked = replace(trace, calls=(first, *trace.calls[1:]))
    assert await differs(asked) == "call 0 of inference.prompt has other arguments"
    ended = replace(trace, end=("ok", "[]"))
    assert await differs(ended) == "all calls are the same, and the answer is another"
    failed = replace(trace, end=("guest-error", "no"))
    assert await differs(failed) == "it ended with ok, then with guest-error"


async def test_what_takes_too_long_is_ended(start: ...) -> None:
    world = await start(hostile(wall_clock_s=0.2))
    trace = await traced(world, "deny 1")
    message = trace.message_json.replace("deny 1", "spin")
    replayed = await world.supervisor.agent("hostile").replay(replace(trace, message_json=message))
    assert "timeout" in replayed.differs or "then went on" in replayed.differs
    assert world.status().running == 0


async def test_an_agent_that_does_not_run_replays_nothing(start: ...) -> None:
    world = await start(hostile())
    trace = await traced(world, "deny 1")
    world.supervisor.agent("hostile").hold("its owner said stop")
    with pytest.raises(AgentUnavailable, match="its owner said stop"):
        await world.supervisor.agent("hostile").replay(trace)
