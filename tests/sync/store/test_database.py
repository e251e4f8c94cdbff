"""The store keeps what it says, notices what the disk lost, and names the remedy."""

import contextlib
import resource
import shutil
import signal
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from sync import errors
from sync.store.database import MEMORY, Database

SCHEMA = ["CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b TEXT) STRICT"]


@pytest.fixture(params=["memory", "file"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    path = MEMORY if request.param == "memory" else str(tmp_path / "node.db")
    database = Database.open(path, schemas=SCHEMA)
    yield database
    database.close()


def add(db: Database, *numbers: int) -> None:
    for number in numbers:
        db.execute("INSERT INTO t VALUES (?, ?)", (number, "x" * 200))


def add_and_fail(db: Database, *numbers: int) -> None:
    add(db, *numbers)
    raise KeyError


def nest_and_fail(db: Database, *numbers: int) -> None:
    for number in numbers:
        with db.transaction():
            add(db, number)
    raise KeyError


def numbers(db: Database) -> list[int]:
    return [row[0] for row in db.rows("SELECT a FROM t ORDER BY a")]


def test_what_is_committed_is_there_after_reopening(tmp_path: Path) -> None:
    path = str(tmp_path / "node.db")
    db = Database.open(path, schemas=SCHEMA)
    with db.transaction():
        add(db, 1)
    db.close()
    again = Database.open(path, schemas=SCHEMA)
    assert numbers(again) == [1]
    again.close()


def test_a_failed_block_stores_nothing(db: Database) -> None:
    with pytest.raises(KeyError), db.transaction():
        add_and_fail(db, 1)
    assert numbers(db) == []
    with db.transaction():
        add(db, 2)
    assert numbers(db) == [2]
    assert db.commits == 2  # the schema and this one


def test_a_nested_block_joins_the_outer_one(db: Database) -> None:
    with pytest.raises(KeyError), db.transaction():
        nest_and_fail(db, 1)
    assert numbers(db) == []


def test_a_failed_nested_block_takes_only_itself_back(db: Database) -> None:
    with db.transaction():
        add(db, 1)
        with pytest.raises(KeyError), db.transaction():
            nest_and_fail(db, 2, 3)
        with db.transaction():
            add(db, 4)
    assert numbers(db) == [1, 4]


def test_a_bug_in_sql_is_not_dressed_up_as_weather(db: Database) -> None:
    with pytest.raises(apsw.SQLError):
        db.execute("SELECT nonsense FROM t")
    with pytest.raises(apsw.ConstraintError), db.transaction():
        add(db, 1, 1)
    assert numbers(db) == []


@pytest.mark.parametrize("nested", [False, True])
def test_fsync_is_counted_and_joins(db: Database, nested: bool) -> None:
    before = db.syncs
    with db.transaction(fsync=not nested):
        with db.transaction(fsync=nested):
            add(db, 1)
        assert db.syncs == before, "not before the outermost commit"
    assert db.syncs == before + 1
    with db.transaction():
        add(db, 2)
    assert db.syncs == before + 1


def test_power_durability_syncs_every_commit(tmp_path: Path) -> None:
    db = Database.open(str(tmp_path / "node.db"), schemas=SCHEMA, durability="power")
    assert db.value("PRAGMA synchronous") == 2
    before = db.syncs
    with db.transaction():
        add(db, 1)
    assert db.syncs == before + 1
    db.close()


def test_values_rows_and_changes(db: Database) -> None:
    with db.transaction():
        for row in ((1, "one"), (2, "two")):
            db.execute("INSERT INTO t VALUES (?, ?)", row)
        assert db.changes() == 1
        db.execute("UPDATE t SET b = 'both'")
        assert db.changes() == 2
    assert db.row("SELECT * FROM t WHERE a = 2") == (2, "both")
    assert db.row("SELECT * FROM t WHERE a = 3") is None
    assert db.value("SELECT b FROM t WHERE a = 3") is None
    assert list(db.execute("SELECT a FROM t")) == [(1,), (2,)]


def test_a_reader_sees_commits_and_cannot_write(db: Database) -> None:
    with db.transaction():
        add(db, 1)
    reader = db.reader()
    assert numbers(reader) == [1]
    with pytest.raises(errors.StoreReadOnly):
        add(reader, 2)
    reader.close()


def test_reading_what_nobody_runs(tmp_path: Path) -> None:
    path = str(tmp_path / "node.db")
    with pytest.raises(errors.StoreUnreadable):
        Database.read_only(path)
    assert not list(tmp_path.iterdir()), "nothing is created"
    db = Database.open(path, schemas=SCHEMA)
    with db.transaction():
        add(db, 1)
    db.close()
    reader = Database.read_only(path)
    assert numbers(reader) == [1]
    with pytest.raises(errors.StoreReadOnly), reader.transaction():
        add(reader, 2)
    reader.close()


def test_the_file_is_private(tmp_path: Path) -> None:
    db = Database.open(str(tmp_path / "node.db"), schemas=SCHEMA)
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    db.close()


def damaged_copy(tmp_path: Path) -> str:
    """A database of some pages with one bit flipped in the middle of the file."""
    path = tmp_path / "node.db"
    db = Database.open(str(path), schemas=SCHEMA)
    with db.transaction():
        add(db, *range(400))
    db.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return str(path)


def test_one_flipped_bit_on_the_disk_is_noticed(tmp_path: Path) -> None:
    db = Database.open(damaged_copy(tmp_path), schemas=SCHEMA)
    with pytest.raises(errors.DatabaseDamaged, match="checksum") as caught:
        db.rows("SELECT b FROM t")
    assert caught.value.hint == "akshi-node fsck"
    assert db.check()
    db.close()


def test_damage_met_while_iterating_is_named_too(tmp_path: Path) -> None:
    db = Database.open(damaged_copy(tmp_path), schemas=SCHEMA)
    with pytest.raises(errors.DatabaseDamaged):
        for _ in db.execute("SELECT b FROM t"):
            pass
    db.close()


def test_a_sound_file_checks_clean(db: Database) -> None:
    assert db.check() == []


def test_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    path.write_bytes(b"these are not the pages you are looking for " * 200)
    with pytest.raises(errors.DatabaseDamaged):
        Database.open(str(path), schemas=SCHEMA)


def test_a_database_without_checksums_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    plain = sqlite3.connect(path)
    plain.execute("CREATE TABLE t (a INTEGER)")
    plain.commit()
    plain.close()
    with pytest.raises(errors.DatabaseDamaged, match="checksums"):
        Database.open(str(path), schemas=SCHEMA)


def test_a_crash_loses_no_commit_and_a_checkpoint_no_byte(tmp_path: Path) -> None:
    """A killed process leaves file and log; copying them while open is the same picture."""
    db = Database.open(str(tmp_path / "node.db"), schemas=SCHEMA)
    with db.transaction(fsync=True):
        add(db, *range(100))
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("node.db", "node.db-wal"):
        shutil.copy(tmp_path / name, crashed / name)
    again = Database.open(str(crashed / "node.db"), schemas=SCHEMA)
    assert numbers(again) == list(range(100))
    again.checkpoint()
    assert again.check() == []
    again.close()
    assert not (crashed / "node.db-wal").exists()
    db.close()


def test_a_checkpoint_leaves_nothing_in_the_log(tmp_path: Path) -> None:
    db = Database.open(str(tmp_path / "node.db"), schemas=SCHEMA)
    with db.transaction():
        add(db, *range(100))
    db.checkpoint()
    shutil.copy(tmp_path / "node.db", tmp_path / "alone.db")
    alone = Database.open(str(tmp_path / "alone.db"), schemas=SCHEMA)
    assert numbers(alone) == list(range(100))
    alone.close()
    db.close()


def test_an_overgrown_log_is_truncated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = Database.open(str(tmp_path / "node.db"), schemas=SCHEMA)
    with db.transaction():
        add(db, *range(100))
    monkeypatch.setattr("sync.store.database.WAL_BYTES_MAX", 4096)
    db.checkpoint()
    assert (tmp_path / "node.db-wal").stat().st_size == 0
    with db.transaction(fsync=True):
        add(db, 1000)
    assert numbers(db)[-1] == 1000
    db.close()


def test_a_full_disk_undoes_the_whole_transaction(tmp_path: Path) -> None:
    """Whoever catches the error and goes on is stopped: half a transaction is never kept."""
    path = str(tmp_path / "node.db")
    db = Database.open(path, schemas=SCHEMA)
    db.execute(f"PRAGMA max_page_count = {db.value('PRAGMA page_count') + 3}")

    def catch_and_go_on() -> None:
        with db.transaction():
            add(db, 1)
            with pytest.raises(errors.StoreFull):
                add(db, *range(2, 200))
            add(db, 1000)

    with pytest.raises(errors.StoreFull) as caught:
        catch_and_go_on()
    assert "free disk space" in (caught.value.hint or "")
    assert numbers(db) == []
    with db.transaction():
        add(db, 3)
    assert numbers(db) == [3]
    db.close()


def test_a_real_limit_on_the_file_is_a_full_disk(tmp_path: Path) -> None:
    """EFBIG from the kernel while the log grows: refused, and the old content stands."""
    db = Database.open(str(tmp_path / "node.db"), schemas=SCHEMA)
    with db.transaction():
        add(db, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        with pytest.raises(errors.StoreError), db.transaction():
            add(db, *range(2, 2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert numbers(db) == [1]
    with db.transaction():
        add(db, 2)
    assert db.check() == []
    db.close()


def test_a_missing_directory_is_not_our_bug(tmp_path: Path) -> None:
    with pytest.raises(errors.StoreUnreadable):
        Database.open(str(tmp_path / "nowhere" / "node.db"), schemas=SCHEMA)


def fail_and_go_on(db: Database) -> None:
    with contextlib.suppress(errors.StoreBusy):
        add(db, 2)
    add(db, 3)  # what came before was not written, so neither is this


def test_a_second_writer_is_told_to_wait(tmp_path: Path) -> None:
    path = str(tmp_path / "node.db")
    one, two = Database.open(path, schemas=SCHEMA), Database.open(path, schemas=SCHEMA)
    two.execute("PRAGMA busy_timeout = 1")
    with one.transaction():
        add(one, 1)
        with two.transaction():
            pass  # asks nothing, so it needs no lock
        with pytest.raises(errors.StoreBusy), two.transaction():
            fail_and_go_on(two)
    assert numbers(two) == [1]
    two.close()
    one.close()


def test_an_image_is_what_a_power_cut_leaves() -> None:
    db = Database.open(MEMORY, schemas=SCHEMA)
    with db.transaction():
        add(db, 1)
    image = db.image()
    with db.transaction():
        add(db, 2)
    db.restore(image)
    assert numbers(db) == [1]
    with db.transaction():
        add(db, 3)
    assert numbers(db) == [1, 3]
    db.close()
