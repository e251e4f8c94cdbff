"""Traces are kept within bounds, the newest longest, and not at all where nobody wants them."""

from collections.abc import Iterator

import pytest

from akshi_mesh import traces as module
from akshi_mesh.traces import SCHEMA, Traces
from sandbox.trace import Trace
from sync.store.database import MEMORY, Database


@pytest.fixture
def database() -> Iterator[Database]:
    opened = Database.open(MEMORY, schemas=[SCHEMA])
    yield opened
    opened.close()


def keep(traces: Traces, database: Database, number: int, text: str = "") -> bytes:
    task_id = number.to_bytes(32, "big")
    trace = Trace(task_id, "a", "me", "{}", "cid", (), ("ok", text)).to_cbor()
    assert trace is not None
    with database.transaction():
        traces.keep(task_id, trace)
    return task_id


def test_what_was_kept_is_found(database: Database) -> None:
    traces = Traces(database)
    task_id = keep(traces, database, 1, "[]")
    found = Traces(database).find(task_id)
    assert found is not None
    assert found.end == ("ok", "[]")
    assert traces.find(bytes(32)) is None
    assert traces.check() == []


def test_only_so_many_and_the_newest(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRACES_MAX", 10)
    traces = Traces(database)
    ids = [keep(traces, database, number) for number in range(60)]
    found = [id for id in ids if traces.find(id)]
    assert 10 <= len(found) <= 10 + 32
    assert found == ids[-len(found) :]


def test_only_so_many_bytes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRACES_BYTES_MAX", 10_000)
    traces = Traces(database)
    ids = [keep(traces, database, number, "x" * 1_000) for number in range(40)]
    total = database.value("SELECT SUM(LENGTH(trace)) FROM task_traces")
    assert 0 < total <= 10_000
    assert traces.find(ids[-1])
    assert not traces.find(ids[0])


def test_a_task_that_ends_twice_has_one_trace(database: Database) -> None:
    traces = Traces(database)
    keep(traces, database, 1, "first")
    task_id = keep(traces, database, 1, "second")
    found = traces.find(task_id)
    assert found is not None
    assert found.end == ("ok", "second")


def test_where_none_are_kept_none_stay(database: Database) -> None:
    task_id = keep(Traces(database), database, 1)
    off = Traces(database, are_kept=False)
    keep(off, database, 2)
    assert off.find(task_id) is None
    assert database.value("SELECT COUNT(*) FROM task_traces") == 0


def test_a_trace_that_cannot_be_read_is_named(database: Database) -> None:
    database.execute("INSERT INTO task_traces (task_id, trace) VALUES (?, ?)", (bytes(32), b"x"))
    (line,) = Traces(database).check()
    assert line.startswith("the trace of task 00000000")
