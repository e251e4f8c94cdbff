"""Where audit records go: one table of the node's database, append only.

A row keeps the record, a salt, and the Merkle leaf hash over both, so that a record can
later be blotted out without touching the tree that proves it was there. One insert per
record, inside the transaction of the act it announces: no record, no act.
"""

import hashlib
from collections.abc import Callable

from sandbox.audit import AuditRecord, Event
from sandbox.errors import AuditUnavailable
from sync.errors import DatabaseDamaged, StoreError
from sync.store.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY,
    leaf BLOB NOT NULL,
    salt BLOB NOT NULL,
    record BLOB NOT NULL
) STRICT
"""
SALT_BYTES = 16
_LEAF = b"\x00"  # RFC 6962 §2.1
# Kinds that must survive a power cut before anything follows from them.
_DURABLE = {Event.VIOLATION, Event.ADMITTED}


class AuditLog:
    """The node's audit log: `record` for the gate, `tail` for people."""

    def __init__(self, database: Database, *, draw: Callable[[int], bytes]) -> None:
        self._database = database
        self._draw = draw

    def record(self, record: AuditRecord) -> None:
        """Append `record`, in the open transaction if there is one.

        Raises:
            AuditUnavailable: it could not be stored; what it announces must not happen.
        """
        salt, data = self._draw(SALT_BYTES), record.to_cbor()
        leaf = hashlib.sha256(_LEAF + salt + data).digest()
        try:
            with self._database.transaction(fsync=record.event in _DURABLE):
                self._database.execute(
                    "INSERT INTO audit (leaf, salt, record) VALUES (?, ?, ?)", (leaf, salt, data)
                )
        except DatabaseDamaged:
            raise  # nothing of this store is to be used any more
        except StoreError as failure:
            raise AuditUnavailable(why=str(failure)) from failure

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
            if hashlib.sha256(_LEAF + salt + data).digest() != leaf:
                wrong.append(f"audit record {seq} was changed")
            expected = seq + 1
        return wrong
