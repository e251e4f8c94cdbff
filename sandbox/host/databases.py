"""The agents' databases: one file each, and one transaction for all that a task changes in it.

    query    what others have committed, and what this task has staged
    execute  waits for the agent's pen, then stages
      │
      ▼  the task ends well                        it fails, is cancelled, or dies
    prepare   a hidden row (task, result), flushed    roll_back
      ▼
    commit    of this file, inside the last step of node.db's own transaction
      ▼
    finish    when node.db has committed: the row has done its service

SQLite does not commit two files as one (measured, under kill -9). So this file commits first, and
a row in it that node.db knows nothing of tells the next start that the task is done, and how.

Between a task's first query and its first execute others may write (`workers` > 1): then the
execute is refused once, so that nobody overwrites what they have not seen.
"""

import os
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from sandbox.errors import ActFailed, ChangesLost
from sandbox.fault import FaultCode
from sandbox.host.guest_sql import GuestSql, Limits
from sandbox.sql import Statement

PEN_WAIT_S = 5.0  # for another task of the same agent to end
THREADS = 8  # statements that run at once on this node; each is bounded by `Limits`

ResultT = TypeVar("ResultT")


class _Session:
    """What one task sees of its agent's database. `lock` is held while a thread uses `sql`."""

    def __init__(self, agent: str, task_id: bytes) -> None:
        self.agent = agent
        self.task_id = task_id
        self.sql: GuestSql | None = None
        self.seen: int | None = None  # version of the file that the task has read, before it wrote
        self.lost: str | None = None
        self.is_over = False
        self.is_sealed = False
        self.has_pen = False
        self.is_stopped = False
        self.lock = threading.Lock()


