"""The switchboard: what peers do wrong is counted, and fills no disk with words about it."""

import structlog
import trio

from akshi_mesh.switchboard import LINES_BURST, Switchboard

PEER = b"p" * 32


async def test_ten_thousand_refusals_are_counted_and_few_are_written(
    autojump_clock: trio.testing.MockClock,
) -> None:
    board = Switchboard(me=b"m" * 32, wall_ms=lambda: 0)
    with structlog.testing.capture_logs() as lines:
        for _ in range(10_000):
            board.refused(PEER, "an unknown kind")
    assert board.refusals == {"an unknown kind": 10_000}
    assert len(lines) == LINES_BURST
    await trio.sleep(10)
    with structlog.testing.capture_logs() as lines:
        board.refused(PEER, "an unknown kind")
    assert len(lines) == 1


async def test_reasons_that_a_peer_invents_take_bounded_memory(
    autojump_clock: trio.testing.MockClock,
) -> None:
    board = Switchboard(me=b"m" * 32, wall_ms=lambda: 0)
    for number in range(10_000):
        board.refused(PEER, f"kind {number}")
    assert len(board.refusals) <= 256
