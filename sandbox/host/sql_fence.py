"""The fence around one connection to an agent's database: only what `sandbox.sql` lists passes.

- An authorizer knows what is allowed and denies the rest: no other file, no pragma, no virtual
  table, no temporary thing, no transaction control, not our own table.
- Functions that are not listed are replaced by one that fails, since a default or a check that
  is already in the schema need not ask the authorizer again.
- Limits of SQLite itself, for what is parsed and for every value that is made.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import apsw

from sandbox.sql import (
    COLUMNS_MAX,
    FUNCTIONS,
    HIDDEN_TABLE,
    PARAMETERS_MAX,
    SQL_BYTES_MAX,
    TABLE_FUNCTIONS,
    VALUE_BYTES_MAX,
)

PAGE_BYTES = 4_096
TRIMMED_MAX = 64  # different characters that trim() takes off
BUSY_MS = 1_000  # nobody else has the file open but a reader of ours
CACHE_KIB = 4_096

_LIMITS = (
    (apsw.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX),
    (apsw.SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX),
    (apsw.SQLITE_LIMIT_COLUMN, COLUMNS_MAX),
    (apsw.SQLITE_LIMIT_EXPR_DEPTH, 100),
    (apsw.SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (apsw.SQLITE_LIMIT_VDBE_OP, 25_000),
    (apsw.SQLITE_LIMIT_FUNCTION_ARG, 32),
    (apsw.SQLITE_LIMIT_ATTACHED, 0),
    (apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256),
    (apsw.SQLITE_LIMIT_VARIABLE_NUMBER, PARAMETERS_MAX),
    (apsw.SQLITE_LIMIT_TRIGGER_DEPTH, 8),
    (apsw.SQLITE_LIMIT_WORKER_THREADS, 0),
)
_CONFIG = (
    (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
    (apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0),
    (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
    (apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0),
    (apsw.SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0),
    (apsw.SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, 0),
    (apsw.SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, 0),
    (apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1),
    (apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1),
    (apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1),
    (apsw.SQLITE_DBCONFIG_DQS_DML, 0),
    (apsw.SQLITE_DBCONFIG_DQS_DDL, 0),
)
_PRAGMAS: tuple[tuple[str, str | int, str | int], ...] = (
    ("busy_timeout", BUSY_MS, BUSY_MS),
    ("journal_mode", "WAL", "wal"),
    ("temp_store", "MEMORY", 2),
    ("cache_size", -CACHE_KIB, -CACHE_KIB),
    ("cell_size_check", "ON", 1),
    ("wal_autocheckpoint", 0, 0),  # commits run on the node's loop
    ("mmap_size", 0, 0),
    ("recursive_triggers", "OFF", 0),
)
_SYNCHRONOUS = {"normal": ("NORMAL", 1), "power": ("FULL", 2)}

# What makes a statement about one table act on another.
_ANSWERS = (apsw.SQLITE_DBCONFIG_ENABLE_FKEY, apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER)

READS = frozenset(
    {apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE}
)
WRITES = READS | {
    apsw.SQLITE_INSERT,
    apsw.SQLITE_UPDATE,
    apsw.SQLITE_DELETE,
    apsw.SQLITE_CREATE_TABLE,
    apsw.SQLITE_CREATE_INDEX,
    apsw.SQLITE_CREATE_VIEW,
    apsw.SQLITE_CREATE_TRIGGER,
    apsw.SQLITE_DROP_TABLE,
    apsw.SQLITE_DROP_INDEX,
    apsw.SQLITE_DROP_VIEW,
    apsw.SQLITE_DROP_TRIGGER,
    apsw.SQLITE_ALTER_TABLE,
    apsw.SQLITE_REINDEX,  # CREATE INDEX asks for it
}


class Fence:
    """What may pass on one connection now. `denied` says what was turned away last."""

    def __init__(self, db: apsw.Connection, *, pages: int, durability: str) -> None:
        """Raises apsw.Error where the file is damaged or the disk takes nothing."""
        self.denied = ""
        self._allowed: frozenset[int] | None = None  # None: it is we who speak
        self._db = db
        _configure(db, pages, durability)
        # Not SELECT … FROM pragma_function_list: a guest may have given a table that name.
        functions = cast(list[tuple[str, int]], _listed(db, "function_list", "name", "narg"))
        for function, arguments in dict.fromkeys(functions):
            if function not in FUNCTIONS:
                db.create_scalar_function(function, _refuse, arguments)
        # In SQLite's own these two look through both texts for each character of the other:
        # one step of 14 s (measured), in which no handler is asked.
        db.create_scalar_function("unhex", _refuse, 2)
        for function, strip in _STRIPS.items():
            db.create_scalar_function(function, partial(_stripped, strip), 2, deterministic=True)
        modules = cast(list[tuple[str]], _listed(db, "module_list", "name"))
        self._modules = {module for (module,) in modules} - TABLE_FUNCTIONS
        # Last, since SQLite makes tables of its own while the above is asked.
        for limit, value in _LIMITS:
            db.limit(limit, value)
        db.authorizer = self._authorize

    @contextmanager
    def only(self, allowed: frozenset[int]) -> Iterator[None]:
        """In this block a guest speaks, and may do what is in `allowed`."""
        self.denied = ""
        self._allowed = allowed
        try:
            yield
        finally:
            self._allowed = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """In this block we speak, and nothing that a guest has put into the schema answers.

        A guest's table may refer to ours and have a trigger: what we delete would start it,
        with no authorizer and no meter.
        """
        for option in _ANSWERS:
            self._db.config(option, 0)
        try:
            yield
        finally:
            for option in _ANSWERS:
                self._db.config(option, 1)

    def _authorize(
        self,
        action: int,
        one: str | None,
        two: str | None,
        database: str | None,
        _trigger: str | None,
    ) -> int:
        if self._allowed is None:
            return apsw.SQLITE_OK
        if action not in self._allowed:
            word = str(apsw.mapping_authorizer_function[action]).removeprefix("SQLITE_")
            self.denied = f"{word.lower().replace('_', ' ')} is not allowed"
        elif database not in {None, "main"} and not _is_altering(action, one):
            # `CREATE TABLE temp.x` is no CREATE TEMP TABLE, and no page cap holds it.
            self.denied = "what is temporary is not allowed"
        elif action == apsw.SQLITE_FUNCTION:
            if two not in FUNCTIONS:
                self.denied = f"function {two} is not allowed"
        elif self._is_ours(one) or self._is_ours(two):
            self.denied = "that table belongs to the node"
        return apsw.SQLITE_DENY if self.denied else apsw.SQLITE_OK

    def _is_ours(self, name: str | None) -> bool:
        if name is None:
            return False
        low = name.lower()
        return low == HIDDEN_TABLE or low in self._modules or low.startswith("pragma_")


def _listed(db: apsw.Connection, pragma: str, *columns: str) -> list[tuple[object, ...]]:
    """These columns of what a pragma tells."""
    cursor = db.execute(f"PRAGMA {pragma}")
    names = [name for name, *_ in cursor.get_description()]
    wanted = [names.index(column) for column in columns]
    return [tuple(row[at] for at in wanted) for row in cursor]


def _is_altering(action: int, table: str | None) -> bool:
    """ALTER TABLE looks whether a temporary view or trigger names the table."""
    return table in {"sqlite_temp_master", "sqlite_temp_schema"} and (
        action in {apsw.SQLITE_READ, apsw.SQLITE_UPDATE}
    )


def _configure(db: apsw.Connection, pages: int, durability: str) -> None:
    for option, setting in _CONFIG:
        is_set = db.config(option, setting)
        assert is_set == setting, f"option {option} is {is_set}, not {setting}"
    more = (("synchronous", *_SYNCHRONOUS[durability]), ("max_page_count", pages, pages))
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    for name, value, want in _PRAGMAS + more:
        db.execute(f"PRAGMA {name} = {value}").fetchall()
        got = db.execute(f"PRAGMA {name}").fetchone()
        assert got == (want,), f"pragma {name} is {got}, not {want}"
    db.execute(
        f"CREATE TABLE IF NOT EXISTS {HIDDEN_TABLE}"
        " (task BLOB PRIMARY KEY, result BLOB NOT NULL) STRICT, WITHOUT ROWID"
    )


_STRIPS: dict[str, Callable[[str, str], str]] = {
    "trim": str.strip,
    "ltrim": str.lstrip,
    "rtrim": str.rstrip,
}


def _stripped(strip: Callable[[str, str], str], text: object, characters: object) -> str | None:
    if text is None or characters is None:
        return None
    if not isinstance(text, str | int) or not isinstance(characters, str):
        raise apsw.SQLError("want texts to trim")
    if len(characters) > TRIMMED_MAX:
        raise apsw.SQLError(f"want at most {TRIMMED_MAX} characters to trim")
    return strip(str(text), characters) if characters else str(text)


def _refuse(*_: object) -> None:
    raise apsw.AuthError("this function is not allowed")