class Databases:
    """All agents' databases: `DatabasePort`, and what the end of a task needs."""

    def __init__(
        self, directory: Path, *, limits: Limits | None = None, durability: str = "normal"
    ) -> None:
        """`directory` is made when the first agent wants a database."""
        self._directory = directory
        self._limits = limits or Limits()
        self._durability = durability
        self._sessions: dict[bytes, _Session] = {}
        self._pens: dict[str, trio.CapacityLimiter] = {}
        self._threads = trio.CapacityLimiter(THREADS)
        self._idle: dict[str, GuestSql] = {}  # one an agent: opening takes longer than most tasks
        self._is_closed = False

    # --- for the acts ---------------------------------------------------------------------------

    async def query(self, agent: str, task_id: bytes, statement: Statement) -> str:
        """Rows as JSON. Raises ActFailed."""
        session = self._session(agent, task_id)
        return await self._in_thread(session, partial(self._query, session, statement))

    async def execute(self, agent: str, task_id: bytes, statement: Statement) -> str:
        """Stage a change. Raises ActFailed."""
        session = self._session(agent, task_id)
        if not session.has_pen:
            await self._take_pen(session)
        return await self._in_thread(session, partial(self._execute, session, statement))

    def _query(self, session: _Session, statement: Statement) -> str:
        sql = self._open(session)
        if not sql.in_transaction and session.seen is None:
            session.seen = sql.version
        return sql.query(statement)

    def _execute(self, session: _Session, statement: Statement) -> str:
        sql = self._open(session)
        if not sql.in_transaction:
            sql.begin()
            if session.task_id in sql.ended():
                raise ChangesLost("an earlier run of this task has ended already")
            now, seen = sql.version, session.seen
            if seen is not None and now != seen:
                sql.roll_back()
                session.seen = now
                why = "another task of this agent has written since this one read; read again"
                raise ActFailed(FaultCode.UNAVAILABLE, why)
        try:
            return sql.execute(statement)
        except ActFailed as failure:
            if sql.is_lost:
                session.lost = failure.why
            raise

    # --- for the end of a task ------------------------------------------------------------------

    async def prepare(self, task_id: bytes, result: bytes) -> None:
        """Everything but the last word: the result beside the changes, all in the file's log.

        Raises:
            ChangesLost: the task cannot end well any more.
            ActFailed: the disk takes nothing now.
        """
        session = self._sessions.get(task_id)
        if session is not None and session.has_pen and not session.is_sealed:
            await self._in_thread(session, partial(self._seal, session, result))

    def _seal(self, session: _Session, result: bytes) -> None:
        sql = self._open(session)
        if sql.in_transaction:  # else the execute that took the pen was refused
            sql.seal(session.task_id, result)
        session.is_sealed = True

    def commit(self, task_id: bytes) -> None:
        """Make what was prepared last. Call it as the last step of node.db's transaction.

        A repeat does nothing: node.db may have to try again when this file has committed.

        Raises:
            ChangesLost, ActFailed: nothing was committed.
        """
        session = self._sessions.get(task_id)
        if session is None or session.sql is None or not session.has_pen:
            return
        assert session.is_sealed, "prepare comes before commit"
        with session.lock:
            if session.sql.in_transaction:
                session.sql.commit()

    async def finish(self, task_id: bytes) -> None:
        """node.db has committed how the task ended, so the hidden row has done its service.

        Raises:
            ActFailed: it stays until the next start.
        """
        session = self._sessions.get(task_id)
        try:
            if session is not None and session.sql is not None and session.is_sealed:
                await self._in_thread(session, partial(self._tidy, session))
        finally:
            self.roll_back(task_id)

    def _tidy(self, session: _Session) -> None:
        sql = self._open(session)
        sql.forget(session.task_id)
        sql.checkpoint()

    def roll_back(self, task_id: bytes) -> None:
        """The task has no changes: whatever runs for it is stopped."""
        session = self._sessions.pop(task_id, None)
        if session is None:
            return
        session.is_over = True
        if session.lock.acquire(blocking=False):
            try:
                self._let_go(session)
            finally:
                session.lock.release()
        else:
            self._stop(session)  # and its thread lets go
        if session.has_pen:
            self._pens[session.agent].release_on_behalf_of(session)

    def close(self) -> None:
        """The node stops: what has not ended is run again after the next start."""
        self._is_closed = True
        for task_id in list(self._sessions):
            self.roll_back(task_id)
        while self._idle:
            self._idle.popitem()[1].close()

    # --- for the start --------------------------------------------------------------------------

    def agents(self) -> list[str]:
        """Whose databases are here, agents that are configured no more included."""
        return sorted(path.stem for path in self._directory.glob("*.db"))

    def ended(self, agent: str) -> dict[bytes, bytes]:
        """Tasks whose changes were committed and that node.db may not know to have ended.

        Blocks: call it before agents run. Raises ActFailed if the file cannot be read.
        """
        sql = self._connect(agent)
        try:
            return sql.ended()
        finally:
            sql.close()

    def forget(self, agent: str, task_ids: Iterable[bytes]) -> None:
        """Drop the rows that `ended` found, when node.db knows."""
        sql = self._connect(agent)
        try:
            for task_id in task_ids:
                sql.forget(task_id)
        finally:
            sql.close()

    # --- one session ----------------------------------------------------------------------------

    def _session(self, agent: str, task_id: bytes) -> _Session:
        session = self._sessions.setdefault(task_id, _Session(agent, task_id))
        assert session.agent == agent, "a task runs in one agent"
        if session.lost is not None:
            raise ChangesLost(session.lost)
        return session

    async def _take_pen(self, session: _Session) -> None:
        pen = self._pens.setdefault(session.agent, trio.CapacityLimiter(1))
        with trio.move_on_after(PEN_WAIT_S):
            await pen.acquire_on_behalf_of(session)
            if session.is_over:
                pen.release_on_behalf_of(session)
                raise ActFailed(FaultCode.CANCELLED, "the task has ended")
            session.has_pen = True
            return
        raise ActFailed(FaultCode.UNAVAILABLE, "another task of this agent is writing")

    async def _in_thread(self, session: _Session, job: Callable[[], ResultT]) -> ResultT:
        def locked() -> ResultT:
            with session.lock:
                try:
                    if session.is_over:
                        raise ActFailed(FaultCode.CANCELLED, "the task has ended")
                    return job()
                finally:
                    if session.is_over:
                        self._let_go(session)

        try:
            return await trio.to_thread.run_sync(
                locked, abandon_on_cancel=True, limiter=self._threads
            )
        except trio.Cancelled:
            # Whoever cancels wants an end, and its thread must not go on for seconds.
            session.lost = "a statement of this task was stopped"
            self._stop(session)
            raise

    @staticmethod
    def _stop(session: _Session) -> None:
        """End the statement that runs, if one does; the connection is not used again."""
        session.is_stopped = True
        sql = session.sql
        if sql is not None and session.lock.locked():
            sql.interrupt()

    def _let_go(self, session: _Session) -> None:
        """The connection waits for the agent's next task, if all is well. Under the lock."""
        if session.sql is None:
            return
        sql, session.sql = session.sql, None
        try:
            sql.roll_back()
            is_well = session.lost is None and not (session.is_stopped or sql.is_lost)
        except ActFailed:
            is_well = False
        if not is_well or self._is_closed or self._idle.setdefault(session.agent, sql) is not sql:
            sql.close()

    def _open(self, session: _Session) -> GuestSql:
        if session.lost is not None:
            raise ChangesLost(session.lost)
        if session.sql is None:
            session.sql = self._idle.pop(session.agent, None) or self._connect(session.agent)
        return session.sql

    def _connect(self, agent: str) -> GuestSql:
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)  # noqa: PTH103 - takes a mode
        except OSError as failure:
            why = f"the agent's database: {str(failure.strerror).lower()}"
            raise ActFailed(FaultCode.UNAVAILABLE, why) from failure
        path = str(self._directory / f"{agent}.db")
        return GuestSql(path, limits=self._limits, durability=self._durability)
