"""MCP servers of a running node: how they are, and which definitions a person approved."""

from collections.abc import Iterator
from contextlib import contextmanager

from akshi_mesh.api.errors import Denied, NotKnown, Unavailable
from akshi_mesh.api.shapes_mcp import McpServerInfo, McpToolInfo
from akshi_mesh.mcp.definitions import pin_of
from akshi_mesh.mcp.errors import NothingToApprove, UnknownServer, UnknownTool
from akshi_mesh.mcp.pins import Pinned
from akshi_mesh.parts import Parts
from sandbox.errors import ActFailed


class McpControl:
    """`Control`, as far as it is about MCP servers."""

    _parts: Parts

    async def mcp_list(self) -> list[McpServerInfo]:
        rows = self._parts.tools.pins.rows()
        infos: list[McpServerInfo] = []
        for server in self._parts.tools.all():
            own = [r for r in rows if (r.agent, r.server) == (server.agent, server.spec.name)]
            waiting = sum(row.offered is not None for row in own)
            infos.append(
                {
                    "agent": server.agent,
                    "server": server.spec.name,
                    "where": server.spec.url or server.spec.argv[0],
                    "state": server.state,
                    "trouble": server.trouble or "",
                    "approved": len(own) - waiting,
                    "waiting": waiting,
                }
            )
        return infos

    async def mcp_look(self, agent: str, server: str) -> list[McpToolInfo]:
        with _told():
            found = self._parts.tools.find(agent, server)
            await self._parts.tools.look(found)
        return [_info(row) for row in self._parts.tools.pins.rows(agent, server)]

    async def mcp_show(self, agent: str, server: str, tool: str) -> McpToolInfo:
        with _told():
            self._parts.tools.find(agent, server)
            return _info(self._parts.tools.pins.row(agent, server, tool))

    async def mcp_approve(self, agent: str, server: str, tool: str, pin: str) -> McpToolInfo:
        with _told():
            found = self._parts.tools.find(agent, server)
            if len(pin) != 64 or pin.strip("0123456789abcdef"):
                raise NothingToApprove(server, tool, why="that is no hash of a definition")
            row = self._parts.tools.pins.approve(agent, server, tool, bytes.fromhex(pin))
            found.forget(tool)
        return _info(row)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (UnknownServer, UnknownTool) as unknown:
        raise NotKnown(str(unknown), hint=unknown.hint) from unknown
    except NothingToApprove as refused:
        raise Denied(str(refused), hint=refused.hint) from refused
    except ActFailed as failed:
        raise Unavailable(failed.why, hint="akshi-node mcp list") from failed


def _info(row: Pinned) -> McpToolInfo:
    shown = row.offered if row.offered is not None else row.pinned
    state = "approved" if row.offered is None else "new" if row.pinned is None else "changed"
    return {
        "agent": row.agent,
        "server": row.server,
        "tool": row.tool,
        "state": state,  # type: ignore[typeddict-item]  # one of the three words
        "approved": row.pinned,
        "offered": row.offered,
        "pin": pin_of(shown or "").hex(),
        "at_ms": row.at_ms,
    }
