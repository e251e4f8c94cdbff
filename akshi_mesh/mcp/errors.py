"""Everything `akshi_mesh.mcp` raises on purpose.

UnknownServer, UnknownTool, NothingToApprove   a person named the wrong thing
ServerFailed                                   a server ended or does not speak MCP
"""


class McpError(Exception):
    """Root of the package; the controls tell people, the act tells the guest."""

    hint = ""


class UnknownServer(McpError):
    """No agent of this node has a server of this name."""

    hint = "akshi-node mcp list"

    def __init__(self, agent: str, server: str) -> None:
        super().__init__(f"no mcp server {agent[:80]}/{server[:80]} is configured")
        self.agent = agent
        self.server = server


class UnknownTool(McpError):
    """The server never listed such a tool, or the configuration does not allow it."""

    hint = "akshi-node mcp list"

    def __init__(self, server: str, tool: str) -> None:
        super().__init__(f"no tool {tool[:128]!r} of {server[:80]} was seen")
        self.server = server
        self.tool = tool


class NothingToApprove(McpError):
    """What a person wanted to approve is not what is offered."""

    hint = "akshi-node mcp show AGENT/SERVER TOOL"

    def __init__(self, server: str, tool: str, *, why: str) -> None:
        super().__init__(f"tool {tool[:128]} of {server[:80]} was not approved: {why}")
        self.server = server
        self.tool = tool


class ServerFailed(McpError):
    """A server did not start, ended, or said what no MCP server says."""

    hint = "akshi-node mcp list"

    def __init__(self, server: str, *, why: str) -> None:
        super().__init__(f"mcp server {server}: {why}")
        self.server = server
        self.why = why


class ToolRefused(McpError):
    """The server answered that it did not do it."""
