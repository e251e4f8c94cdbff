"""Room that is kept for the urgent is there when it is needed, and is never all of a disk."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from akshi_mesh.audit.log import SCHEMA, AuditLog
from akshi_mesh.reserve import RESERVED_BYTES, Reserve
from sandbox.audit import Event
from sandbox.errors import AuditUnavailable
from sync.errors import StoreFull
from sync.store.database import Database

SIZE = 1 << 20


def test_the_reserve_is_filled_lent_and_filled_again(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", size=SIZE)
    reserve.fill()
    assert reserve.held_bytes == SIZE
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= SIZE
    with reserve.lent():
        assert reserve.held_bytes == 0
    assert reserve.held_bytes == SIZE
    assert RESERVED_BYTES == 16 << 20


def test_of_a_small_disk_a_part_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = Reserve(tmp_path / "reserve", size=SIZE)
    real = os.statvfs(tmp_path)
    parts = list(real)
    parts[1], parts[4] = 4096, 300  # f_frsize, f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(parts))
    reserve.fill()
    assert reserve.held_bytes == 300 * 4096 // 4
    reserve.fill()
    assert reserve.held_bytes == 300 * 4096 // 4


def test_a_directory_that_is_gone_is_somebody_elses_trouble(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "gone" / "reserve")
    reserve.fill()
    with reserve.lent():
        pass
    assert reserve.held_bytes == 0


class FullDisk:
    """Takes an append only while the reserve is lent."""

    def __init__(self, log: AuditLog, reserve: Reserve) -> None:
        self.real = log._append
        self.reserve = reserve

    def append(self, row: tuple[bytes, bytes, bytes], *, fsync: bool) -> None:
        if self.reserve.held_bytes:
            raise StoreFull("node.db", "full")
        self.real(row, fsync=fsync)


@contextlib.contextmanager
def undone(database: Database) -> Iterator[None]:
    with pytest.raises(AuditUnavailable), database.transaction():
        yield


def test_only_the_urgent_gets_the_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 5: on a full disk a removal of trust, a stop and the kill switch are recorded."""
    reserve = Reserve(tmp_path / "reserve", size=SIZE)
    reserve.fill()
    database = Database.open(":memory:", schemas=SCHEMA)
    log = AuditLog(database, draw=bytes, wall_ms=lambda: 0, reserve=reserve)
    monkeypatch.setattr(log, "_append", FullDisk(log, reserve).append)
    for event in (Event.TRUST, Event.NODE, Event.KILL_SWITCH, Event.SECRET):
        log.note(event, subject="x")
        assert reserve.held_bytes == SIZE
    for event in (Event.ALLOWED, Event.RESERVED, Event.APPROVED):
        with pytest.raises(AuditUnavailable):
            log.note(event, subject="x")
    with undone(database):
        log.note(Event.TRUST, subject="x")
    assert database.value("SELECT count(*) FROM audit") == 4
