"""Which definition of a tool was approved: one row for each tool that was ever seen.

A tool may be called while its server defines it as it is pinned here. The first sight of a
tool that the configuration names pins it; so does the first sight of a server, for the
tools that a pattern covers. Whatever is new or different later waits for a person.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from akshi_mesh.mcp.definitions import Definition, Listing, pin_of
from akshi_mesh.mcp.errors import NothingToApprove, UnknownTool
from sandbox.audit import AuditRecord, Event
from sandbox.mcp_server import McpServerSpec
from sandbox.ports import AuditPort
from sync.store.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS mcp_pins (
    agent TEXT NOT NULL,
    server TEXT NOT NULL,
    tool TEXT NOT NULL,
    pinned TEXT,           -- the definition that was approved; NULL: none ever was
    offered TEXT,          -- what the server says now, where that is something else
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (agent, server, tool)
) STRICT
"""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A tool as it was approved, and as it is offered where that is something else."""

    agent: str
    server: str
    tool: str
    pinned: str | None
    offered: str | None
    at_ms: int

    @property
    def problem(self) -> str | None:
        """Why the tool may not be called, or None."""
        if self.offered is None:
            return None
        what = "is new" if self.pinned is None else "has changed since it was approved"
        return (
            f"tool {self.tool} of {self.server} {what}: "
            f"akshi-node mcp approve {self.agent}/{self.server} {self.tool}"
        )


class Pins:
    """The table, and the audit records that go with each change of it."""

    def __init__(
        self, database: Database, audit: AuditPort, *, me: str, wall_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._audit = audit
        self._me = me
        self._wall_ms = wall_ms

    def judge(
        self, agent: str, spec: McpServerSpec, listing: Listing
    ) -> tuple[dict[str, Definition], dict[str, str]]:
        """Which of the tools in `listing` the agent may call now, and why not the others.

        Raises:
            AuditUnavailable, StoreError: nothing was pinned, and no tool may be called.
        """
        usable: dict[str, Definition] = {}
        refused = {n: why for n, why in listing.refused.items() if spec.allows(n)}
        with self._database.transaction(fsync=True):
            known = {row.tool: row for row in self.rows(agent, spec.name)}
            is_first_sight = not known
            for name, definition in sorted(listing.tools.items()):
                if not spec.allows(name):
                    continue
                row = known.get(name)
                may_pin = is_first_sight or (spec.names(name) and row is None)
                if may_pin or (row is not None and row.pinned == definition.text):
                    self._settle(agent, spec.name, definition, is_new=row is None)
                    usable[name] = definition
                    continue
                offered = Pinned(
                    agent,
                    spec.name,
                    name,
                    row.pinned if row else None,
                    definition.text,
                    self._wall_ms(),
                )
                refused[name] = offered.problem or ""
                if row is None or row.offered != definition.text:
                    self._write(offered, "offered", definition.pin)
            self._forget(row for row in known.values() if row.tool not in listing.tools)
        return usable, refused

    def approve(self, agent: str, server: str, tool: str, pin: bytes) -> Pinned:
        """Pin what is offered, if it is still what the person saw.

        Args:
            agent: whose server it is.
            server: its name.
            tool: of the server.
            pin: the hash of the definition that was shown.

        Raises:
            UnknownTool: never seen.
            NothingToApprove: it is as it was approved, or something else by now.
        """
        with self._database.transaction(fsync=True):
            row = self.row(agent, server, tool)
            if row.offered is None:
                raise NothingToApprove(server, tool, why="it is as it was approved")
            if pin_of(row.offered) != pin:
                raise NothingToApprove(server, tool, why="it has changed again; look at it anew")
            pinned = Pinned(agent, server, tool, row.offered, None, self._wall_ms())
            self._write(pinned, "approved", pin)
        return pinned

    def row(self, agent: str, server: str, tool: str) -> Pinned:
        """The row of one tool. Raises UnknownTool."""
        for row in self.rows(agent, server):
            if row.tool == tool:
                return row
        raise UnknownTool(server, tool)

    def rows(self, agent: str | None = None, server: str | None = None) -> list[Pinned]:
        """All rows, or those of an agent, or of one of its servers, by name."""
        found = self._database.rows(
            "SELECT agent, server, tool, pinned, offered, at_ms FROM mcp_pins"
            " WHERE (?1 IS NULL OR agent = ?1) AND (?2 IS NULL OR server = ?2)"
            " ORDER BY agent, server, tool",
            (agent, server),
        )
        return [Pinned(*row) for row in found]

    def _settle(self, agent: str, server: str, definition: Definition, *, is_new: bool) -> None:
        """The server says what is pinned, or nothing was: then this is."""
        if is_new:
            row = Pinned(agent, server, definition.name, definition.text, None, self._wall_ms())
            self._write(row, "pinned", definition.pin)
            return
        self._database.execute(
            "UPDATE mcp_pins SET offered = NULL WHERE agent = ? AND server = ? AND tool = ?"
            " AND offered IS NOT NULL",
            (agent, server, definition.name),
        )

    def _forget(self, gone: Iterable[Pinned]) -> None:
        """What no person ever approved and the server tells no more: it could be new for ever."""
        for row in gone:
            if row.pinned is None:
                self._database.execute(
                    "DELETE FROM mcp_pins WHERE agent = ? AND server = ? AND tool = ?",
                    (row.agent, row.server, row.tool),
                )

    def _write(self, row: Pinned, code: str, pin: bytes) -> None:
        self._audit.record(
            AuditRecord(
                at_ms=row.at_ms,
                event=Event.TRUST,
                agent=row.agent,
                originator=self._me,
                task_id=b"",
                number=-1,
                function="mcp.call-tool",
                code=code,
                detail=f"{row.server}/{row.tool}",
                request_hash=pin,
            )
        )
        self._database.execute(
            "INSERT INTO mcp_pins (agent, server, tool, pinned, offered, at_ms)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (agent, server, tool) DO UPDATE SET"
            " pinned = excluded.pinned, offered = excluded.offered, at_ms = excluded.at_ms",
            (row.agent, row.server, row.tool, row.pinned, row.offered, row.at_ms),
        )
