"""Rows of the sealed envelopes that are offered until they are answered."""
# ruff: noqa: S608 - what is put into the statements is a constant of this file

from identity.envelope import Kind
from sync.proto.task_records import Outgoing
from sync.store.database import Database, Row

_COLUMNS = "number, id, peer, kind, task_id, data, until_ms"


class Outbox:
    """Every method runs in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, outgoing: Outgoing) -> None:
        self._db.execute(
            f"INSERT INTO tasks_outbox ({_COLUMNS}, kept) VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
            (
                outgoing.number,
                outgoing.id,
                outgoing.peer,
                outgoing.kind.value,
                outgoing.task_id,
                outgoing.data,
                outgoing.until_ms,
            ),
        )

    def get(self, envelope_id: bytes) -> Outgoing | None:
        row = self._db.row(f"SELECT {_COLUMNS} FROM tasks_outbox WHERE id = ?", (envelope_id,))
        return None if row is None else _outgoing(row)

    def about(self, task_id: bytes, kind: Kind) -> Outgoing | None:
        """The task itself, or an envelope of ours that answers it."""
        if kind is Kind.TASK:
            return self.get(task_id)
        row = self._db.row(
            f"SELECT {_COLUMNS} FROM tasks_outbox WHERE kind <> 'task' AND task_id = ?"
            " AND kind = ?",
            (task_id, kind.value),
        )
        return None if row is None else _outgoing(row)

    def waiting(self, peer: bytes, after: int, limit: int) -> list[Outgoing]:
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM tasks_outbox WHERE peer = ? AND kept = 0 AND number > ?"
            " ORDER BY number LIMIT ?",
            (peer, after, limit),
        )
        return [_outgoing(row) for row in rows]

    def keep(self, envelope_id: bytes) -> None:
        self._db.execute("UPDATE tasks_outbox SET kept = 1 WHERE id = ?", (envelope_id,))

    def offer_kept(self, peer: bytes) -> int:
        self._db.execute("UPDATE tasks_outbox SET kept = 0 WHERE peer = ? AND kept = 1", (peer,))
        return self._db.changes()

    def drop(self, envelope_id: bytes) -> None:
        self._db.execute("DELETE FROM tasks_outbox WHERE id = ?", (envelope_id,))

    def overdue(self, before_ms: int, limit: int) -> list[Outgoing]:
        """What is not a task (tasks are ended by their own rows) and has no point any more."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM tasks_outbox WHERE kind <> 'task' AND until_ms <= ? LIMIT ?",
            (before_ms, limit),
        )
        return [_outgoing(row) for row in rows]

    def last_number(self) -> int:
        number: int | None = self._db.value("SELECT max(number) FROM tasks_outbox")
        return number or 0


def _outgoing(row: Row) -> Outgoing:
    number, id_, peer, kind, task_id, data, until_ms = row
    return Outgoing(number, id_, peer, Kind(kind), task_id, data, until_ms)
