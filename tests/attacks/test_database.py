"""A guest with the database capability tries everything that SQL can do but for its own rows."""

import base64
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.sql import FUNCTIONS, HIDDEN_TABLE
from tests.attacks.sql_guest import TASK, Guest


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    made = Guest(tmp_path / "ann.db")
    made.does("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
    yield made
    made.sql.close()


def test_attach_and_detach(guest: Guest, tmp_path: Path) -> None:
    for name in (f"'{tmp_path}/new.db'", "':memory:'", "''", f"'file:{tmp_path}/x?mode=rwc'"):
        guest.is_refused(f"ATTACH {name} AS other")
    guest.is_refused("DETACH main")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".db"] == ["ann.db"]


def test_vacuum_into_a_file(guest: Guest, tmp_path: Path) -> None:
    for sql in (f"VACUUM INTO '{tmp_path}/copy.db'", "VACUUM", "VACUUM main"):
        for in_transaction in (True, False):
            if not in_transaction:
                guest.sql.roll_back()
            with pytest.raises(ActFailed):
                guest.asks(sql)
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize(
    "pragma",
    [
        "writable_schema = 1",
        "writable_schema = RESET",
        "journal_mode = OFF",
        "max_page_count = 999999",
        "query_only = 0",
        "foreign_keys = 0",
        "temp_store_directory = '/tmp'",
        "data_store_directory = '/tmp'",
        "table_info(t)",
        "database_list",
        "user_version = 7",
        "optimize",
        "hard_heap_limit = 1",
        "soft_heap_limit = 1",
        "wal_checkpoint(TRUNCATE)",
        "schema.integrity_check",
    ],
)
def test_pragma(guest: Guest, pragma: str) -> None:
    with pytest.raises(ActFailed):
        guest.does(f"PRAGMA {pragma}")
    with pytest.raises(ActFailed):
        guest.asks(f"PRAGMA {pragma}")
    assert guest.does("INSERT INTO t VALUES (1, 1)")["changes"] == 1


@pytest.mark.parametrize(
    "table",
    [
        "pragma_table_info('t')",
        "pragma_database_list",
        "PRAGMA_function_list",
        "main.pragma_user_version",
    ],
)
def test_pragma_in_the_guise_of_a_table(guest: Guest, table: str) -> None:
    guest.is_refused(f"SELECT * FROM {table}", "belongs to the node")


def test_load_extension(guest: Guest) -> None:
    guest.is_refused("SELECT load_extension('./evil.so')")
    guest.is_refused("SELECT load_extension('./evil.so', 'entry')")


def test_functions_of_other_programs(guest: Guest) -> None:
    for call in (
        "readfile('/etc/passwd')",
        "writefile('x', 'y')",
        "edit('x')",
        "fts3_tokenizer('a')",
    ):
        with pytest.raises(ActFailed):
            guest.asks(f"SELECT {call}")


def test_writable_schema(guest: Guest) -> None:
    """`UPDATE sqlite_schema` is how a damaged schema becomes memory corruption."""
    for sql in (
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a, b, c)'",
        "INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 2, 'CREATE TABLE x (a)')",
        "DELETE FROM sqlite_schema",
        "DROP TABLE sqlite_schema",
        "CREATE TABLE sqlite_x (a)",
        "CREATE TRIGGER s AFTER INSERT ON sqlite_schema BEGIN SELECT 1; END",
    ):
        with pytest.raises(ActFailed):
            guest.does(sql)
    assert guest.asks("SELECT name FROM sqlite_schema WHERE type = 'table'") == [
        [HIDDEN_TABLE],
        ["t"],
    ]


def test_temporary_things(guest: Guest) -> None:
    for sql in (
        "CREATE TEMP TABLE x (a)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE TABLE temp.x (a)",
        "CREATE VIEW temp.x AS SELECT 1",
        "CREATE TRIGGER temp.x AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE TABLE temp.x AS SELECT 1",
    ):
        with pytest.raises(ActFailed) as refused:
            guest.does(sql)
        assert refused.value.code is FaultCode.NOT_ALLOWED, sql


def test_virtual_tables(guest: Guest) -> None:
    for module in ("fts5(a)", "fts3(a)", "fts4aux(t)", "rtree(i, a, b)", "dbstat", "json_each"):
        with pytest.raises(ActFailed) as refused:
            guest.does(f"CREATE VIRTUAL TABLE v USING {module}")
        assert refused.value.code is FaultCode.NOT_ALLOWED
    guest.is_refused("SELECT * FROM dbstat", "belongs to the node")
    assert guest.asks("SELECT value FROM json_each('[7]')") == [[7]]


