"""A node that runs signs its log and writes down its own start and stop."""

from pathlib import Path

import pytest
import trio

from akshi_mesh.audit.keeper import SIGN_PAUSE_MS, TICK_S, Keeper
from akshi_mesh.audit.retention import DAY_MS
from akshi_mesh.reserve import Reserve
from sync.errors import StoreFull
from tests.akshi_mesh.audit.logs import KEY, SmallLog

SMALL = 1 << 16


@pytest.fixture
def log() -> SmallLog:
    return SmallLog(days=1)


@pytest.fixture
def reserve(tmp_path: Path) -> Reserve:
    return Reserve(tmp_path / "reserve", size=SMALL)


@pytest.fixture
def keeper(log: SmallLog, reserve: Reserve) -> Keeper:
    return Keeper(
        log.log,
        log.notary,
        log.retention,
        reserve,
        log.receipts,
        did=str(KEY.did),
        wall_ms=lambda: log.now_ms,
    )


async def run(keeper: Keeper, seconds: float) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(keeper.run)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()


def events(log: SmallLog) -> list[tuple[str, str]]:
    return [(kept.event.value, kept.code) for _, kept in log.book.tail(limit=9)]


async def test_start_and_stop_are_written_down_and_signed(
    log: SmallLog, keeper: Keeper, reserve: Reserve, autojump_clock: trio.testing.MockClock
) -> None:
    await run(keeper, 10 * TICK_S)
    assert events(log) == [("node", "started"), ("node", "stopped")]
    assert [size for size, _ in log.book.checkpoints()] == [1, 2]
    assert reserve.held_bytes == SMALL


async def test_what_is_new_is_signed_now_and_then_and_what_is_old_is_dropped(
    log: SmallLog, keeper: Keeper, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(keeper.run)
        await trio.sleep(2 * TICK_S)
        log.note(2)
        await trio.sleep(2 * TICK_S)
        assert [size for size, _ in log.book.checkpoints()] == [1]
        log.now_ms += SIGN_PAUSE_MS
        await trio.sleep(2 * TICK_S)
        assert [size for size, _ in log.book.checkpoints()] == [1, 3]
        log.now_ms += 2 * DAY_MS
        await trio.sleep(2 * TICK_S)
        assert log.book.pruned_through == 3
        nursery.cancel_scope.cancel()


async def test_a_changed_log_is_told_and_the_node_stops_all_the_same(
    log: SmallLog, keeper: Keeper, autojump_clock: trio.testing.MockClock
) -> None:
    log.note(3)
    log.notary.checkpoint()
    with log.database.transaction():
        log.database.execute("UPDATE audit SET leaf = zeroblob(32) WHERE seq = 2")
    await run(keeper, 10 * TICK_S)
    assert [size for size, _ in log.book.checkpoints()] == [3]


async def test_a_full_disk_keeps_no_node_from_running_or_stopping(
    log: SmallLog,
    keeper: Keeper,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreFull("node.db", "full")

    async with trio.open_nursery() as nursery:
        await nursery.start(keeper.run)
        monkeypatch.setattr(log.log, "_append", full)
        monkeypatch.setattr(log.notary, "checkpoint", full)
        log.now_ms += 2 * DAY_MS
        await trio.sleep(3 * TICK_S)
        nursery.cancel_scope.cancel()
    with pytest.raises(StoreFull):
        await keeper.run()
