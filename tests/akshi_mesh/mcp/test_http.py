"""A real MCP server over streamable HTTP, through the guarded door, under trio."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from mcp.server.mcpserver import Context, MCPServer

from akshi_mesh.mcp.http import guarded
from sandbox.errors import ActFailed, PortRefused
from sandbox.fault import FaultCode
from sandbox.mcp_server import McpServerSpec
from sandbox.secrets import Injection
from tests.akshi_mesh.mcp.world import World

# The SDK leaves streams of events in the middle, and httpx and httpcore pass that on as async
# generators nobody exhausts; trio ends them, and says so.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
TOKEN = "Bearer a-token-that-is-long-enough"


class Secrets:
    """One credential, for one address."""

    def injections(self, agent: str, url: Any, method: str) -> tuple[Injection, ...]:
        assert agent == "reader"
        return (Injection("token", "Authorization", TOKEN),)

    def names_for(self, agent: str, url: Any, method: str) -> tuple[str, ...]:
        assert agent == "reader"
        return ("token",)

    def leaks(self, agent: str, *texts: bytes) -> str | None:
        assert agent == "reader"
        return "token" if any(TOKEN.encode() in text for text in texts) else None

    def redactor(self, agent: str) -> Any:
        assert agent == "reader"
        return self

    def text(self, text: str) -> str:
        return text.replace(TOKEN, "[redacted]")


@asynccontextmanager
async def remote() -> AsyncIterator[tuple[int, list[str | None]]]:
    """A server made with the SDK; its port, and the tokens it was shown."""
    tokens: list[str | None] = []
    server = MCPServer("far")

    @server.tool()
    def echo(text: str, ctx: Context) -> str:
        headers = ctx.request_context.request.headers
        tokens.append(headers.get("authorization"))
        return f"{text} {headers.get('authorization')}"

    async with served(server.streamable_http_app()) as port:
        yield port, tokens


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """An application on a port of its own."""
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = config.accesslog = None
    async with trio.open_nursery() as nursery:
        bound = await nursery.start(partial(serve, app, config, mode="asgi"))  # type: ignore[arg-type]
        yield int(bound[0].rsplit(":", 1)[1])
        nursery.cancel_scope.cancel()


async def test_a_remote_tool_is_called_with_the_token_and_without_the_agent_seeing_it() -> None:
    secrets: Any = Secrets()
    async with remote() as (port, tokens):
        spec = McpServerSpec("far", url=f"http://127.0.0.1:{port}/mcp", tools=("echo",))
        world = World(spec, client=guarded(secrets))
        world.servers._secrets = secrets
        async with world.running():
            listed = json.loads(await world.list(server="far"))
            assert [tool["name"] for tool in listed["tools"]] == ["echo"]
            answer = await world.call("echo", '{"text":"hello"}', server="far")
            assert json.loads(answer)["content"][0]["text"] == "hello [redacted]"
            assert tokens == [TOKEN]
            with pytest.raises(ActFailed) as refused:
                await world.call("echo", json.dumps({"text": TOKEN}), server="far")
            assert refused.value.code is FaultCode.NOT_ALLOWED
            assert refused.value.why == "the arguments hold the secret token"
            assert tokens == [TOKEN]


class Rationed(Secrets):
    """Gives its credential so many times, and then refuses: revoked, or asked for too often."""

    def __init__(self, times: int) -> None:
        self.left = times

    def injections(self, agent: str, url: Any, method: str) -> tuple[Injection, ...]:
        self.left -= 1
        if self.left < 0:
            raise PortRefused(FaultCode.NOT_ALLOWED, "the grant of secret 'token' is revoked")
        return super().injections(agent, url, method)


@pytest.mark.parametrize("times", range(6))
async def test_a_credential_that_is_refused_ends_the_session_and_not_the_node(times: int) -> None:
    secrets: Any = Rationed(times)
    async with remote() as (port, _):
        spec = McpServerSpec("far", url=f"http://127.0.0.1:{port}/mcp", tools=("echo",))
        world = World(spec, client=guarded(secrets))
        world.servers._secrets = secrets
        async with world.running():
            with pytest.raises(ActFailed), trio.fail_after(20):
                await _three_calls(world)


async def _three_calls(world: World) -> None:
    for _ in range(3):
        await world.call("echo", '{"text":"hello"}', server="far")


@pytest.mark.parametrize("spaces", [0, 120, 290])
async def test_a_credential_in_the_words_of_an_error_is_taken_out(spaces: int) -> None:
    """Before they are cut: else its beginning would be left."""

    async def told(scope: Any, receive: Any, send: Any) -> None:
        request = json.loads((await receive())["body"] or b"{}")
        shown = dict(scope["headers"]).get(b"authorization", b"").decode()
        said: dict[str, Any] = {"error": {"code": 1, "message": f"{'x' * spaces} {shown} is bad"}}
        if request.get("method") == "initialize":
            hello = {"protocolVersion": request["params"]["protocolVersion"], "capabilities": {}}
            said = {"result": {**hello, "serverInfo": {"name": "far", "version": "1"}}}
        if request.get("method") == "tools/list":
            said = {"result": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}}
        status = 200 if "id" in request else 202
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        body = json.dumps({"jsonrpc": "2.0", "id": request.get("id"), **said}).encode()
        await send({"type": "http.response.body", "body": body if status == 200 else b""})

    secrets: Any = Secrets()
    async with served(told) as port:
        spec = McpServerSpec("far", url=f"http://127.0.0.1:{port}/mcp", tools=("echo",))
        world = World(spec, client=guarded(secrets))
        world.servers._secrets = secrets
        async with world.running():
            with pytest.raises(ActFailed) as refused:
                await world.call("echo", '{"text":"hello"}', server="far")
            assert refused.value.why.startswith("the server says: ")
            assert "Bearer" not in refused.value.why
            assert "a-token" not in refused.value.why


async def test_nobody_there_is_unavailable() -> None:
    spec = McpServerSpec("far", url="http://127.0.0.1:1/mcp", tools=("echo",))
    async with World(spec, client=guarded(None)).running() as world:
        with pytest.raises(ActFailed) as refused:
            await world.call("echo", '{"text":"hello"}', server="far")
        assert refused.value.code is FaultCode.UNAVAILABLE
