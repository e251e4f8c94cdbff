"""The audit log keeps what it was given, and notices every change of it."""

from dataclasses import replace

import pytest

from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.log import SALT_BYTES, SCHEMA, AuditLog
from sandbox.audit import AuditRecord, Event
from sandbox.errors import AuditUnavailable
from sync.errors import StoreFull
from sync.store.database import Database


def record(number: int, agent: str = "echo", event: Event = Event.ALLOWED) -> AuditRecord:
    return AuditRecord(
        at_ms=1_000 + number,
        event=event,
        agent=agent,
        originator="did:key:z6Mk",
        task_id=bytes(32),
        number=number,
        function="task.now",
        code="",
        detail="",
        request_hash=bytes(32),
    )


@pytest.fixture
def database() -> Database:
    return Database.open(":memory:", schemas=SCHEMA)


@pytest.fixture
def audit(database: Database) -> AuditLog:
    return AuditLog(database, draw=lambda size: b"s" * size, wall_ms=lambda: 7_000)


def test_the_tail_is_the_newest_records_oldest_first(database: Database, audit: AuditLog) -> None:
    for number in range(5):
        audit.record(record(number))
    assert [(seq, kept.number) for seq, kept in AuditBook(database).tail(limit=2)] == [
        (4, 3),
        (5, 4),
    ]


def test_the_tail_of_one_agent_passes_over_the_others(database: Database, audit: AuditLog) -> None:
    for number in range(6):
        audit.record(record(number, agent="echo" if number % 2 else "scribe"))
    assert [kept.number for _, kept in AuditBook(database).tail(limit=2, agent="scribe")] == [2, 4]


def test_a_sound_log_has_nothing_to_report(database: Database, audit: AuditLog) -> None:
    audit.record(record(0))
    assert AuditBook(database).check() == []


@pytest.mark.parametrize("column", ["leaf", "salt", "record"])
def test_every_changed_column_is_noticed(database: Database, audit: AuditLog, column: str) -> None:
    """Promise 4: every consequential act leaves a record whose place and content can be checked."""
    audit.record(record(0))
    other = record(1).to_cbor() if column == "record" else b"x" * SALT_BYTES
    with database.transaction():
        database.execute(f"UPDATE audit SET {column} = ?", (other,))
    assert AuditBook(database).check() == ["audit record 1 was changed"]


def test_a_missing_record_is_noticed(database: Database, audit: AuditLog) -> None:
    for number in range(3):
        audit.record(record(number))
    with database.transaction():
        database.execute("DELETE FROM audit WHERE seq = 2")
    assert AuditBook(database).check() == ["audit records 2 to 2 are missing"]


def test_a_violation_is_on_the_disk_before_anything_follows(
    database: Database, audit: AuditLog
) -> None:
    before = database.syncs
    audit.record(record(0))
    assert database.syncs == before
    audit.record(record(1, event=Event.VIOLATION))
    assert database.syncs == before + 1


def test_an_act_of_high_risk_is_on_the_disk_before_it_happens(
    database: Database, audit: AuditLog
) -> None:
    before = database.syncs
    audit.record(replace(record(0), facts=(("tier", "medium"),)))
    assert database.syncs == before
    audit.record(replace(record(1), facts=(("tier", "high"),)))
    assert database.syncs == before + 1


def test_a_record_that_cannot_be_kept_says_so(
    database: Database, audit: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 1: no record, no act."""

    def full(sql: str, params: object = ()) -> object:
        raise StoreFull("node.db", "disk full")

    monkeypatch.setattr(database, "execute", full)
    with pytest.raises(AuditUnavailable):
        audit.record(record(0))


def test_a_note_is_a_record_of_what_is_no_call(database: Database, audit: AuditLog) -> None:
    audit.note(Event.SECRET, subject="KEY", code="set", agent="echo", facts=[("host", "a.example")])
    ((_, kept),) = AuditBook(database).tail(limit=1)
    assert (kept.at_ms, kept.event, kept.agent, kept.code) == (7_000, Event.SECRET, "echo", "set")
    assert (kept.number, kept.task_id, kept.request_hash) == (-1, b"", b"")
    assert dict(kept.facts) == {"subject": "KEY", "host": "a.example"}


def test_a_change_that_fails_after_its_note_leaves_none(
    database: Database, audit: AuditLog
) -> None:
    def change() -> None:
        with database.transaction():
            audit.note(Event.TRUST, subject="did:key:z6Mk", code="added")
            raise KeyError

    with pytest.raises(KeyError):
        change()
    assert AuditBook(database).tail(limit=1) == []
