"""Where audit records go: one table of the node's database, append only.

A row keeps the record, a salt, and the Merkle leaf hash over both, so that a record can
later be blotted out without touching the tree that proves it was there. One insert per
record, inside the transaction of the act it announces: no record, no act.
"""

import hashlib
from collections.abc import Callable, Iterable

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
LEAF = b"\x00"  # RFC 6962 §2.1
# Kinds that must survive a power cut before anything follows from them.
_DURABLE = {
    *(Event.VIOLATION, Event.ADMITTED, Event.CONSUMED, Event.RESERVED, Event.SPENT),
    *(Event.SPEND_UNKNOWN, Event.KILL_SWITCH, Event.TRUST, Event.SECRET, Event.CONTRADICTED),
}


class AuditLog:
    """Appends to the node's audit log. What is in it is `AuditBook`'s to tell."""

    def __init__(
        self, database: Database, *, draw: Callable[[int], bytes], wall_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._draw = draw
        self._wall_ms = wall_ms

    def note(
        self,
        event: Event,
        *,
        subject: str,
        code: str = "",
        detail: str = "",
        agent: str = "",
        facts: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Append a record of what is no host call: trust, secrets, money, approvals, agents.

        Call it in the transaction of the change, before the change; or before a change that
        has no transaction. Both may be nested in one that is open.

        Args:
            event: what kind of change.
            subject: what it is about: a DID, the id of an approval, the name of a secret.
            code: how, as docs/spec/audit.md lists it for `event`: `added`, `removed`, …
            detail: for people; cut at 256 characters.
            agent: the agent that is concerned, if one is.
            facts: more names and values; never a secret's value, never a body.

        Raises:
            AuditUnavailable: it could not be stored; what it announces must not happen.
        """
        self.record(
            AuditRecord(
                at_ms=self._wall_ms(),
                event=event,
                agent=agent,
                originator="",
                task_id=b"",
                number=-1,
                function="",
                code=code,
                detail=detail,
                request_hash=b"",
                facts=(("subject", subject), *facts),
            )
        )

    def record(self, record: AuditRecord) -> None:
        """Append `record`, in the open transaction if there is one.

        Raises:
            AuditUnavailable: it could not be stored; what it announces must not happen.
        """
        salt, data = self._draw(SALT_BYTES), record.to_cbor()
        leaf = hashlib.sha256(LEAF + salt + data).digest()
        try:
            with self._database.transaction(fsync=record.event in _DURABLE):
                self._database.execute(
                    "INSERT INTO audit (leaf, salt, record) VALUES (?, ?, ?)", (leaf, salt, data)
                )
        except DatabaseDamaged:
            raise  # nothing of this store is to be used any more
        except StoreError as failure:
            raise AuditUnavailable(why=str(failure)) from failure
