"""What is in the audit log, for people and for checks; works on a connection of its own."""

import hashlib

from akshi_mesh.audit.log import LEAF
from sandbox.audit import AuditRecord
from sync.store.database import Database


class AuditBook:
    """The audit log of `reader`, as it is now."""

    def __init__(self, reader: Database) -> None:
        self._database = reader

    def tail(self, *, limit: int, agent: str | None = None) -> list[tuple[int, AuditRecord]]:
        """The newest `limit` records (of `agent`), oldest first, each with its number."""
        found: list[tuple[int, AuditRecord]] = []
        for seq, data in self._database.execute("SELECT seq, record FROM audit ORDER BY seq DESC"):
            record = AuditRecord.from_cbor(data)
            if agent is None or record.agent == agent:
                found.append((seq, record))
            if len(found) >= limit:
                break
        return found[::-1]

    def check(self) -> list[str]:
        """One line for every record that is not what its leaf hash says, or is missing."""
        wrong: list[str] = []
        expected = 1
        for seq, leaf, salt, data in self._database.execute(
            "SELECT seq, leaf, salt, record FROM audit ORDER BY seq"
        ):
            if seq != expected:
                wrong.append(f"audit records {expected} to {seq - 1} are missing")
            if hashlib.sha256(LEAF + salt + data).digest() != leaf:
                wrong.append(f"audit record {seq} was changed")
            expected = seq + 1
        return wrong
