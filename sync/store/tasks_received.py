"""Rows of the tasks that others asked of us."""
# ruff: noqa: S608 - what is put into the statements is a constant of this file

import hashlib
import json

from identity.caps import CapRight, DailySpend, Scope
from sync.proto.task_records import ReceivedTask
from sync.store.database import Database, Row

_COLUMNS = (
    "id, peer, agent, message_id, context_id, body_hash, created_ms, expires_ms, chain, message,"
    " cancel, finished_ms, disposition, reason, result, outbox"
)
_MARKS = ", ".join("?" * 16)


class ReceivedTasks:
    """Every method runs in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, task: ReceivedTask) -> None:
        self._db.execute(
            f"INSERT INTO tasks_received ({_COLUMNS}, message_key) VALUES ({_MARKS}, ?)",
            (
                task.id,
                task.peer,
                task.agent,
                task.message_id,
                task.context_id,
                task.body_hash,
                task.created_ms,
                task.expires_ms,
                _provenance(task),
                task.message,
                task.cancel,
                task.finished_ms,
                task.disposition,
                task.reason,
                task.result,
                task.outbox,
                None if task.message_id is None else _key(task.peer, task.agent, task.message_id),
            ),
        )

    def get(self, task_id: bytes) -> ReceivedTask | None:
        row = self._db.row(f"SELECT {_COLUMNS} FROM tasks_received WHERE id = ?", (task_id,))
        return None if row is None else _task(row)

    def by_message_id(self, peer: bytes, agent: str, message_id: str) -> ReceivedTask | None:
        row = self._db.row(
            f"SELECT {_COLUMNS} FROM tasks_received WHERE message_key = ?",
            (_key(peer, agent, message_id),),
        )
        return None if row is None else _task(row)

    def waiting(
        self, agent: str, peer: bytes, after: int, limit: int
    ) -> list[tuple[int, ReceivedTask]]:
        """Unfinished tasks of a peer for the agent, running or not, numbered, oldest first."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS}, number FROM tasks_received"
            " WHERE finished_ms IS NULL AND agent = ? AND peer = ? AND number > ?"
            " ORDER BY number LIMIT ?",
            (agent, peer, after, limit),
        )
        return [(row[16], _task(row)) for row in rows]

    def waiting_peers(self, agent: str) -> list[bytes]:
        """Whose tasks for the agent are unfinished."""
        rows = self._db.rows(
            "SELECT DISTINCT peer FROM tasks_received WHERE finished_ms IS NULL AND agent = ?",
            (agent,),
        )
        return [row[0] for row in rows]

    def unfinished(self, agent: str, peer: bytes | None = None) -> int:
        """How many tasks for the agent are unfinished, of one peer or of all."""
        sql = "SELECT count(*) FROM tasks_received WHERE finished_ms IS NULL AND agent = ?"
        params = (agent,) if peer is None else (agent, peer)
        count: int = self._db.value(sql if peer is None else f"{sql} AND peer = ?", params)
        return count

    def unfinished_of(self, peer: bytes) -> list[bytes]:
        rows = self._db.rows(
            "SELECT id FROM tasks_received WHERE finished_ms IS NULL AND peer = ? ORDER BY number",
            (peer,),
        )
        return [row[0] for row in rows]

    def set_cancel(self, task_id: bytes, why: str) -> None:
        self._db.execute(
            "UPDATE tasks_received SET cancel = 1, reason = ? WHERE id = ?", (why, task_id)
        )

    def finish(
        self, task_id: bytes, *, finished_ms: int, reason: str, result: str, outbox: int
    ) -> None:
        self._db.execute(
            "UPDATE tasks_received SET finished_ms = ?, reason = ?, result = ?, outbox = ?,"
            " message = '' WHERE id = ?",
            (finished_ms, reason, result, outbox, task_id),
        )

    def set_outbox(self, task_id: bytes, outbox: int | None) -> None:
        """Where its result waits; None when the peer has acknowledged it."""
        self._db.execute("UPDATE tasks_received SET outbox = ? WHERE id = ?", (outbox, task_id))

    def overdue(self, before_ms: int) -> list[bytes]:
        """Unfinished tasks, running or not, that expired at `before_ms` or earlier."""
        rows = self._db.rows(
            "SELECT id FROM tasks_received WHERE finished_ms IS NULL AND expires_ms <= ?"
            " ORDER BY number",
            (before_ms,),
        )
        return [row[0] for row in rows]

    def next_expiry_ms(self, after_ms: int) -> int | None:
        """The first expiry of an unfinished task that lies beyond `after_ms`."""
        at: int | None = self._db.value(
            "SELECT min(expires_ms) FROM tasks_received"
            " WHERE finished_ms IS NULL AND expires_ms > ?",
            (after_ms,),
        )
        return at

    def recent(self, before_ms: int, limit: int) -> list[ReceivedTask]:
        """Tasks that arrived before that time, the latest first."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM tasks_received WHERE created_ms < ?"
            " ORDER BY number DESC LIMIT ?",
            (before_ms, limit),
        )
        return [_task(row) for row in rows]

    def purge(self, before_ms: int, limit: int) -> dict[bytes, tuple[int, int]]:
        """Delete what expired at `before_ms` or earlier and is settled.

        Returns how many rows went for each peer, and the latest expiry among them.
        """
        rows = self._db.rows(
            """
            DELETE FROM tasks_received WHERE number IN (
                SELECT number FROM tasks_received
                WHERE finished_ms IS NOT NULL AND outbox IS NULL AND expires_ms <= ?
                ORDER BY number LIMIT ?)
            RETURNING peer, expires_ms
            """,
            (before_ms, limit),
        )
        purged: dict[bytes, tuple[int, int]] = {}
        for peer, expires_ms in rows:
            count, through_ms = purged.get(peer, (0, 0))
            purged[peer] = (count + 1, max(through_ms, expires_ms))
        return purged


def _provenance(task: ReceivedTask) -> str:
    """What stands under `chain`: the hops, and the scope where there is one.

    Of most tasks it is empty, and a file from before there were scopes is read as it is.
    """
    if task.scope is None:
        return json.dumps(task.chain) if task.chain else ""
    scope = {"caps": sorted(map(str, task.scope.caps))}
    spend = {"spend": str(task.scope.spend)} if task.scope.spend else {}
    return json.dumps({"chain": task.chain, "scope": {**scope, **spend}})


def _read_provenance(text: str) -> tuple[tuple[str, ...], Scope | None]:
    found = json.loads(text) if text else []
    if isinstance(found, list):
        return tuple(found), None
    scope = found["scope"]
    spend = DailySpend.parse(scope["spend"]) if "spend" in scope else None
    return tuple(found["chain"]), Scope(frozenset(map(CapRight.parse, scope["caps"])), spend)


def _task(row: Row) -> ReceivedTask:
    chain, scope = _read_provenance(row[8])
    return ReceivedTask(
        id=row[0],
        peer=row[1],
        agent=row[2],
        message_id=row[3],
        context_id=row[4],
        body_hash=row[5],
        created_ms=row[6],
        expires_ms=row[7],
        chain=chain,
        message=row[9],
        cancel=bool(row[10]),
        finished_ms=row[11],
        disposition=row[12],
        reason=row[13],
        result=row[14],
        outbox=row[15],
        scope=scope,
    )


def _key(peer: bytes, agent: str, message_id: str) -> bytes:
    """Short, so that the index stays small; only the peer itself could make two of one."""
    return hashlib.sha256(b"\0".join((peer, agent.encode(), message_id.encode()))).digest()[:16]
