"""Servers of agents: a real one, made with the SDK, in the jail; and how they end."""

import json
import time

import pytest
import trio

from akshi_mesh.mcp.errors import UnknownServer
from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.host.program import NativeJail, probe
from sandbox.mcp_server import McpServerSpec
from tests.akshi_mesh.mcp.world import (
    AGENT,
    World,
    honest,
    hostile,
    open_place,
    running_servers,
)

FOUND = probe()
pytestmark = pytest.mark.skipif(FOUND.level is None, reason=f"no jail for programs: {FOUND.why}")


def said(answer: str) -> object:
    return json.loads(answer)["content"][0]["text"]


async def test_a_tool_of_a_real_server_is_listed_and_called() -> None:
    async with World(honest()).running() as world:
        listed = json.loads(await world.list())
        assert [tool["name"] for tool in listed["tools"]][:2] == ["add", "big"]
        assert listed["tools"][0]["inputSchema"]["required"] == ["a", "b"]
        assert listed["refused"] == []
        answer = json.loads(await world.call("add", '{"a":1,"b":2}'))
        assert answer == {
            "content": [{"type": "text", "text": "3"}],
            "isError": False,
            "structuredContent": {"result": 3},
        }
        assert json.loads(await world.call("add", '{"a":"x"}'))["isError"] is True
        assert "pinned tools/add" in world.audit.codes


async def test_only_tools_that_are_named_are_there() -> None:
    async with World(honest(tools=("add", "read_*"))).running() as world:
        listed = json.loads(await world.list())
        assert [tool["name"] for tool in listed["tools"]] == ["add", "read_file"]
        with pytest.raises(ActFailed) as refused:
            await world.call("say", '{"text":"x"}')
        assert refused.value.code is FaultCode.NOT_ALLOWED
        with pytest.raises(ActFailed) as refused:
            await world.call("read_nothing")
        assert refused.value.why == "tools has no tool read_nothing"


async def test_a_server_reads_and_writes_what_is_declared_and_no_more() -> None:
    with open_place() as place:
        (place / "data").mkdir()
        (place / "data").chmod(0o777)
        (place / "book").write_text("a book")
        (place / "diary").write_text("a diary")
        own = honest().read
        spec = honest(read=(*own, str(place / "book")), write=(str(place / "data"),))
        async with World(spec).running() as world:
            assert said(await world.call("read_file", _path(place / "book"))) == "a book"
            for closed in (place / "diary", place, "/etc/passwd", "/proc/1/environ"):
                assert json.loads(await world.call("read_file", _path(closed)))["isError"]
            new = json.dumps({"path": str(place / "data" / "new"), "text": "new"})
            assert said(await world.call("write_file", new)) == "written"
            changed = json.dumps({"path": str(place / "book"), "text": "new"})
            assert json.loads(await world.call("write_file", changed))["isError"]
        assert (place / "data" / "new").read_text() == "new"
        assert (place / "book").read_text() == "a book"


def _path(path: object) -> str:
    return json.dumps({"path": str(path)})


async def test_a_server_gets_the_variables_it_may_have() -> None:
    environ = {"LANG": "C.UTF-8", "AKSHI_PASSPHRASE": "secret", "TOKEN": "secret"}
    async with World(honest(env=("LANG",)), environ=environ).running() as world:
        assert "TOKEN" not in str(said(await world.call("environment")))
    async with World(honest(env=("GONE",)), environ=environ).running() as world:
        with pytest.raises(ActFailed, match="GONE is not set"):
            await world.list()


async def test_a_server_that_crashed_is_started_again_after_a_pause() -> None:
    async with World(honest()).running() as world:
        with pytest.raises(ActFailed) as lost:
            await world.call("crash")
        assert lost.value.code is FaultCode.UNKNOWN
        with pytest.raises(ActFailed, match="tried again in 1 s") as refused:
            await world.call("add", '{"a":1,"b":2}')
        assert refused.value.code is FaultCode.UNAVAILABLE
        await trio.sleep(0.6)
        assert said(await world.call("add", '{"a":1,"b":2}')) == "3"


