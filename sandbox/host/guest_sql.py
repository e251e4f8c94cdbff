"""One connection to one agent's database: runs what a guest says, within the fence.

A handler is asked every few hundred steps of a statement whether it has used up its time, its
steps or its memory; answers have a limit of their own.

A statement that is stopped while it writes takes the whole transaction with it: that is what
SQLite does when it is interrupted or full. `is_lost` then says that what the task had changed
is gone. These functions block; they are called in a thread, one at a time.
"""

import contextlib
import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apsw

from sandbox.errors import ActFailed, ChangesLost
from sandbox.fault import FaultCode
from sandbox.host.sql_fence import PAGE_BYTES, READS, WRITES, Fence
from sandbox.sql import ANSWER_BYTES_MAX, HIDDEN_TABLE, Statement, json_row, json_table

STEPS_ASKED = 25  # between two looks at time and memory; each may take 45 ms or make one value
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
OVERHEAD_BYTES = 128  # of an answer, beside names and rows

WAL_BYTES_KEPT = 1 << 20  # of the log, before it is moved into the file
_MAY_PASS = (apsw.FullError, apsw.BusyError, apsw.LockedError, apsw.IOError, apsw.CantOpenError,
             apsw.ReadOnlyError, apsw.NoMemError)  # fmt: skip
