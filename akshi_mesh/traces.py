"""Tasks that have ended, as their agents saw them: kept for a while, so that they can be replayed.

The newest TRACES_MAX, at most TRACES_BYTES_MAX of them; the oldest go first. A trace is written
in the transaction that ends its task.
"""

from sandbox.errors import MalformedTrace
from sandbox.trace import Trace
from sync.store.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS task_traces (
    number INTEGER PRIMARY KEY,
    task_id BLOB NOT NULL UNIQUE,
    trace BLOB NOT NULL
) STRICT
"""
TRACES_MAX = 1_000
TRACES_BYTES_MAX = 32 << 20
_SLACK = 32  # so that not every task that ends deletes another


class Traces:
    """The table, and how much is in it."""

    def __init__(self, database: Database, *, are_kept: bool = True) -> None:
        """Where none `are_kept`, those of earlier runs are dropped, too."""
        self._database = database
        self._are_kept = are_kept
        if not are_kept:
            database.execute("DELETE FROM task_traces")
        self._count, self._bytes = self._measured()

    def keep(self, task_id: bytes, trace: bytes) -> None:
        """Write `trace` in the open transaction, and make room."""
        if not self._are_kept:
            return
        self._database.execute(
            "INSERT OR REPLACE INTO task_traces (task_id, trace) VALUES (?, ?)", (task_id, trace)
        )
        self._count += 1
        self._bytes += len(trace)
        if self._count > TRACES_MAX + _SLACK or self._bytes > TRACES_BYTES_MAX:
            self._make_room()

    def find(self, task_id: bytes) -> Trace | None:
        """The trace of a task, or None if it is not kept any more.

        Raises:
            MalformedTrace: it is kept and cannot be read.
        """
        row = self._database.row("SELECT trace FROM task_traces WHERE task_id = ?", (task_id,))
        return Trace.from_cbor(row[0]) if row else None

    def check(self) -> list[str]:
        """One line for every trace that cannot be read."""
        wrong: list[str] = []
        for task_id, data in self._database.execute("SELECT task_id, trace FROM task_traces"):
            try:
                Trace.from_cbor(data)
            except MalformedTrace as malformed:
                wrong.append(f"the trace of task {task_id.hex()[:8]}: {malformed.why}")
        return wrong

    def _make_room(self) -> None:
        self._database.execute(
            "DELETE FROM task_traces WHERE number NOT IN"
            " (SELECT number FROM task_traces ORDER BY number DESC LIMIT ?)",
            (TRACES_MAX,),
        )
        self._count, self._bytes = self._measured()
        while self._bytes > TRACES_BYTES_MAX:
            self._database.execute(
                "DELETE FROM task_traces WHERE number IN"
                " (SELECT number FROM task_traces ORDER BY number LIMIT ?)",
                (max(1, self._count // 4),),
            )
            self._count, self._bytes = self._measured()

    def _measured(self) -> tuple[int, int]:
        row = self._database.row(
            "SELECT COUNT(*), COALESCE(SUM(LENGTH(trace)), 0) FROM task_traces"
        )
        assert row is not None, "a count is a row"
        return int(row[0]), int(row[1])
