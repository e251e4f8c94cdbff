"""What a command asks of a running node about MCP servers."""

from typing import Any, Protocol, cast

from akshi_mesh.api.shapes_mcp import McpServerInfo, McpToolInfo

PATIENT_S = 90.0  # a server may take a while to start and to answer


class Caller(Protocol):
    """A `Client`, as far as it is needed here."""

    def call(self, operation: str, /, *, timeout_s: float = ..., **arguments: object) -> Any: ...


class McpCalls:
    """Servers of a running node, and the definitions of their tools."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def listed(self) -> list[McpServerInfo]:
        return cast(list[McpServerInfo], self._caller.call("mcp_list"))

    def look(self, agent: str, server: str) -> list[McpToolInfo]:
        answer = self._caller.call("mcp_look", timeout_s=PATIENT_S, agent=agent, server=server)
        return cast(list[McpToolInfo], answer)

    def show(self, agent: str, server: str, tool: str) -> McpToolInfo:
        answer = self._caller.call("mcp_show", agent=agent, server=server, tool=tool)
        return cast(McpToolInfo, answer)

    def approve(self, shown: McpToolInfo) -> McpToolInfo:
        """Approve exactly what was shown."""
        answer = self._caller.call(
            "mcp_approve",
            agent=shown["agent"],
            server=shown["server"],
            tool=shown["tool"],
            pin=shown["pin"],
        )
        return cast(McpToolInfo, answer)