# The name is a constant of ours.
_PUT = f"INSERT OR REPLACE INTO {HIDDEN_TABLE} VALUES (?, ?)"  # noqa: S608
_GET = f"SELECT task, result FROM {HIDDEN_TABLE}"  # noqa: S608
_DROP = f"DELETE FROM {HIDDEN_TABLE} WHERE task = ?"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement, and one database, may cost.

    Attributes:
        steps: of SQLite's machine, a statement (measured: 30 to 50 million a second).
        wall_s: a statement.
        memory_bytes: that SQLite may take on top of what it held when the statement began;
            all statements that run at the same time share it.
        file_bytes: the size of one agent's database.
    """

    steps: int = 100_000_000
    wall_s: float = 5.0
    memory_bytes: int = 64 << 20
    file_bytes: int = 64 << 20


class GuestSql:
    """A connection that guests may speak to."""

    def __init__(self, path: str, *, limits: Limits, durability: str = "normal") -> None:
        """Open or create the database.

        Raises:
            ActFailed: `unavailable`; the file is damaged or the disk takes nothing.
        """
        self._limits = limits
        self._stopped: ActFailed | None = None
        self._first = True
        self.is_lost = False
        # SQLite would create it readable for everybody; the log inherits the mode.
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        except OSError as failure:
            raise _unavailable(str(failure.strerror).lower()) from failure
        try:
            self._db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=0)
        except apsw.Error as failure:
            raise _unavailable(str(failure)) from failure
        try:
            pages = limits.file_bytes // PAGE_BYTES
            self._fence = Fence(self._db, pages=pages, durability=durability)
        except apsw.Error as failure:
            self._db.close()
            raise _unavailable(str(failure)) from failure

    # --- what a guest says ----------------------------------------------------------------------

    def query(self, statement: Statement) -> str:
        """Rows, as `{"columns": […], "rows": […]}`.

        Raises:
            ActFailed: refused, wrong, too long or too costly; nothing has changed.
        """
        columns, rows, _, _ = self._run(statement, READS)
        return "{" + json_table(columns, rows) + "}"

    def execute(self, statement: Statement) -> str:
        """How many rows were changed, and what RETURNING returned.

        Raises:
            ActFailed: as in `query`; nothing has changed, or `is_lost` says what.
        """
        assert self.in_transaction, "writes are staged"
        columns, rows, changes, last = self._run(statement, WRITES)
        table = "," + json_table(columns, rows) if columns else ""
        return f'{{"changes":{changes},"last_row_id":{last}{table}}}'

    def interrupt(self) -> None:
        """Stop what runs now; the only method that any thread may call at any time."""
        with contextlib.suppress(apsw.ConnectionClosedError):
            self._db.interrupt()

    def _run(
        self, statement: Statement, allowed: frozenset[int]
    ) -> tuple[tuple[str, ...], list[str], int, int]:
        self._stopped, self._first = None, True
        before = self._db.total_changes()
        self._db.set_last_insert_rowid(0)
        self._db.set_progress_handler(self._meter(), STEPS_ASKED)
        was_open = self.in_transaction
        try:
            with self._fence.only(allowed):
                columns, rows = self._rows(statement, is_query=allowed is READS)
            changes = self._db.total_changes() - before
            return columns, rows, changes, self._db.last_insert_rowid()
        except apsw.Error as failure:
            raise self._explained(failure) from failure
        except UnicodeDecodeError as failure:
            why = "the answer holds text that is no UTF-8"
            raise ActFailed(FaultCode.INVALID, why) from failure
        finally:
            self._db.set_progress_handler(None)
            # ROLLBACK as a conflict's resolution, an interrupt, a full file: SQLite ends it all.
            self.is_lost = self.is_lost or (was_open and not self.in_transaction)

    def _rows(self, statement: Statement, *, is_query: bool) -> tuple[tuple[str, ...], list[str]]:
        left, rows = ANSWER_BYTES_MAX, list[str]()
        columns: tuple[str, ...] = ()
        cursor = self._db.cursor()
        cursor.exec_trace = self._only_one(statement, is_query=is_query)
        try:
            for row in cursor.execute(statement.sql, statement.parameters):
                if not rows:
                    columns = tuple(name for name, _ in cursor.get_description())
                    left -= sum(len(json_row([name])) for name in columns) + OVERHEAD_BYTES
                rows.append(json_row(row))
                left -= len(rows[-1].encode()) + 1
                if left < 0:
                    why = "the answer is over 1 MiB; ask for fewer rows"
                    raise ActFailed(FaultCode.INVALID, why)
        finally:
            cursor.close(True)  # an open one would hold its snapshot
        return columns, rows

    def _only_one(self, statement: Statement, *, is_query: bool) -> Callable[..., bool]:
        def trace(cursor: Any, sql: str, _bindings: object) -> bool:
            """Called with each statement before its first step."""
            if not self._first or statement.sql[len(sql) :].strip(" \t\r\n;"):
                self._stopped = ActFailed(FaultCode.INVALID, "want one statement a call")
            elif is_query and not cursor.is_readonly:
                self._stopped = ActFailed(FaultCode.NOT_ALLOWED, "query only reads; use execute")
            self._first = False
            return self._stopped is None

        return trace

    def _meter(self) -> Callable[[], bool]:
        limits = self._limits
        looks = limits.steps // STEPS_ASKED
        end_s = time.monotonic() + limits.wall_s
        memory = apsw.memory_used() + limits.memory_bytes

        def is_enough() -> bool:
            nonlocal looks
            looks -= 1
            if looks < 0 or time.monotonic() > end_s:
                self._stopped = _too_much("takes too long")
            elif apsw.memory_used() > memory:
                self._stopped = _too_much("takes too much memory")
            return self._stopped is not None

        return is_enough

    def _explained(self, failure: apsw.Error) -> ActFailed:
        if self._stopped is not None:
            return self._stopped
        words = str(failure)
        match failure:
            case _ if self._fence.denied:
                return ActFailed(FaultCode.NOT_ALLOWED, self._fence.denied)
            case apsw.AuthError():
                return ActFailed(FaultCode.NOT_ALLOWED, words)
            case apsw.InterruptError():
                return ActFailed(FaultCode.CANCELLED, "the statement was stopped")
            case apsw.FullError() if self._db.system_errno in _DISK_FULL:
                return _unavailable("the node's disk is full")
            case apsw.FullError():
                size = self._limits.file_bytes >> 20
                return ActFailed(FaultCode.BUDGET_EXCEEDED, f"a database may hold {size} MiB")
            case (
                apsw.SQLError()
                | apsw.ConstraintError()
                | apsw.MismatchError()
                | apsw.TooBigError()
                | apsw.RangeError()
                | apsw.BindingsError()
            ):
                return ActFailed(FaultCode.INVALID, words)
            case _:
                return _unavailable(words)

    # --- what the node says ---------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        return bool(self._db.in_transaction)

    @property
    def version(self) -> int:
        """Changes when another connection has committed."""
        return int(self._say("PRAGMA data_version")[0][0])

    def begin(self) -> None:
        """Open the transaction that stages a task's changes."""
        self._say("BEGIN IMMEDIATE")

    def seal(self, task_id: bytes, result: bytes) -> None:
        """Put the row beside the changes, and all of it into the file's log."""
        self._say(_PUT, (task_id, result))
        try:
            self._db.cache_flush()
        except apsw.BusyError:
            pass  # a reader is in the way of some pages: they are written with the commit
        except apsw.Error as failure:
            raise self._trouble(failure) from failure

    def commit(self) -> None:
        self._say("COMMIT")

    def ended(self) -> dict[bytes, bytes]:
        """Tasks that ended here, and with which result; the node may not know of them yet."""
        return dict(self._say(_GET))

    def forget(self, task_id: bytes) -> None:
        """The node knows how it ended."""
        self._say(_DROP, (task_id,))

    def checkpoint(self) -> None:
        """Move the log into the file if there is much of it. Waits for nobody."""
        log = f"{self._db.filename}-wal"
        try:
            if os.stat(log).st_size > WAL_BYTES_KEPT:  # noqa: PTH116 - a path text
                self._db.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_PASSIVE)
        except (apsw.Error, FileNotFoundError) as failure:
            raise _unavailable(str(failure)) from failure

    def roll_back(self) -> None:
        if self.in_transaction:
            self._say("ROLLBACK")

    def close(self) -> None:
        self._db.close()

    def _say(self, sql: str, values: tuple[bytes, ...] = ()) -> list[Any]:
        was_open = self.in_transaction
        try:
            with self._fence.alone():
                return list(self._db.execute(sql, values))
        except apsw.Error as failure:
            self.is_lost = self.is_lost or (was_open and not self.in_transaction)
            raise self._trouble(failure) from failure

    def _trouble(self, failure: apsw.Error) -> ActFailed:
        """Whether it may go better soon: what is damaged or breaks a key never will."""
        if self.is_lost or not isinstance(failure, _MAY_PASS):
            return ChangesLost(str(failure))
        return _unavailable(str(failure))


def _too_much(what: str) -> ActFailed:
    return ActFailed(FaultCode.BUDGET_EXCEEDED, f"the statement {what}")


def _unavailable(why: str) -> ActFailed:
    return ActFailed(FaultCode.UNAVAILABLE, f"the agent's database: {why}")