def test_transaction_control(guest: Guest) -> None:
    guest.does("INSERT INTO t VALUES (1, 1)")
    for sql in ("COMMIT", "END", "ROLLBACK", "BEGIN", "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a"):
        guest.is_refused(sql)
    assert guest.sql.in_transaction
    assert not guest.sql.is_lost


def test_two_statements_in_one(guest: Guest) -> None:
    for sql in (
        "SELECT 1; ATTACH 'x' AS y",
        "INSERT INTO t VALUES (1, 1); COMMIT",
        "SELECT 1; SELECT 2",
        "SELECT 1;\n-- words\nDELETE FROM t",
    ):
        with pytest.raises(ActFailed, match="one statement a call"):
            guest.does(sql)
    assert guest.asks("SELECT count(*) FROM t") == [[0]]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (1, 1)",
        "DELETE FROM t",
        "UPDATE t SET b = 1",
        "CREATE TABLE u (a)",
        "DROP TABLE t",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT 1, 1",
        "INSERT INTO t VALUES (1, 1) RETURNING a",
        "EXPLAIN DELETE FROM t",
    ],
)
def test_writing_with_query(guest: Guest, sql: str) -> None:
    with pytest.raises(ActFailed) as refused:
        guest.asks(sql)
    assert refused.value.code is FaultCode.NOT_ALLOWED


TELLS = (
    "random()", "randomblob(8)", "CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME",
    "datetime()", "datetime('now')", "date('now')", "time('now')", "julianday('now')",
    "strftime('%s', 'now')", "unixepoch()", "timediff('now', '2000-01-01')",
    "changes()", "total_changes()", "last_insert_rowid()",
    "sqlite_version()", "sqlite_source_id()",
)  # fmt: skip


@pytest.mark.parametrize("call", TELLS)
def test_time_and_chance(guest: Guest, call: str) -> None:
    """A later attempt would be told something else: time and chance are host calls."""
    guest.is_refused(f"SELECT {call}", r"function \w+ is not allowed")
    for sql in (
        f"CREATE TABLE d (a, b DEFAULT ({call}))",
        f"CREATE TABLE d (a, b DEFAULT {call})",
        f"CREATE TABLE d (a CHECK (a <> {call}))",
        f"CREATE TABLE d (a, b AS ({call}))",
        f"CREATE INDEX d ON t ({call})",
        f"CREATE TRIGGER d AFTER INSERT ON t BEGIN UPDATE t SET b = {call}; END",
        f"CREATE VIEW d AS SELECT {call} AS x",
    ):
        assert guest.fails(sql, "INSERT INTO d (a) VALUES (1)", "SELECT x FROM d")


@pytest.mark.parametrize("call", ["random()", "CURRENT_TIMESTAMP", "randomblob(4)"])
def test_time_and_chance_that_lie_in_the_schema_already(tmp_path: Path, call: str) -> None:
    """As in a file of another release: no authorizer looks at a default again."""
    planted = apsw.Connection(str(tmp_path / "old.db"))
    planted.execute(f"CREATE TABLE d (a, b DEFAULT ({call}))")
    planted.close()
    guest = Guest(tmp_path / "old.db")
    with pytest.raises(ActFailed):
        guest.does("INSERT INTO d (a) VALUES (1)")
    guest.sql.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM {0}",
        "SELECT count(*) FROM main.{0}",
        'SELECT task FROM "AKSHI_Ended"',
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM {0})",
        "INSERT INTO {0} VALUES (x'00', x'00')",
        "UPDATE {0} SET result = x'00'",
        "DELETE FROM {0}",
        "DROP TABLE {0}",
        "ALTER TABLE {0} RENAME TO mine",
        "ALTER TABLE {0} ADD COLUMN c",
        "CREATE INDEX i ON {0} (result)",
        "CREATE TRIGGER r AFTER INSERT ON {0} BEGIN SELECT 1; END",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM {0}; END",
        "INSERT INTO t SELECT 1, result FROM {0}",
        "CREATE TABLE copied AS SELECT * FROM {0}",
    ],
)
def test_the_hidden_table(guest: Guest, sql: str) -> None:
    """Who writes there could call a task done that never ran."""
    # A trigger speaks when it runs.
    assert guest.fails(sql.format(HIDDEN_TABLE), "INSERT INTO t VALUES (1, 1)")


