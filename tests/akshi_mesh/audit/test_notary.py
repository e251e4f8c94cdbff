"""What is signed is on the disk, and what is on the disk is what was signed; else nothing is."""

from pathlib import Path

import pytest

from akshi_mesh.audit.errors import LogChanged
from akshi_mesh.audit.log import SALT_BYTES
from akshi_mesh.audit.note import Checkpoint
from sandbox.errors import AuditUnavailable
from sync.errors import StoreFull
from tests.akshi_mesh.audit.logs import KEY, SmallLog, record

DAY_MS = 24 * 3600 * 1000


def test_a_checkpoint_leaves_after_the_disk_holds_it_and_is_signed_once() -> None:
    log = SmallLog()
    log.add(3)
    before = log.database.syncs
    note = log.notary.checkpoint()
    assert log.database.syncs == before + 1
    assert Checkpoint.open(note, KEY.public_key).size == 3
    assert log.notary.checkpoint() == note
    assert log.book.checkpoints() == [(3, note)]


def test_the_tree_grows_over_tiles_and_survives_what_is_rolled_back() -> None:
    """Promise 4: place and order of every record; 66,000 of them fill a tile of level 1."""
    log = SmallLog()
    for _ in range(66):
        log.add(1_000)

    def undone() -> None:
        with log.database.transaction():
            for number in range(200):
                log.log.record(record(number))
            raise KeyError

    with pytest.raises(KeyError):
        undone()
    assert log.book.size == 66_000
    assert log.database.value("SELECT count(*) FROM audit_tiles") == 257 + 1
    log.notary.checkpoint()
    assert log.book.check(KEY.public_key) == []


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("DELETE FROM audit WHERE seq = 300", "300 records were signed, 299 are left"),
        ("DELETE FROM audit_tiles", "hash 0 of level 1"),
        ("UPDATE audit_tiles SET hash = zeroblob(32)", "hash 0 of level 1"),
        ("UPDATE audit SET leaf = zeroblob(32) WHERE seq = 290", "record 290 was changed"),
        ("UPDATE audit_checkpoints SET note = 'x'", "not a checkpoint"),
        ("UPDATE audit SET salt = x'', record = x'' WHERE seq = 9", "record 9 was changed"),
    ],
)
def test_a_changed_log_is_reported_and_not_signed_again(sql: str, why: str) -> None:
    log = SmallLog()
    log.add(300)
    log.notary.checkpoint()
    with log.database.transaction():
        log.database.execute(sql.replace("'x'", "x'78'"))
    wrong = log.book.check(KEY.public_key)
    assert any(why.split(",", maxsplit=1)[0] in line for line in wrong) or "signed" in wrong[-1]
    if "audit_tiles" not in sql and "x''" not in sql:
        with pytest.raises((LogChanged, ValueError)):
            log.notary.checkpoint()


def test_a_log_that_was_cut_back_is_not_signed_again() -> None:
    log = SmallLog()
    log.add(3)
    log.notary.checkpoint()
    with log.database.transaction():
        log.database.execute("DELETE FROM audit WHERE seq = 3")
    with pytest.raises(LogChanged, match="3 records were signed, 2 are left"):
        log.notary.checkpoint()
    assert log.book.check(KEY.public_key) == [
        "a checkpoint of 3 records was signed, and there are 2"
    ]


def test_blotting_out_more_than_a_record_says_is_reported() -> None:
    log = SmallLog(days=1)
    log.note(5)
    log.now_ms += 3 * DAY_MS
    log.note(5)
    assert not log.retention.turn()
    assert log.book.check(KEY.public_key) == []
    with log.database.transaction():
        log.database.execute("UPDATE audit SET salt = x'', record = x'' WHERE seq = 6")
        log.database.execute("UPDATE audit_pruned SET through = 6")
    assert log.book.check(KEY.public_key) == [
        "records up to 6 were blotted out, and no record says so"
    ]


def test_retention_drops_words_and_keeps_places() -> None:
    log = SmallLog(days=30)
    log.note(4)
    log.now_ms += 31 * DAY_MS
    log.note(2)
    root = log.book.root(4)
    assert not log.retention.turn()
    assert log.book.pruned_through == 4
    assert (
        log.database.value("SELECT sum(length(salt) + length(record)) FROM audit WHERE seq < 5")
        == 0
    )
    assert [(seq, kept.event.value) for seq, kept in log.book.tail(limit=9)] == [
        (5, "agent"),
        (6, "agent"),
        (7, "pruned"),
    ]
    assert log.book.tail(limit=1)[0][1].fact("subject") == "1-4"
    assert log.book.root(4) == root
    assert not log.retention.turn()
    assert log.book.size == 7


def test_retention_does_a_little_at_a_time() -> None:
    log = SmallLog(days=1)
    log.note(2_500)
    log.now_ms += 2 * DAY_MS
    assert log.retention.turn()
    assert log.book.pruned_through == 2_000
    assert not log.retention.turn()
    assert log.book.pruned_through == 2_500
    log.notary.checkpoint()
    assert log.book.check(KEY.public_key) == []


def test_what_cannot_be_recorded_is_not_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    log = SmallLog(days=1)
    log.note(3)
    log.now_ms += 2 * DAY_MS

    def full(row: object, *, fsync: bool) -> None:
        raise StoreFull("node.db", "full")

    monkeypatch.setattr(log.log, "_append", full)
    with pytest.raises(AuditUnavailable):
        log.retention.turn()
    assert log.book.pruned_through == 0
    assert all(kept.record is not None for kept in log.book.kept(1, 3))


def test_a_pruned_record_leaves_nothing_of_itself_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    log = SmallLog(str(path), days=1)
    log.note(50)
    log.database.checkpoint()
    assert b"agent-17" in path.read_bytes()
    log.now_ms += 2 * DAY_MS
    log.retention.turn()
    log.database.checkpoint()
    log.database.close()
    assert b"agent-17" not in path.read_bytes()
    assert SALT_BYTES == 16
