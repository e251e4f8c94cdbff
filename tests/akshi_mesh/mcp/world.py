"""One agent, its MCP servers, and what the node keeps of them."""

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from akshi_mesh.mcp.pins import SCHEMA, Pins
from akshi_mesh.mcp.servers import Servers
from akshi_mesh.mcp.transports import Client
from sandbox.agent_spec import AgentSpec
from sandbox.audit import AuditRecord
from sandbox.mcp_server import ListTools, McpServerSpec, read_call_tool
from sync.store.database import Database

HERE = Path(__file__).parent
SERVER = HERE / "tool_server.py"
HOSTILE = HERE / "hostile_server.py"
AGENT = "reader"


class Audit:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []

    def record(self, record: AuditRecord) -> None:
        self.records.append(record)

    @property
    def codes(self) -> list[str]:
        return [f"{record.code} {record.detail}" for record in self.records]


def honest(*words: str, **values: object) -> McpServerSpec:
    """The server that is made with the SDK."""
    given: dict[str, object] = {
        "name": "tools",
        "argv": (sys.executable, str(SERVER), *words),
        "tools": ("*",),
        "read": (str(SERVER),),
    }
    return McpServerSpec(**given | values)  # type: ignore[arg-type]


def hostile(mode: str, *words: str, **values: object) -> McpServerSpec:
    given: dict[str, object] = {
        "name": "tools",
        "argv": (sys.executable, "-I", "-S", str(HOSTILE), mode, *words),
        "tools": ("*",),
        "read": (str(HOSTILE),),
    }
    return McpServerSpec(**given | values)  # type: ignore[arg-type]


class World:
    """A node's `Servers`, and short words for what a guest would ask of them."""

    def __init__(
        self,
        *specs: McpServerSpec,
        database: Database | None = None,
        environ: Mapping[str, str] | None = None,
        hidden: tuple[str, ...] = (),
        client: Client | None = None,
    ) -> None:
        self.database = database or Database.open(":memory:", schemas=[SCHEMA])
        self.audit = Audit()
        self.pins = Pins(self.database, self.audit, me="did:key:zNode", wall_ms=lambda: 7)
        agent = AgentSpec(name=AGENT, wasm_path="/agent.wasm", mcp_servers=specs)
        self.stopped: str | None = None
        self.servers = Servers(
            [agent],
            self.pins,
            hidden=hidden,
            environ=environ if environ is not None else {},
            client=client,
        )

    async def call(self, tool: str, arguments: str = "{}", *, server: str = "tools") -> str:
        wish = read_call_tool(server, tool, arguments)
        return await self.servers.call_tool(AGENT, wish, still_allowed=lambda: self.stopped)

    async def list(self, *, server: str = "tools") -> str:
        return await self.servers.list_tools(
            AGENT, ListTools(server), still_allowed=lambda: self.stopped
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["World"]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.servers.run)
            yield self
            nursery.cancel_scope.cancel()


@contextmanager
def open_place() -> Iterator[Path]:
    """A directory that anybody may enter and change: a jailed program is not us."""
    path = Path(tempfile.mkdtemp(prefix="akshi-mcp-"))
    path.chmod(0o777)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def running_servers() -> list[int]:
    """Processes of the test servers, wherever they are."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            ours = str(HERE).encode()
            if ours in words and state != "Z" and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found
