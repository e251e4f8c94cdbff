"""What a node tells about the MCP servers of its agents. Their words are a stranger's."""

from typing import Literal, TypedDict


class McpServerInfo(TypedDict):
    """One configured server. `trouble` is why it is not up, or empty."""

    agent: str
    server: str
    where: str
    state: Literal["up", "down", "failed"]
    trouble: str
    approved: int
    waiting: int


class McpToolInfo(TypedDict):
    """One tool that was seen, with its definition as JSON text.

    `approved` is what an agent may call, `offered` what the server says now where that is
    something else. `pin` is the hash of the one that a person would approve, in hex.
    """

    agent: str
    server: str
    tool: str
    state: Literal["approved", "changed", "new"]
    approved: str | None
    offered: str | None
    pin: str
    at_ms: int
