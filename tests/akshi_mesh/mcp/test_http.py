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
from sandbox.errors import ActFailed
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
        return ("token",)

    def leaks(self, agent: str, *texts: bytes) -> str | None:
        return "token" if any(TOKEN.encode() in text for text in texts) else None

    def redactor(self, agent: str) -> Any:
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

    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = config.accesslog = None
    app = server.streamable_http_app()
    async with trio.open_nursery() as nursery:
        bound = await nursery.start(partial(serve, app, config, mode="asgi"))  # type: ignore[arg-type]
        yield int(bound[0].rsplit(":", 1)[1]), tokens
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


async def test_nobody_there_is_unavailable() -> None:
    spec = McpServerSpec("far", url="http://127.0.0.1:1/mcp", tools=("echo",))
    async with World(spec, client=guarded(None)).running() as world:
        with pytest.raises(ActFailed) as refused:
            await world.call("echo", '{"text":"hello"}', server="far")
        assert refused.value.code is FaultCode.UNAVAILABLE
