"""Appends to the audit log: one table of the node's database, and the Merkle tree over it.

A row keeps the record, a salt, and the leaf hash over both, so that a record can later be
blotted out without touching the tree that proves it was there. One insert per record, inside
the transaction of the act it announces: no record, no act. Every 256th record also writes the
hash over its tile, which costs one hash a record; nothing of the tree is kept in memory, so
nothing has to be taken back when a transaction fails.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator

from akshi_mesh.audit.tree import TILE_BITS, TILE_WIDTH
from akshi_mesh.reserve import Reserve
from sandbox.audit import AuditRecord, Event
from sandbox.errors import AuditUnavailable
from sync.errors import DatabaseDamaged, StoreError, StoreFull
from sync.merkle import root
from sync.store.database import Database

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY,
    leaf BLOB NOT NULL,
    salt BLOB NOT NULL,
    record BLOB NOT NULL
) STRICT
""",
    # The hash over hashes `position` * 256 … of the level below, once all 256 are there.
    """
CREATE TABLE IF NOT EXISTS audit_tiles (
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, position)
) STRICT, WITHOUT ROWID
""",
    # What was signed; each has left the node, or may have.
    """
CREATE TABLE IF NOT EXISTS audit_checkpoints (
    size INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    note BLOB NOT NULL
) STRICT
""",
    # Up to here salts and records are gone.
    """
CREATE TABLE IF NOT EXISTS audit_pruned (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    through INTEGER NOT NULL
) STRICT
""",
)
SALT_BYTES = 16
LEAF = b"\x00"  # RFC 6962 §2.1
# Kinds that must survive a power cut before anything follows from them.
_DURABLE = {
    *(Event.VIOLATION, Event.ADMITTED, Event.CONSUMED, Event.RESERVED, Event.SPENT),
    *(Event.SPEND_UNKNOWN, Event.KILL_SWITCH, Event.TRUST, Event.SECRET, Event.CONTRADICTED),
}
# Kinds that take rights away: for them there is room on a full disk.
_URGENT = {Event.KILL_SWITCH, Event.TRUST, Event.SECRET, Event.NODE, Event.AGENT}
HIGH = ("tier", "high")


@contextlib.contextmanager
def as_store_error() -> Iterator[None]:
    """Let who handles a full disk handle a log that is full, too: it is the same disk."""
    try:
        yield
    except AuditUnavailable as unavailable:
        if isinstance(unavailable.__cause__, StoreError):
            raise unavailable.__cause__ from unavailable
        raise


def leaf_of(salt: bytes, record: bytes) -> bytes:
    """The leaf hash of a record."""
    return hashlib.sha256(LEAF + salt + record).digest()


class AuditLog:
    """Appends to the node's audit log. What is in it is `AuditBook`'s to tell."""

    def __init__(
        self,
        database: Database,
        *,
        draw: Callable[[int], bytes],
        wall_ms: Callable[[], int],
        reserve: Reserve | None = None,
    ) -> None:
        self._database = database
        self._draw = draw
        self._wall_ms = wall_ms
        self._reserve = reserve

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
        row = (leaf_of(salt, data), salt, data)
        fsync = record.event in _DURABLE or HIGH in record.facts
        try:
            try:
                self._append(row, fsync=fsync)
            except StoreFull:
                reserve = self._reserve
                if reserve is None or record.event not in _URGENT or self._database.in_transaction:
                    raise
                with reserve.lent():
                    self._append(row, fsync=fsync)
        except DatabaseDamaged:
            raise  # nothing of this store is to be used any more
        except StoreError as failure:
            raise AuditUnavailable(why=str(failure)) from failure

    def _append(self, row: tuple[bytes, bytes, bytes], *, fsync: bool) -> None:
        with self._database.joined(fsync=fsync):
            seq = self._database.value(
                "INSERT INTO audit (leaf, salt, record) VALUES (?, ?, ?) RETURNING seq", row
            )
            # Where this fails and the row stays, the next to grow makes up for it.
            if not seq & (TILE_WIDTH - 1):
                with self._database.transaction():
                    self._grow(seq)

    def _grow(self, size: int) -> None:
        """Write the hashes over all tiles that are full and have none yet."""
        level, hashes = 1, size >> TILE_BITS
        while hashes:
            known = self._database.value(
                "SELECT coalesce(max(position), -1) + 1 FROM audit_tiles WHERE level = ?", (level,)
            )
            for position in range(known, hashes):
                below = stored_hashes(self._database, level - 1, position << TILE_BITS, TILE_WIDTH)
                self._database.execute(
                    "INSERT INTO audit_tiles VALUES (?, ?, ?)", (level, position, root(below))
                )
            level, hashes = level + 1, hashes >> TILE_BITS


def stored_hashes(database: Database, level: int, start: int, count: int) -> list[bytes]:
    """Hashes of one level of the tree, as they are stored; those of level 0 are the leaves'."""
    if level == 0:
        sql = "SELECT leaf FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq"
        rows = database.rows(sql, (start, start + count))
    else:
        sql = (
            "SELECT hash FROM audit_tiles WHERE level = ? AND position >= ? AND position < ?"
            " ORDER BY position"
        )
        rows = database.rows(sql, (level, start, start + count))
    return [row[0] for row in rows]
