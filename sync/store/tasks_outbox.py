"""Rows of the sealed envelopes that are offered until they are answered."""
# ruff: noqa: S608 - what is put into the statements is a constant of this file

from identity.envelope import Kind
from sync.proto.task_records import Outgoing
from sync.store.database import Database, Row

_COLUMNS = "peer, number, id, kind, task_id, data, until_ms, kept"


class Outbox:
    """Every method runs in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, outgoing: Outgoing) -> None:
        self._db.execute(
            f"INSERT INTO tasks_outbox ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                outgoing.peer,
                outgoing.number,
                outgoing.id,
                outgoing.kind.value,
                outgoing.task_id,
                outgoing.data,
                outgoing.until_ms,
                outgoing.kept,
            ),
        )

    def get(self, peer: bytes, number: int) -> Outgoing | None:
        row = self._db.row(
            f"SELECT {_COLUMNS} FROM tasks_outbox WHERE peer = ? AND number = ?", (peer, number)
        )
        return None if row is None else _outgoing(row)

    def waiting(self, peer: bytes, after: int, limit: int) -> list[Outgoing]:
        """What is to be offered to the peer, in order; what it acknowledged is not."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM tasks_outbox WHERE peer = ? AND number > ? AND kept = 0"
            " ORDER BY number LIMIT ?",
            (peer, after, limit),
        )
        return [_outgoing(row) for row in rows]

    def keep(self, peer: bytes, number: int) -> None:
        self._db.execute(
            "UPDATE tasks_outbox SET kept = 1 WHERE peer = ? AND number = ?", (peer, number)
        )

    def offer_kept(self, peer: bytes) -> int:
        """Offer again what the peer acknowledged; how many there are."""
        self._db.execute("UPDATE tasks_outbox SET kept = 0 WHERE peer = ? AND kept = 1", (peer,))
        return self._db.changes()

    def drop(self, peer: bytes, number: int) -> Outgoing | None:
        row = self._db.row(
            f"DELETE FROM tasks_outbox WHERE peer = ? AND number = ? RETURNING {_COLUMNS}",
            (peer, number),
        )
        return None if row is None else _outgoing(row)

    def overdue(self, before_ms: int, limit: int) -> list[Outgoing]:
        """What has no point any more; not tasks, for those are ended by their own rows."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM tasks_outbox WHERE kind <> 'task' AND until_ms <= ? LIMIT ?",
            (before_ms, limit),
        )
        return [_outgoing(row) for row in rows]

    def last_number(self) -> int:
        number: int | None = self._db.value("SELECT max(number) FROM tasks_outbox")
        return number or 0


def _outgoing(row: Row) -> Outgoing:
    peer, number, id_, kind, task_id, data, until_ms, kept = row
    return Outgoing(peer, number, id_, Kind(kind), task_id, data, until_ms, bool(kept))
