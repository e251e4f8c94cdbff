"""The node's one SQLite file: pragmas that hold, transactions that nest, errors with a remedy.

All writes happen on one connection, in the thread of the loop: a commit costs 12 µs here (WAL,
NORMAL, checksums; measured), a hop to a thread ten times that. What is slow (checkpoints,
searches, checks) runs in threads on connections of its own, so automatic checkpoints are off.

Every page carries a checksum (SQLite's "cksmvfs"): a flipped bit on the disk raises
`DatabaseDamaged` instead of giving wrong data. Measured, it costs less than 1 µs a commit.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self, cast

import apsw

from sync.errors import (
    DatabaseDamaged,
    StoreError,
    StoreUnreadable,
)
from sync.store import extensions
from sync.store.failures import by_errno, explained

Row = tuple[Any, ...]
Durability = Literal["normal", "power"]

MEMORY = ":memory:"
CHECKSUM_BYTES = 8  # what cksmvfs keeps at the end of each page; it wants exactly this
BUSY_MS = 5_000  # a checkpoint that restarts the log holds the lock for milliseconds
CACHE_KIB = 16_384
STATEMENTS_CACHED = 400
WAL_BYTES_MAX = 64 * 1024 * 1024  # beyond this a checkpoint waits for writers and truncates

# Each is set alone and read back: one call with several statements runs only as far as its rows
# are fetched, and SQLite ignores a pragma that it does not know.
_EVERYWHERE: tuple[tuple[str, str | int, str | int], ...] = (
    ("busy_timeout", BUSY_MS, BUSY_MS),
    ("temp_store", "MEMORY", 2),
    ("cache_size", -CACHE_KIB, -CACHE_KIB),
    ("trusted_schema", "OFF", 0),
    ("foreign_keys", "ON", 1),
    ("cell_size_check", "ON", 1),
    ("secure_delete", "FAST", 2),  # what is moved or deleted leaves no copy on a page in use
)
_ON_DISK: tuple[tuple[str, str | int, str | int], ...] = (
    ("journal_mode", "WAL", "wal"),
    ("wal_autocheckpoint", 0, 0),
    ("journal_size_limit", WAL_BYTES_MAX, WAL_BYTES_MAX),
    ("mmap_size", 0, 0),  # a mapped page would be read past the checksum
)
_SYNCHRONOUS = {"normal": ("NORMAL", 1), "power": ("FULL", 2)}


class Rows(apsw.Cursor):
    """A cursor whose failures are ours: the disk's go to `StoreError`, bugs pass."""

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except apsw.Error as error:
            raise explained(error, self.connection) from error

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except apsw.Error as error:
            raise explained(error, self.connection) from error

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except apsw.Error as error:
            raise explained(error, self.connection) from error


