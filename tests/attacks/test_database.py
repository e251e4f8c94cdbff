"""A guest with the database capability tries everything that SQL can do but for its own rows."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio

from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.host.databases import Databases
from sandbox.host.guest_sql import GuestSql, Limits
from sandbox.sql import FUNCTIONS, HIDDEN_TABLE, read_statement

COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
TASK = b"t" * 32


class Guest:
    """What a guest can do: statements, one after the other."""

    def __init__(self, path: Path, **limits: Any) -> None:
        self.path = path
        self.sql = GuestSql(str(path), limits=Limits(**limits))
        self.sql.begin()

    def does(self, sql: str, *values: Any) -> Any:
        return json.loads(self.sql.execute(read_statement(sql, json.dumps(values))))

    def asks(self, sql: str, *values: Any) -> Any:
        return json.loads(self.sql.query(read_statement(sql, json.dumps(values))))["rows"]

    def fails(self, *statements: str) -> bool:
        """Whether one of them does."""
        for sql in statements:
            try:
                self.does(sql)
            except ActFailed:
                return True
        return False

    def is_refused(self, sql: str, match: str = "is not allowed") -> None:
        for run in (self.does, self.asks):
            with pytest.raises(ActFailed, match=match) as refused:
                run(sql)
            assert refused.value.code is FaultCode.NOT_ALLOWED


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
    guest.is_refused(f"SELECT {call}")
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


@pytest.mark.parametrize(
    "sql",
    [
        COUNT + "SELECT count(*) FROM n",
        COUNT + "SELECT i FROM n WHERE i < 0",
        "SELECT count(*) FROM json_each(?1) a, json_each(?1) b, json_each(?1) c, json_each(?1) d",
    ],
)
def test_an_endless_query(tmp_path: Path, sql: str) -> None:
    guest = Guest(tmp_path / "a.db", wall_s=0.2)
    began = time.monotonic()
    values = [json.dumps(list(range(1_000)))] if "?1" in sql else []
    with pytest.raises(ActFailed, match="takes too long") as refused:
        guest.asks(sql, *values)
    assert refused.value.code is FaultCode.BUDGET_EXCEEDED
    assert time.monotonic() - began < 2
    assert guest.asks("SELECT 1") == [[1]], "the task goes on"
    guest.sql.close()


def test_the_number_of_steps_ends_a_statement_on_a_fast_machine_too(tmp_path: Path) -> None:
    guest = Guest(tmp_path / "a.db", steps=100_000, wall_s=60)
    with pytest.raises(ActFailed, match="takes too long"):
        guest.asks(COUNT + "SELECT count(*) FROM n")
    guest.sql.close()


@pytest.mark.parametrize(
    "sql",
    [
        COUNT + "SELECT * FROM n ORDER BY i || printf('%.120000c', 'x')",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT count(*) FROM n",
        COUNT + "SELECT json_group_array(printf('%.120000c', 'x')) FROM n",
        COUNT + "SELECT group_concat(zeroblob(120000)) FROM n",
        COUNT + "SELECT count(DISTINCT hex(i) || printf('%.120000c', 'x')) FROM n",
    ],
)
def test_a_memory_bomb(tmp_path: Path, sql: str) -> None:
    guest = Guest(tmp_path / "a.db", wall_s=1, memory_bytes=8 << 20)
    before = apsw.memory_used()
    apsw.memory_high_water(True)
    with pytest.raises(ActFailed):
        guest.asks(sql)
    assert apsw.memory_high_water(False) - before < 80 << 20
    assert apsw.memory_used() - before < 4 << 20
    guest.sql.close()


@pytest.mark.parametrize(
    "expression",
    [
        "instr(printf('%.125000c', 'a'), printf('%.62000c', 'a') || 'b')",
        "replace(printf('%.125000c', 'a'), printf('%.62000c', 'a') || 'b', 'c')",
        "printf('%.125000c', 'a') LIKE '%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%a%ab'",
        "printf('%.125000c', 'a') GLOB '*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab'",
        "printf('%.125000c', 'a') GLOB '*[^b][^b][^b][^b][^b][^b][^b][^b][^b][^b]c'",
        "trim(printf('%.125000c', 'a'), replace(hex(zeroblob(2500)), '00', 'bcdefghi') || 'a')",
        "unhex(printf('%.125000c', 'z'), printf('%.60000c', 'y') || 'z')",
        "json_patch('{\"a\":1}', '{\"b\":1}')",
    ],
)
def test_one_step_that_takes_long(guest: Guest, expression: str) -> None:
    """No handler is asked within a step: what bounds it is the length of a value."""
    began = time.process_time()
    guest.fails(f"SELECT length({expression})")
    assert time.process_time() - began < 0.5  # measured: 0.05 s


def test_trim_does_what_it_did(guest: Guest) -> None:
    rows = guest.asks("SELECT trim('  a '), trim('xxaxx', 'x'), ltrim('xa', 'x'), rtrim('ax', 'x'),"
                      " trim(NULL, 'x'), trim('a', '')")  # fmt: skip
    assert rows == [["a", "a", "a", "a", None, "a"]]


def test_what_is_too_large(guest: Guest) -> None:
    for sql in (
        "SELECT zeroblob(300000)",
        "SELECT printf('%.300000c', 'a')",
        "SELECT " + "+".join(["1"] * 500),
        "SELECT " + ", ".join(["1"] * 101),
        " UNION ALL ".join(["SELECT 1"] * 60),
        "SELECT ?251",
        "CREATE TABLE w (" + ", ".join(f"c{n}" for n in range(101)) + ")",
    ):
        with pytest.raises(ActFailed) as refused:
            guest.does(sql)
        assert refused.value.code is FaultCode.INVALID, sql
    with pytest.raises(ActFailed, match="over 1 MiB"):
        guest.asks(COUNT + "SELECT printf('%.1000c', 'a') FROM n")


def test_a_trigger_that_calls_itself(guest: Guest) -> None:
    guest.does("CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO t VALUES (new.a + 1, 1); END")
    guest.does("INSERT INTO t VALUES (1, 1)")
    assert guest.asks("SELECT count(*) FROM t")[0][0] <= 10


@pytest.mark.parametrize("rows", [1, 100])
def test_disk_fill(tmp_path: Path, rows: int) -> None:
    guest = Guest(tmp_path / "a.db", file_bytes=1 << 20)
    guest.does("CREATE TABLE t (a)")
    sql = COUNT + f"INSERT INTO t SELECT zeroblob(100000) FROM n LIMIT {rows}"
    for _ in range(10 // rows):
        guest.does(sql)
    with pytest.raises(ActFailed, match="may hold 1 MiB") as refused:
        guest.does(sql)
    assert refused.value.code is FaultCode.BUDGET_EXCEEDED
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3 << 20
    guest.sql.close()


def test_disk_fill_by_the_log(tmp_path: Path) -> None:
    """Writing the same pages again and again in one transaction does not make the log grow."""
    guest = Guest(tmp_path / "a.db", file_bytes=16 << 20)
    guest.does("CREATE TABLE t (a, b)")
    guest.does(COUNT + "INSERT INTO t SELECT i, zeroblob(100000) FROM n LIMIT 100")
    for number in range(20):
        guest.does("UPDATE t SET a = ?", number)
        guest.does("UPDATE t SET b = zeroblob(99999 - ?)", number)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 48 << 20
    guest.sql.close()


async def test_another_agents_file(tmp_path: Path) -> None:
    """A name is a file, and no statement names one."""
    databases = Databases(tmp_path / "agents")
    run = databases.execute
    await run("bob", TASK, read_statement("CREATE TABLE secrets (a)", ""))
    await databases.prepare(TASK, b"[]")
    databases.commit(TASK)
    await databases.finish(TASK)
    for sql in (
        "SELECT * FROM secrets",
        "SELECT * FROM bob.secrets",
        f'SELECT * FROM "{tmp_path}/agents/bob.db".secrets',
        f"ATTACH '{tmp_path}/agents/bob.db' AS bob",
    ):
        with pytest.raises(ActFailed):
            await databases.query("ann", b"a" * 32, read_statement(sql, ""))
    databases.close()


async def test_a_symbolic_link_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "ann.db").symlink_to(tmp_path / "node.db")
    databases = Databases(tmp_path / "agents")
    with pytest.raises(ActFailed):
        await databases.query("ann", TASK, read_statement("SELECT 1", ""))
    assert not (tmp_path / "node.db").exists()
    databases.close()


async def test_an_endless_query_does_not_hold_the_node(tmp_path: Path) -> None:
    """The loop turns while a statement runs, and an end of the task ends it."""
    databases = Databases(tmp_path / "agents", limits=Limits(steps=10**11, wall_s=30))
    longest = 0.0
    with trio.move_on_after(0.5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                databases.query, "ann", TASK, read_statement(COUNT + "SELECT sum(i) FROM n", "")
            )
            while True:
                began = trio.current_time()
                await trio.sleep(0.001)
                longest = max(longest, trio.current_time() - began)
    assert longest < 0.2
    databases.close()


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