def test_the_hidden_table_through_views_triggers_and_names(guest: Guest) -> None:
    guest.does(f"CREATE VIEW v AS SELECT * FROM {HIDDEN_TABLE}")
    guest.is_refused("SELECT * FROM v", "belongs to the node")
    with pytest.raises(ActFailed):
        guest.does(f"ALTER TABLE t RENAME TO {HIDDEN_TABLE}")
    guest.does(f"CREATE TABLE child (a BLOB REFERENCES {HIDDEN_TABLE} (task))")
    with pytest.raises(ActFailed):
        guest.does("INSERT INTO child VALUES (x'00')")
    # And the node can still put its row there.
    guest.sql.seal(TASK, b"[]")
    guest.sql.commit()
    assert guest.sql.ended() == {TASK: b"[]"}


@pytest.mark.parametrize("call", ["random()", "CURRENT_TIMESTAMP", "date()", "load_extension('x')"])
def test_functions_fail_though_nobody_asks_the_authorizer(guest: Guest, call: str) -> None:
    """The second fence, alone."""
    with pytest.raises(apsw.AuthError):
        guest.sql._db.execute(f"SELECT {call}").fetchall()


def test_the_audit_of_functions_is_complete(guest: Guest) -> None:
    """Every function this SQLite knows is listed, or fails."""
    names = [
        (name, arguments)
        for name, arguments in apsw.Connection(":memory:").execute(
            "SELECT DISTINCT name, narg FROM pragma_function_list"
        )
    ]
    for name, arguments in names:
        if str(name) not in FUNCTIONS and str(name).isidentifier():
            marks = ", ".join(["1"] * max(0, int(str(arguments))))
            with pytest.raises(ActFailed):
                guest.asks(f"SELECT {name}({marks})")


def test_a_trigger_that_the_node_itself_would_start(guest: Guest) -> None:
    """A table that refers to ours is cleared when we clear ours, and its trigger is not fenced."""
    for body in (
        # Another task, ended as the guest says; and a thread of the node, for ever.
        f"INSERT INTO {HIDDEN_TABLE} VALUES (x'aa', x'bb')",
        "INSERT INTO z WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT count(*) FROM n",
    ):
        guest.does("CREATE TABLE z (a)")
        guest.does("INSERT INTO z VALUES (?)", {"base64": base64.b64encode(TASK).decode()})
        refers = f"REFERENCES {HIDDEN_TABLE} (task) ON DELETE CASCADE"
        guest.does(f"ALTER TABLE z ADD COLUMN b AS (a) VIRTUAL {refers}")
        guest.does(f"CREATE TRIGGER fires AFTER DELETE ON z BEGIN {body}; END")
        guest.sql.seal(TASK, b"[]")
        guest.sql.commit()
        guest.sql.forget(TASK)
        assert guest.sql.ended() == {}
        guest.sql.begin()
        assert len(guest.asks("SELECT a FROM z")) == 1
        guest.does("CREATE TABLE parent (a PRIMARY KEY)")  # between its own tables both still work
        guest.does("CREATE TABLE child (a REFERENCES parent (a) ON DELETE CASCADE)")
        guest.does(
            "CREATE TRIGGER own AFTER DELETE ON child BEGIN INSERT INTO t (b) VALUES (5); END"
        )
        guest.does("INSERT INTO parent VALUES (1)")
        guest.does("INSERT INTO child VALUES (1)")
        guest.does("DELETE FROM parent")
        assert guest.asks("SELECT b FROM t") == [[5]]
        for table in ("z", "child", "parent"):
            guest.does(f"DROP TABLE {table}")
        guest.does("DELETE FROM t")


@pytest.mark.parametrize("name", ["pragma_function_list", "pragma_module_list"])
def test_a_table_renamed_to_what_the_node_asks(guest: Guest, name: str) -> None:
    """The authorizer is not told the new name."""
    guest.does("CREATE TABLE x (name, narg)")
    guest.does("INSERT INTO x VALUES (NULL, NULL)")
    guest.does(f"ALTER TABLE x RENAME TO {name}")
    guest.sql.commit()
    guest.sql.close()
    again = Guest(guest.path)
    again.is_refused("SELECT * FROM dbstat", "belongs to the node")
    again.is_refused("SELECT random()")
    again.sql.close()
