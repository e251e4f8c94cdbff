"""Tools of MCP servers: which there are, and one call of one."""

from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.mcp_server import CallTool, ListTools
from sandbox.outside import StillAllowed, ToolPort
from sandbox.ports import TaskRun


async def ask(
    port: ToolPort | None, task: TaskRun, wish: ListTools | CallTool, *, still_allowed: StillAllowed
) -> str:
    """The server's answer as JSON. Tools and their arguments are what the gate has checked."""
    if port is None:
        raise ActFailed(FaultCode.UNAVAILABLE, "this node talks to no MCP servers")
    if isinstance(wish, ListTools):
        return await port.list_tools(task.agent, wish, still_allowed=still_allowed)
    return await port.call_tool(task.agent, wish, still_allowed=still_allowed)