async def test_the_pause_grows_and_ends() -> None:
    async with World(hostile("no hello")).running() as world:
        server = world.servers.find(AGENT, "tools")
        pauses = []
        for _ in range(10):
            with pytest.raises(ActFailed, match=r"no hello|ended"):
                await world.list()
            pauses.append(round(server.not_before_s - trio.current_time(), 1))
            server.not_before_s = 0.0
        assert pauses == sorted(pauses)
        assert 0.3 < pauses[0] <= 0.5
        assert 59 <= pauses[-1] <= 60
        assert server.state == "failed"


async def test_servers_stop_with_their_agent_and_with_the_node() -> None:
    async with World(hostile("look")).running() as world:
        await world.list()
        assert world.servers.find(AGENT, "tools").state == "up"
        assert running_servers()
        world.servers.stop_agent("another")
        assert running_servers()
        world.servers.stop_agent(AGENT)
        await trio.sleep(0.2)
        assert not running_servers()
        assert world.servers.find(AGENT, "tools").state == "down"
        await world.list()
        assert running_servers()
    assert not running_servers()
    with pytest.raises(ActFailed) as refused:
        await world.list()
    assert refused.value.code is FaultCode.CANCELLED


async def test_a_call_that_takes_too_long_closes_its_server() -> None:
    async with World(honest(timeout_s=0.3)).running() as world:
        await world.list()
        with pytest.raises(ActFailed) as late:
            await world.call("sleep", '{"seconds":60}')
        assert late.value.code is FaultCode.UNKNOWN
        assert late.value.why == "tools did not answer within 0.3 s"
        await trio.sleep(0.2)
        assert not running_servers()


async def test_a_call_that_is_cancelled_closes_its_server() -> None:
    async with World(hostile("silent")).running() as world:
        await world.list()
        with trio.move_on_after(0.2) as scope:
            await world.call("look")
        assert scope.cancelled_caught
        await trio.sleep(0.2)
        assert not running_servers()


async def test_the_kill_switch_stops_a_call_at_once() -> None:
    async with World(hostile("silent")).running() as world, trio.open_nursery() as nursery:
        await world.list()

        async def call() -> None:
            with pytest.raises(ActFailed) as stopped:
                await world.call("look")
            assert stopped.value.why == "the node was stopped"

        began = time.perf_counter()
        nursery.start_soon(call)
        await trio.sleep(0.1)
        world.stopped = "the node was stopped"
        with trio.fail_after(2):
            while running_servers():
                await trio.sleep(0.02)
        assert time.perf_counter() - began < 2
        with pytest.raises(ActFailed) as refused:
            await world.call("look")
        assert refused.value.code in (FaultCode.CANCELLED, FaultCode.UNAVAILABLE)


async def test_many_calls_at_once_are_told_apart() -> None:
    async with World(honest()).running() as world:
        await world.list()
        answers: dict[int, object] = {}

        async def call(number: int) -> None:
            answers[number] = said(await world.call("say", json.dumps({"text": str(number)})))

        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(call, number)
        assert answers == {number: str(number) for number in range(30)}


async def test_no_jail_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(honest())
    world.servers._find_jail = lambda: NativeJail(None, "no landlock in this kernel")
    async with world.running():
        with pytest.raises(ActFailed, match="jail missing: no landlock in this kernel"):
            await world.list()
        assert not running_servers()


async def test_who_asks_for_what_is_not_configured_is_told_so() -> None:
    async with World(honest()).running() as world:
        for refused in (world.list(server="other"), world.call("add", server="other")):
            with pytest.raises(ActFailed) as failure:
                await refused
            assert failure.value.code is FaultCode.NOT_ALLOWED
        with pytest.raises(UnknownServer):
            world.servers.find("another", "tools")


async def test_http_needs_a_client() -> None:
    remote = McpServerSpec("far", url="https://example.org/mcp", tools=("*",))
    async with World(remote).running() as world:
        with pytest.raises(ActFailed, match="no servers over HTTP"):
            await world.list(server="far")
