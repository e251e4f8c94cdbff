"""Rows of the tasks that we asked of others."""
# ruff: noqa: S608 - what is put into the statements is a constant of this file

from sync.proto.task_records import Origin, SentTask
from sync.proto.task_states import Counted
from sync.store.database import Database, Row

_COLUMNS = (
    "id, peer, agent, message_id, context_id, body_hash, origin_task, origin_call, created_ms,"
    " expires_ms, size_bytes, counted, ended_ms, answered, cancel, reason, result, progress,"
    " progress_ms, outbox, is_named, cancel_outbox"
)
_MARKS = ", ".join("?" * 22)


class SentTasks:
    """Every method runs in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, task: SentTask) -> None:
        origin = task.origin
        self._db.execute(
            f"INSERT INTO tasks_sent ({_COLUMNS}) VALUES ({_MARKS})",
            (
                task.id,
                task.peer,
                task.agent,
                task.message_id,
                task.context_id,
                task.body_hash,
                None if origin is None else origin.task_id,
                None if origin is None else origin.call,
                task.created_ms,
                task.expires_ms,
                task.size_bytes,
                int(task.counted),
                task.ended_ms,
                task.answered,
                task.cancel,
                task.reason,
                task.result,
                task.progress,
                task.progress_ms,
                task.outbox,
                task.is_named,
                task.cancel_outbox,
            ),
        )

    def get(self, task_id: bytes) -> SentTask | None:
        row = self._db.row(f"SELECT {_COLUMNS} FROM tasks_sent WHERE id = ?", (task_id,))
        return None if row is None else _task(row)

    def by_message_id(self, message_id: str) -> list[SentTask]:
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM tasks_sent WHERE is_named AND message_id = ?",
            (message_id,),
        )
        return [_task(row) for row in rows]

    def set_counted(self, task_id: bytes, counted: Counted) -> None:
        self._db.execute("UPDATE tasks_sent SET counted = ? WHERE id = ?", (int(counted), task_id))

    def end(
        self, task_id: bytes, *, ended_ms: int, answered: bool, reason: str, result: str
    ) -> None:
        self._db.execute(
            "UPDATE tasks_sent SET ended_ms = ?, answered = ?, reason = ?, result = ?,"
            " progress = NULL, outbox = NULL, cancel_outbox = NULL WHERE id = ?",
            (ended_ms, answered, reason, result, task_id),
        )

    def set_progress(self, task_id: bytes, update: str, issued_ms: int) -> None:
        self._db.execute(
            "UPDATE tasks_sent SET progress = ?, progress_ms = ? WHERE id = ?",
            (update, issued_ms, task_id),
        )

    def set_cancel(self, task_id: bytes, outbox: int | None) -> None:
        """A cancel was asked; its number in the outbox, until the peer has answered that."""
        self._db.execute(
            "UPDATE tasks_sent SET cancel = 1, cancel_outbox = ? WHERE id = ?", (outbox, task_id)
        )

    def overdue(self, counted: Counted, before_ms: int, limit: int) -> list[SentTask]:
        """Unended tasks that expired at `before_ms` or earlier, the oldest first."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM tasks_sent WHERE ended_ms IS NULL AND counted = ?"
            " AND expires_ms <= ? ORDER BY expires_ms LIMIT ?",
            (int(counted), before_ms, limit),
        )
        return [_task(row) for row in rows]

    def next_expiry_ms(self, grace_ms: int) -> int | None:
        """When the next task is to be ended: at its expiry, or `grace_ms` later if acknowledged."""
        queued, acknowledged = (
            self._db.value(
                "SELECT min(expires_ms) FROM tasks_sent WHERE ended_ms IS NULL AND counted = ?",
                (int(counted),),
            )
            for counted in (Counted.QUEUED, Counted.ACKNOWLEDGED)
        )
        if acknowledged is not None:
            acknowledged += grace_ms
        return min((at for at in (queued, acknowledged) if at is not None), default=None)

    def queued(self, peer: bytes) -> int:
        """Counted from the rows, not from the account."""
        count: int = self._db.value(
            "SELECT count(*) FROM tasks_sent WHERE ended_ms IS NULL AND counted = ? AND peer = ?",
            (int(Counted.QUEUED), peer),
        )
        return count

    def recent(self, before_ms: int, limit: int) -> list[SentTask]:
        """Tasks created before that time, the latest first."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM tasks_sent WHERE created_ms < ? ORDER BY number DESC LIMIT ?",
            (before_ms, limit),
        )
        return [_task(row) for row in rows]

    def purge(self, before_ms: int, keep: int, limit: int) -> int:
        """Delete ended tasks older than `before_ms` or beyond the `keep` latest.

        Not those whose maker still runs: it would make them a second time.
        """
        self._db.execute(
            """
            DELETE FROM tasks_sent WHERE number IN (
                SELECT number FROM tasks_sent
                WHERE ended_ms IS NOT NULL
                AND (ended_ms < ? OR number <= (SELECT max(number) FROM tasks_sent) - ?)
                AND (origin_task IS NULL OR NOT EXISTS (
                    SELECT 1 FROM tasks_received AS maker
                    WHERE maker.id = tasks_sent.origin_task AND maker.finished_ms IS NULL))
                ORDER BY number LIMIT ?)
            """,
            (before_ms, keep, limit),
        )
        return self._db.changes()


def _task(row: Row) -> SentTask:
    return SentTask(
        id=row[0],
        peer=row[1],
        agent=row[2],
        message_id=row[3],
        context_id=row[4],
        body_hash=row[5],
        origin=None if row[6] is None else Origin(row[6], row[7]),
        created_ms=row[8],
        expires_ms=row[9],
        size_bytes=row[10],
        counted=Counted(row[11]),
        ended_ms=row[12],
        answered=bool(row[13]),
        cancel=bool(row[14]),
        reason=row[15],
        result=row[16],
        progress=row[17],
        progress_ms=row[18],
        outbox=row[19],
        is_named=bool(row[20]),
        cancel_outbox=row[21],
    )
