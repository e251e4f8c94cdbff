"""One file an agent, one transaction a task: staged, then all of it or nothing."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from sandbox.errors import ActFailed, ChangesLost
from sandbox.fault import FaultCode
from sandbox.host import databases as module
from sandbox.host.databases import Databases
from sandbox.host.guest_sql import GuestSql, Limits
from sandbox.sql import read_statement

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[Databases]:
    made = Databases(tmp_path / "agents", limits=Limits(steps=10**10, wall_s=20))
    yield made
    made.close()


async def execute(databases: Databases, task: bytes, sql: str, *values: Any) -> Any:
    statement = read_statement(sql, json.dumps(values))
    return json.loads(await databases.execute("ann", task, statement))


async def query(databases: Databases, task: bytes, sql: str, *values: Any) -> Any:
    statement = read_statement(sql, json.dumps(values))
    return json.loads(await databases.query("ann", task, statement))["rows"]


async def end(databases: Databases, task: bytes, result: bytes = b"[]") -> None:
    await databases.prepare(task, result)
    databases.commit(task)
    await databases.finish(task)


async def made(databases: Databases) -> None:
    await execute(databases, C, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
    await end(databases, C)


async def test_what_a_task_writes_others_see_when_it_has_ended(databases: Databases) -> None:
    await made(databases)
    answer = await execute(databases, A, "INSERT INTO t (b) VALUES (?)", "x")
    assert answer == {"changes": 1, "last_row_id": 1}
    assert await query(databases, A, "SELECT b FROM t") == [["x"]]
    assert await query(databases, B, "SELECT b FROM t") == []
    await end(databases, A)
    assert await query(databases, B, "SELECT b FROM t") == [["x"]]
    assert databases.ended("ann") == {}


async def test_what_a_failed_task_wrote_nobody_sees(databases: Databases) -> None:
    await made(databases)
    await execute(databases, A, "INSERT INTO t (b) VALUES (1)")
    databases.roll_back(A)
    assert await query(databases, B, "SELECT b FROM t") == []
    await execute(databases, B, "INSERT INTO t (b) VALUES (2)")  # the pen is free again


async def test_returning_gives_rows(databases: Databases) -> None:
    await made(databases)
    answer = await execute(databases, A, "INSERT INTO t (b) VALUES (7), (8) RETURNING a, b")
    assert answer == {"changes": 2, "last_row_id": 2, "columns": ["a", "b"],
                      "rows": [[1, 7], [2, 8]]}  # fmt: skip


async def test_a_statement_that_fails_changes_nothing_and_the_task_goes_on(
    databases: Databases,
) -> None:
    await made(databases)
    await execute(databases, A, "INSERT INTO t VALUES (1, 1)")
    with pytest.raises(ActFailed, match="UNIQUE"):
        await execute(databases, A, "INSERT INTO t VALUES (2, 2), (1, 1)")
    await end(databases, A)
    assert await query(databases, B, "SELECT a FROM t") == [[1]]


async def test_one_task_of_an_agent_writes_at_a_time(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PEN_WAIT_S", 0.05)
    await made(databases)
    await execute(databases, A, "INSERT INTO t VALUES (1, 1)")
    with pytest.raises(ActFailed, match="another task of this agent is writing") as refused:
        await execute(databases, B, "INSERT INTO t VALUES (2, 2)")
    assert refused.value.code is FaultCode.UNAVAILABLE
    await end(databases, A)
    await execute(databases, B, "INSERT INTO t VALUES (2, 2)")


async def test_the_writer_that_waits_goes_on_when_the_other_has_ended(
    databases: Databases,
) -> None:
    await made(databases)
    await execute(databases, A, "INSERT INTO t VALUES (1, 1)")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(execute, databases, B, "INSERT INTO t VALUES (2, 2)")
        await trio.testing.wait_all_tasks_blocked()
        await end(databases, A)
    assert await query(databases, B, "SELECT a FROM t") == [[1], [2]]


async def test_nobody_overwrites_what_they_have_not_seen(databases: Databases) -> None:
    await made(databases)
    assert await query(databases, A, "SELECT count(*) FROM t") == [[0]]
    await execute(databases, B, "INSERT INTO t VALUES (1, 1)")
    await end(databases, B)
    with pytest.raises(ActFailed, match="has written since this one read"):
        await execute(databases, A, "INSERT INTO t VALUES (2, 0)")
    assert await query(databases, A, "SELECT count(*) FROM t") == [[1]]
    await execute(databases, A, "INSERT INTO t VALUES (2, 1)")


async def test_a_refused_first_write_leaves_nothing_to_commit(databases: Databases) -> None:
    await made(databases)
    await query(databases, A, "SELECT count(*) FROM t")
    await execute(databases, B, "INSERT INTO t VALUES (1, 1)")
    await end(databases, B)
    with pytest.raises(ActFailed):
        await execute(databases, A, "INSERT INTO t VALUES (2, 0)")
    await end(databases, A)
    assert databases.ended("ann") == {}


async def test_the_row_is_there_between_both_commits(databases: Databases) -> None:
    await made(databases)
    await execute(databases, A, "INSERT INTO t VALUES (1, 1)")
    await databases.prepare(A, b"result")
    assert databases.ended("ann") == {}
    databases.commit(A)
    databases.commit(A)  # node.db may have to try twice
    assert databases.ended("ann") == {A: b"result"}
    await databases.finish(A)
    assert databases.ended("ann") == {}


async def test_the_next_start_finds_the_row_and_forgets_it(databases: Databases) -> None:
    await made(databases)
    await execute(databases, A, "INSERT INTO t VALUES (1, 1)")
    await databases.prepare(A, b"result")
    databases.commit(A)
    databases.close()
    assert databases.ended("ann") == {A: b"result"}
    databases.forget("ann", [A])
    assert databases.ended("ann") == {}


async def test_a_task_that_has_ended_does_not_write_again(databases: Databases) -> None:
    await made(databases)
    await execute(databases, A, "INSERT INTO t VALUES (1, 1)")
    await databases.prepare(A, b"result")
    databases.commit(A)
    databases.close()
    assert databases.agents() == ["ann"]
    with pytest.raises(ChangesLost, match="has ended already"):
        await execute(databases, A, "INSERT INTO t VALUES (2, 2)")


async def test_what_was_only_prepared_is_gone_after_a_stop(databases: Databases) -> None:
    await made(databases)
    await execute(databases, A, "INSERT INTO t VALUES (1, 1)")
    await databases.prepare(A, b"result")
    databases.close()
    assert databases.ended("ann") == {}
    assert await query(databases, B, "SELECT * FROM t") == []


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR ROLLBACK INTO t VALUES (1, 2)",
        "WITH RECURSIVE n(i) AS (SELECT 9 UNION ALL SELECT i + 1 FROM n) INSERT INTO t SELECT i, i"
        " FROM n",
    ],
)
async def test_changes_that_sqlite_took_back_fail_the_task(tmp_path: Path, sql: str) -> None:
    """Else the task would end well with half of what it did."""
    databases = Databases(tmp_path, limits=Limits(steps=10_000))
    await made(databases)
    await execute(databases, A, "INSERT INTO t VALUES (1, 1)")
    with pytest.raises(ActFailed):
        await execute(databases, A, sql)
    for later in ("SELECT 1", "INSERT INTO t VALUES (5, 5)"):
        with pytest.raises(ActFailed, match="is lost"):
            await execute(databases, A, later)
    with pytest.raises(ActFailed, match="is lost"):
        await databases.prepare(A, b"[]")
    databases.roll_back(A)
    assert await query(databases, B, "SELECT * FROM t") == []
    databases.close()


async def test_a_deferred_key_that_was_not_made_good_fails_the_commit(
    databases: Databases,
) -> None:
    await made(databases)
    sql = "CREATE TABLE u (a REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED)"
    await execute(databases, A, sql)
    await execute(databases, A, "INSERT INTO u VALUES (99)")
    await databases.prepare(A, b"[]")
    with pytest.raises(ActFailed, match="FOREIGN KEY") as refused:
        databases.commit(A)
    assert isinstance(refused.value, ChangesLost)


async def test_a_cancelled_statement_stops_at_once(databases: Databases) -> None:
    await made(databases)
    await execute(databases, A, "INSERT INTO t VALUES (1, 1)")
    began = trio.current_time()
    with trio.move_on_after(0.05):
        await query(databases, A, ENDLESS)
    databases.roll_back(A)
    await execute(databases, B, "INSERT INTO t VALUES (1, 1)")
    assert trio.current_time() - began < 2  # of the 20 that it might have taken


async def test_the_end_of_a_task_stops_what_runs_for_it(databases: Databases) -> None:
    await made(databases)

    async def run() -> None:
        with pytest.raises(ActFailed):
            await query(databases, A, ENDLESS)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.sleep(0.05)
        databases.roll_back(A)


async def test_agents_have_a_file_each_that_only_we_can_read(
    databases: Databases, tmp_path: Path
) -> None:
    await made(databases)
    await databases.query("bob", A, read_statement("SELECT 1", ""))
    found = sorted(path.name for path in (tmp_path / "agents").glob("*.db"))
    assert found == ["ann.db", "bob.db"]
    for path in (tmp_path / "agents").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "agents").stat().st_mode) == 0o700


async def test_a_file_that_is_no_database_is_unavailable(
    databases: Databases, tmp_path: Path
) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "ann.db").write_bytes(b"no database at all" * 300)
    with pytest.raises(ActFailed) as refused:
        await query(databases, A, "SELECT 1")
    assert refused.value.code is FaultCode.UNAVAILABLE


def test_a_listed_function_does_what_it_did(tmp_path: Path) -> None:
    """Each is there, so that a newer SQLite that renames one is noticed."""
    sql = GuestSql(str(tmp_path / "a.db"), limits=Limits())
    for expression in ("json_extract('[7]', '$[0]')", "'[7]' -> 0", "round(sqrt(49.1))", "7.0"):
        sql.query(read_statement(f"SELECT {expression}", ""))
    sql.close()
