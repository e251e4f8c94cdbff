"""One conversation with one server: say hello, list its tools, call one.

What the SDK gives back are values it has checked against the specification; they are made
into JSON of our own at once. The schemas of a server are never run against its answers:
a pattern in one could hold the node's loop for minutes.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from akshi_mesh.mcp.definitions import TOOLS_MAX
from akshi_mesh.mcp.errors import ServerFailed, ToolRefused
from akshi_mesh.mcp.transports import Left, Streams

PAGES_MAX: Final = 64  # of one listing; a server that goes on for ever is cut off
UNASKED_MAX: Final = 1_000  # messages between two answers; whoever says more is closed


def load_sdk() -> None:
    """Import the SDK: half a second the first time, so not on the loop, and only when needed."""
    import mcp
    import mcp.client.streamable_http

    del mcp


class Session:
    """Make it with `open_session`."""

    def __init__(self, name: str, too_much: Callable[[], None]) -> None:
        self.listing_is_old = False
        self._unasked = 0
        self._too_much = too_much
        self._name = name
        self._client: Any = None

    def speak_through(self, client: Any) -> None:
        self._client = client

    async def list_tools(self) -> list[dict[str, Any]]:
        """Every tool, all pages.

        Raises:
            ServerFailed: no answer, or none that an MCP server gives.
        """
        import mcp_types
        from mcp.shared.exceptions import MCPError
        from pydantic import ValidationError

        self.listing_is_old = False
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        try:
            for _ in range(PAGES_MAX):
                params = mcp_types.PaginatedRequestParams(cursor=cursor) if cursor else None
                request = mcp_types.ListToolsRequest(params=params)
                page = await self._client.send_request(request, mcp_types.ListToolsResult)
                found += [
                    tool.model_dump(by_alias=True, mode="json", exclude_none=True)
                    for tool in page.tools
                ]
                cursor = page.next_cursor
                if not cursor or len(found) > TOOLS_MAX:
                    break
        except (MCPError, ValidationError, *Left) as failure:
            raise ServerFailed(self._name, why=_reason(failure)) from failure
        self._unasked = 0
        return found

    async def call_tool(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The answer: content, structuredContent where there is one, isError.

        Raises:
            ToolRefused: the server says that it did not do it.
            ServerFailed: the connection ended, or what came is no answer.
        """
        import mcp_types
        from mcp.shared.exceptions import MCPError
        from pydantic import ValidationError

        request = mcp_types.CallToolRequest(
            params=mcp_types.CallToolRequestParams(name=tool, arguments=arguments)
        )
        try:
            answer = await self._client.send_request(request, mcp_types.CallToolResult)
        except MCPError as failure:
            if failure.code == mcp_types.CONNECTION_CLOSED:
                raise ServerFailed(self._name, why="it ended") from failure
            raise ToolRefused(_reason(failure)) from failure
        except (ValidationError, *Left) as failure:
            raise ServerFailed(self._name, why=_reason(failure)) from failure
        self._unasked = 0
        said = answer.model_dump(by_alias=True, mode="json", exclude_none=True)
        kept: dict[str, Any] = {"content": said["content"], "isError": bool(said.get("isError"))}
        if "structuredContent" in said:
            kept["structuredContent"] = said["structuredContent"]
        return kept

    async def heard(self, message: object) -> None:
        """What the server says without being asked."""
        import mcp_types

        self.listing_is_old |= isinstance(message, mcp_types.ToolListChangedNotification)
        self._unasked += 1
        if self._unasked > UNASKED_MAX:
            self._too_much()


@asynccontextmanager
async def open_session(
    name: str, streams: Streams, too_much: Callable[[], None]
) -> AsyncIterator[Session]:
    """Say hello over `streams`, and listen until the end of the block.

    What a server may ask of its client (sampling, elicitation, roots) the SDK refuses, since
    nobody here answers it. `too_much` is called when the server talks and talks unasked.

    Raises:
        ServerFailed: no hello came back.
    """
    import mcp_types
    from mcp import ClientSession
    from mcp.shared.exceptions import MCPError
    from pydantic import ValidationError

    session = Session(name, too_much)
    reading, writing = streams
    us = mcp_types.Implementation(name="akshi-mesh", version="1")
    client = ClientSession(reading, writing, message_handler=session.heard, client_info=us)
    async with client:
        session.speak_through(client)
        try:
            await client.initialize()
        except (MCPError, ValidationError, RuntimeError, *Left) as failure:
            raise ServerFailed(name, why=f"no hello: {_reason(failure)}") from failure
        yield session


def _reason(failure: Exception) -> str:
    """All its words: whoever shows them takes secrets out first, and then cuts."""
    from pydantic import ValidationError

    if isinstance(failure, ValidationError):  # it quotes what came, and cuts that in the middle
        return f"{failure.error_count()} fields are not what the protocol says"
    return str(failure) or type(failure).__name__
