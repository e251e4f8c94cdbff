"""Which component may run as which agent: the one that was approved, and no other.

The first component that runs under a name is taken as approved, and so is the one that the
configuration names (`wasm_cid`). After that a changed file starts nothing until its owner says
`akshi-node agents reload NAME --cid CID`.
"""

from collections.abc import Callable

from akshi_mesh.audit.log import AuditLog
from sandbox.agent_spec import AgentSpec
from sandbox.audit import Event
from sandbox.errors import AuditUnavailable
from sync.errors import DatabaseDamaged, StoreError
from sync.store.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS agent_modules (
    agent TEXT PRIMARY KEY,
    cid TEXT NOT NULL,
    approved_ms INTEGER NOT NULL
) STRICT
"""


class Modules:
    """`ModulePort` of the node."""

    def __init__(self, database: Database, audit: AuditLog, *, wall_ms: Callable[[], int]) -> None:
        self._database = database
        self._audit = audit
        self._wall_ms = wall_ms

    def problem(self, spec: AgentSpec, cid: str) -> str | None:
        """Why `cid` may not run as this agent, or None.

        Raises:
            AuditUnavailable: it is the first of its name, and that could not be kept.
        """
        if spec.wasm_cid is not None:
            return None if cid == spec.wasm_cid else f"wasm_cid says {spec.wasm_cid}, it is {cid}"
        try:
            approved = self._database.value(
                "SELECT cid FROM agent_modules WHERE agent = ?", (spec.name,)
            )
            if approved is None:
                self.approve(spec.name, cid)
                return None
        except DatabaseDamaged:
            raise
        except StoreError as trouble:
            raise AuditUnavailable(why=str(trouble)) from trouble
        if approved == cid:
            return None
        command = f"akshi-node agents reload {spec.name} --cid {cid}"
        return f"its file has changed: {approved} was approved, it is {cid}; {command}"

    def approve(self, agent: str, cid: str) -> None:
        """From now on `cid` may run as `agent`, and nothing else.

        Raises:
            AuditUnavailable: it is not kept, and nothing has changed.
        """
        try:
            with self._database.transaction(fsync=True):
                self._audit.note(Event.AGENT, subject=agent, detail=cid, code="approved")
                self._database.execute(
                    "INSERT INTO agent_modules VALUES (?1, ?2, ?3)"
                    " ON CONFLICT (agent) DO UPDATE SET cid = ?2, approved_ms = ?3",
                    (agent, cid, self._wall_ms()),
                )
        except DatabaseDamaged:
            raise
        except StoreError as trouble:
            raise AuditUnavailable(why=str(trouble)) from trouble
