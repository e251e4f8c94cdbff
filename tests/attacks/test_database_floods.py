"""A guest with the database capability wants all the time, memory and disk there is."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
import trio

from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.host.databases import Databases
from sandbox.host.guest_sql import Limits
from sandbox.sql import read_statement
from tests.attacks.sql_guest import COUNT, TASK, Guest


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    made = Guest(tmp_path / "ann.db")
    made.does("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
    yield made
    made.sql.close()


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