class Database:
    """One connection to the node's database.

    >>> db = Database.open(":memory:", schemas=["CREATE TABLE t (a INTEGER) STRICT"])
    >>> with db.transaction():
    ...     _ = db.execute("INSERT INTO t VALUES (?)", (1,))
    >>> db.value("SELECT a FROM t")
    1
    """

    def __init__(self, connection: apsw.Connection, path: str, durability: Durability) -> None:
        self._connection = connection
        self._path = path
        self._durability = durability
        self._depth = 0
        self._has_begun = False  # SQLite's transaction, within our outermost block
        self._sync_wanted = False
        self._failure: Exception | None = None
        self._knows_vectors = False
        self._log: int | None = None  # descriptor of the write-ahead log, once it was synced
        self.commits = 0  # outermost commits so far
        self.failures = 0  # statements that the disk, or another program, was in the way of
        self.syncs = 0  # those of them that a power cut cannot undo

    @classmethod
    def open(cls, path: str, *, schemas: Sequence[str], durability: Durability = "normal") -> Self:
        """Open or create the database; `schemas` are statements that may be repeated.

        Raises:
            DatabaseDamaged: not a database, or not one with checksums.
            StoreReadOnly, StoreFull, StoreBusy, StoreUnreadable: as they say.
        """
        try:
            connection = _connect(path, writes=True)
        except OSError as error:
            raise by_errno(error.errno or 0, StoreUnreadable)(path, str(error)) from error
        try:
            _configure(connection, path, (("synchronous", *_SYNCHRONOUS[durability]),))
            database = cls(connection, path, durability)
            with database.transaction():
                for schema in schemas:
                    database.execute(schema)
            database._sync_directory()
        except BaseException:
            connection.close()
            raise
        return database

    @classmethod
    def read_only(cls, path: str) -> Self:
        """Open a database that exists, to read it; also of a node that does not run.

        Raises:
            StoreUnreadable: it does not exist.
            DatabaseDamaged: not a database, or not one with checksums.
        """
        connection = _connect(path, writes=False)
        try:
            _configure(connection, path, (("query_only", "ON", 1),))
        except BaseException:
            connection.close()
            raise
        return cls(connection, path, "normal")

    @property
    def path(self) -> str:
        return self._path

    @property
    def in_memory(self) -> bool:
        return self._path == MEMORY

    @property
    def in_transaction(self) -> bool:
        """Whether a block of `transaction` is open."""
        return self._depth > 0

    @contextlib.contextmanager
    def transaction(self, *, fsync: bool = False) -> Iterator[None]:
        """Everything in the block is stored, or nothing; a nested block is a savepoint of it.

        SQLite's own transaction begins with the first statement: a block that asks nothing of
        the database costs nothing (measured: 13 µs for BEGIN and COMMIT of nothing).

        Args:
            fsync: when the outermost block has committed, wait until the disk holds it.
        """
        depth = self._depth
        if depth == 0:
            self._sync_wanted, self._failure, self._has_begun = False, None, False
        self._sync_wanted |= fsync
        if depth:
            self.execute(f"SAVEPOINT nested{depth}")
        self._depth += 1
        try:
            yield
            if depth:
                self.execute(f"RELEASE nested{depth}")
            elif self._has_begun:
                self.execute("COMMIT")
        except BaseException:
            self._undo(depth)
            raise
        finally:
            self._depth -= 1
        if depth == 0:
            self.commits += 1
            if self._sync_wanted or self._durability == "power":
                self._sync_log()

    @contextlib.contextmanager
    def joined(self, *, fsync: bool = False) -> Iterator[None]:
        """As `transaction`, for one statement: a nested block needs no savepoint then.

        SQLite does one statement or leaves it; saving what was before costs two more.
        """
        if self._depth:
            self._sync_wanted |= fsync
            yield
        else:
            with self.transaction(fsync=fsync):
                yield

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Rows:
        """Run one statement. Writes belong in a `transaction()`."""
        if self._depth and self._has_begun and not self._connection.in_transaction:
            # A full disk makes SQLite undo the whole transaction. Whoever caught that
            # error and goes on must not write the rest as if nothing had happened.
            raise self._failure or AssertionError("the transaction was ended from within")
        try:
            if self._depth and not self._has_begun:
                self._has_begun = True  # also if this fails: nothing may follow then
                self._connection.execute("BEGIN IMMEDIATE")
            return cast(Rows, self._connection.execute(sql, params))
        except apsw.Error as error:
            raise self._explained(error) from error

    def touch(self) -> None:
        """Write a page that says what it said before, in the caller's transaction."""
        self.execute(f"PRAGMA user_version = {self.value('PRAGMA user_version')}")

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        return self.execute(sql, params).fetchall()

    def row(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""
        found: Row | None = self.execute(sql, params).fetchone()
        return found

    def value(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        found = self.row(sql, params)
        return None if found is None else found[0]

    def changes(self) -> int:
        """Rows touched by the last INSERT, UPDATE or DELETE."""
        return self._connection.changes()

    def reader(self) -> "Database":
        """A read-only connection of its own, for a thread; in memory, a copy of this moment."""
        if self.in_memory:
            connection = _connect(MEMORY, writes=True)
            connection.deserialize("main", self.image())
            _configure(connection, MEMORY, (("query_only", "ON", 1),))
            return Database(connection, MEMORY, "normal")
        return Database.read_only(self._path)

    def load_vectors(self) -> None:
        """Teach this connection the functions of sqlite-vec; a repeat does nothing.

        Raises:
            StoreUnreadable: it is not installed, or not for this machine.
        """
        if not self._knows_vectors:
            extensions.load_vectors(self._connection, self._path)
            self._knows_vectors = True

    def checkpoint(self) -> None:
        """Move the log into the file, on a connection of its own: call it in a thread.

        Passive, so nobody waits; only when the log has outgrown `WAL_BYTES_MAX` is it
        truncated, which lets a writer wait for the few frames that are left.
        """
        if self.in_memory:
            return
        connection = _connect(self._path, writes=True)
        try:
            _configure(connection, self._path, (("synchronous", *_SYNCHRONOUS["normal"]),))
            connection.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_PASSIVE)
            if os.stat(self._path + "-wal").st_size > WAL_BYTES_MAX:  # noqa: PTH116 - a path text
                connection.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            raise explained(error, connection) from error
        finally:
            connection.close()

    def check(self) -> list[str]:
        """What is wrong with the file, one line each; reads every page. For a thread's reader."""
        try:
            found = [str(row[0]) for row in self.rows("PRAGMA integrity_check(100)")]
        except DatabaseDamaged as damage:
            return [damage.why]
        return [] if found == ["ok"] else found

    def image(self) -> bytes:
        """The whole database as bytes: what a simulated disk holds. In memory only."""
        assert self.in_memory, "a file is its own image"
        return self._connection.serialize("main")

    def restore(self, image: bytes) -> None:
        """Become what `image` was: every later commit is gone, as in a power cut."""
        assert self.in_memory, "a file is restored by copying it"
        assert self._depth == 0, "not inside a transaction"
        self._connection.deserialize("main", image)

    def close(self) -> None:
        if self._log is not None:
            os.close(self._log)
            self._log = None
        self._connection.close()

    def _explained(self, error: apsw.Error) -> Exception:
        self._failure = explained(error, self._connection)
        self.failures += isinstance(self._failure, StoreError)
        return self._failure

    def _undo(self, depth: int) -> None:
        if not self._connection.in_transaction:
            return  # SQLite has already undone all of it
        if depth == 0:
            self._connection.execute("ROLLBACK")
        else:
            self._connection.execute(f"ROLLBACK TO nested{depth}")
            self._connection.execute(f"RELEASE nested{depth}")

    def _sync_log(self) -> None:
        self.syncs += 1
        if self.in_memory or self._durability == "power":
            return  # with synchronous = FULL, SQLite has done it within the commit
        try:
            if self._log is None:
                # SQLite's locks live on the file and its "-shm", so closing this
                # descriptor later drops none of them.
                self._log = os.open(self._path + "-wal", os.O_RDWR | os.O_CLOEXEC)
            os.fdatasync(self._log)
        except OSError as error:
            raise by_errno(error.errno or 0, StoreUnreadable)(self._path, str(error)) from error

    def _sync_directory(self) -> None:
        """Make the names of the file and its log durable, once."""
        if self.in_memory:
            return
        descriptor = os.open(str(Path(self._path).parent), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _connect(path: str, *, writes: bool) -> apsw.Connection:
    if path == MEMORY:
        connection = apsw.Connection(MEMORY, statementcachesize=STATEMENTS_CACHED)
    else:
        if writes:
            # SQLite would create it readable for everybody; the log inherits the mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        flags = apsw.SQLITE_OPEN_READWRITE if writes else apsw.SQLITE_OPEN_READONLY
        extensions.load_checksums()
        try:
            connection = apsw.Connection(
                path, flags=flags, vfs="cksmvfs", statementcachesize=STATEMENTS_CACHED
            )
        except apsw.Error as error:
            raise explained(error, path) from error
    connection.cursor_factory = Rows
    return connection


def _configure(
    connection: apsw.Connection, path: str, more: tuple[tuple[str, str | int, str | int], ...]
) -> None:
    try:
        # One plan a statement, whatever is bound to it: else SQLite plans a range query anew
        # each time (measured: 20 µs instead of 3).
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        on_disk = path != MEMORY
        if on_disk:
            connection.reserve_bytes("main", CHECKSUM_BYTES)  # heeded by a new file only
        for name, value, want in _EVERYWHERE + (_ON_DISK if on_disk else ()) + more:
            connection.execute(f"PRAGMA {name} = {value}").fetchall()
            got = connection.execute(f"PRAGMA {name}").fetchone()
            assert got == (want,), f"pragma {name} is {got}, not {want}"
        if on_disk and connection.execute("PRAGMA checksum_verification").fetchone() != ("1",):
            raise DatabaseDamaged(path, "its pages have no checksums, so it is not ours")
    except apsw.Error as error:
        raise explained(error, path) from error
