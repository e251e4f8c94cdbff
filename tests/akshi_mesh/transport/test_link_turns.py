"""How much a link hands over at once: nothing once it is closing, little of what is dear."""

from collections.abc import Sequence

import trio
from trio.testing import MockClock, memory_stream_pair

from akshi_mesh.transport import wire
from akshi_mesh.transport.link import Link
from tests.akshi_mesh.transport.test_link import ONE, TWO, drop, met


async def test_nothing_is_handed_over_once_the_link_is_closing(autojump_clock: MockClock) -> None:
    """A peer that is banned in the middle of a burst gets nothing of the rest done."""
    left, right = memory_stream_pair()
    heard: list[bytes] = []

    async def deliver(messages: Sequence[tuple[int, bytes]]) -> None:
        heard.extend(body for _, body in messages)
        theirs.close("banned")

    ours = Link(left, met(ONE, TWO), deliver=drop, on_room=lambda: None)
    theirs = Link(right, met(TWO, ONE), deliver=deliver, on_room=lambda: None)
    for _ in range(60):
        ours.send(wire.ENVELOPE, bytes(1_000))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run)
        await theirs.run()
        nursery.cancel_scope.cancel()
    assert len(heard) == 17


async def test_what_is_slow_to_handle_is_handed_over_in_smaller_parts() -> None:
    """No peer holds the loop for long, however dear its messages are."""
    left, right = memory_stream_pair()
    sizes: list[int] = []
    done = trio.Event()

    async def deliver(messages: Sequence[tuple[int, bytes]]) -> None:
        sizes.append(len(messages))
        until = trio.current_time() + 0.002 * len(messages)
        while trio.current_time() < until:
            pass
        if sum(sizes) == 60:
            done.set()

    ours = Link(left, met(ONE, TWO), deliver=drop, on_room=lambda: None)
    theirs = Link(right, met(TWO, ONE), deliver=deliver, on_room=lambda: None)
    for _ in range(60):
        ours.send(wire.ENVELOPE, bytes(1_000))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run)
        nursery.start_soon(theirs.run)
        await done.wait()
        nursery.cancel_scope.cancel()
    assert sizes[0] == 17
    assert max(sizes[1:]) <= 10
