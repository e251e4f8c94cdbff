"""A live link: flow, silence, rekeying, and what a cancelled write does."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence

import pytest
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, MockClock, memory_stream_pair

from akshi_mesh.transport import link as link_module
from akshi_mesh.transport import wire
from akshi_mesh.transport.link import Link
from akshi_mesh.transport.meet import Met
from akshi_mesh.transport.noise import Cipher
from akshi_mesh.transport.records import RecordReader, RecordWriter

ONE, TWO = b"\x01" * 32, b"\x02" * 32
PEER = b"p" * 32
Deliver = Callable[[int, bytes], Awaitable[None]]
Stream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


async def drop(*_: object) -> None:
    """A consumer that is always done."""


def each(deliver: Deliver) -> Callable[[Sequence[tuple[int, bytes]]], Coroutine[None, None, None]]:
    """A consumer that takes one message after another."""

    async def deliver_all(messages: Sequence[tuple[int, bytes]]) -> None:
        for message_type, body in messages:
            await deliver(message_type, body)

    return deliver_all


def met(ours: bytes, theirs: bytes, *, records_max: int = 1 << 20) -> Met:
    writer = RecordWriter(Cipher(ours), trio.current_time(), records_max=records_max)
    return Met(PEER, writer, RecordReader(Cipher(theirs)), [], 1)


def pair(
    deliver: Deliver, *, records_max: int = 1 << 20, on_room: Callable[[], None] = lambda: None
) -> tuple[Link, Link]:
    """Two ends over memory; what the first sends, `deliver` takes."""
    left, right = memory_stream_pair()
    ours = Link(left, met(ONE, TWO, records_max=records_max), deliver=drop, on_room=on_room)
    theirs = Link(right, met(TWO, ONE), deliver=each(deliver), on_room=lambda: None)
    return ours, theirs


def raw() -> tuple[Link, Stream, RecordWriter, RecordReader]:
    """A link whose other end is the test's own hands."""
    left, right = memory_stream_pair()
    link = Link(left, met(ONE, TWO), deliver=drop, on_room=lambda: None)
    return link, right, RecordWriter(Cipher(TWO), 0.0), RecordReader(Cipher(ONE))


async def ended(link: Link) -> str:
    with trio.fail_after(200):
        return await link.run()


async def test_a_slow_sync_consumer_never_blocks_tasks(autojump_clock: MockClock) -> None:
    """Sync stops at its window; tasks pass it by."""
    tasks, syncs, never = [], 0, trio.Event()

    async def deliver(message_type: int, body: bytes) -> None:
        nonlocal syncs
        if message_type == wire.SYNC:
            syncs += 1
            await never.wait()
        tasks.append(body)

    ours, theirs = pair(deliver)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run)
        nursery.start_soon(theirs.run)
        accepted = 0
        for _ in range(5):
            while ours.send(wire.SYNC, bytes(1_000)):
                accepted += 1
            await trio.testing.wait_all_tasks_blocked()
        assert accepted == 65 + 65, "one window in flight, one queue full"
        for number in range(300):
            assert ours.send(wire.ENVELOPE, b"%d" % number + bytes(1_000))
            await trio.testing.wait_all_tasks_blocked()
        assert len(tasks) == 300
        assert syncs == 1
        nursery.cancel_scope.cancel()


async def test_a_slow_task_consumer_never_blocks_pings_or_sync(
    autojump_clock: MockClock,
) -> None:
    never, syncs = trio.Event(), []

    async def deliver(message_type: int, body: bytes) -> None:
        if message_type == wire.ENVELOPE:
            await never.wait()
        syncs.append(body)

    ours, theirs = pair(deliver)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run)
        nursery.start_soon(theirs.run)
        ours.send(wire.ENVELOPE, b"stuck")
        for number in range(200):
            assert ours.send(wire.SYNC, bytes(1_000))
            await trio.testing.wait_all_tasks_blocked()
            assert len(syncs) == number + 1
        for _ in range(100):
            await trio.sleep(1)
            ours.tick(trio.current_time())
        assert ours.send(wire.SYNC, b"alive")
        nursery.cancel_scope.cancel()


async def test_a_refused_sender_is_called_when_there_is_room(autojump_clock: MockClock) -> None:
    rooms = 0

    def on_room() -> None:
        nonlocal rooms
        rooms += 1

    ours, theirs = pair(drop, on_room=on_room)
    while ours.send(wire.ENVELOPE, bytes(1_000)):
        pass
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run)
        nursery.start_soon(theirs.run)
        await trio.testing.wait_all_tasks_blocked()
        assert rooms == 1
        assert ours.send(wire.ENVELOPE, bytes(1_000))
        nursery.cancel_scope.cancel()


async def test_messages_queued_during_a_write_leave_in_one_record(
    autojump_clock: MockClock,
) -> None:
    link, other, _, reader = raw()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        for number in range(50):
            link.send(wire.ENVELOPE, b"%d" % number)
        data = await other.receive_some()
        assert int.from_bytes(data[:2], "big") == len(data) - 2, "exactly one record"
        assert len(reader.feed(data)) == 50
        nursery.cancel_scope.cancel()


async def test_the_order_survives_rekeying(autojump_clock: MockClock) -> None:
    got: list[bytes] = []

    async def deliver(_message_type: int, body: bytes) -> None:
        got.append(body)

    ours, theirs = pair(deliver, records_max=3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run)
        nursery.start_soon(theirs.run)
        for number in range(100):
            ours.send(wire.ENVELOPE, b"%d" % number)
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert got == [b"%d" % number for number in range(100)]


async def test_a_cancelled_write_closes_the_link(autojump_clock: MockClock) -> None:
    """Half a record may be out; not one byte may follow it."""
    link, other, _, _ = raw()
    assert isinstance(other, trio.StapledStream)
    left = link._stream
    written: list[bytes] = []

    class Stuck(trio.abc.Stream):
        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            written.append(bytes(data)[:5])
            await trio.sleep_forever()

        async def wait_send_all_might_not_block(self) -> None:
            raise AssertionError("not used")

        async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
            return await left.receive_some(max_bytes)

        async def aclose(self) -> None:
            await left.aclose()

    link._stream = Stuck()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        link.send(wire.ENVELOPE, b"half of this")
        await trio.testing.wait_all_tasks_blocked()
        link.close("stop")
        assert await other.receive_some() == b""
    assert len(written) == 1, "no farewell after a partial write"
    assert not link.send(wire.ENVELOPE, b"more")


async def test_nothing_is_written_beside_a_write_in_flight(autojump_clock: MockClock) -> None:
    """The first message after a pause leaves at once, but never into another record."""
    link, _, _, reader = raw()
    out: list[bytes] = []

    def take_half(data: bytes) -> int:
        out.append(data[: len(data) // 2])
        return len(data) // 2

    link._send_now = take_half
    await trio.sleep(1)
    link._write_began = 0.5
    assert link.send(wire.ENVELOPE, b"while the writer writes")
    link._write_began = None
    link._rest = b"what the socket did not take"
    assert link.send(wire.ENVELOPE, b"while a rest waits")
    assert out == []
    link._rest = b""
    assert link.send(wire.ENVELOPE, b"now")
    await trio.sleep(1)
    assert link.send(wire.ENVELOPE, b"later")
    assert len(out) == 1
    bodies = [body for _, body in reader.feed(out[0] + link._rest)]
    assert bodies == [b"while the writer writes", b"while a rest waits", b"now"]


async def test_a_closed_link_says_why(autojump_clock: MockClock) -> None:
    ours, theirs = pair(drop)
    whys = []

    async def hold(link: Link) -> None:
        whys.append(await link.run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold, ours)
        nursery.start_soon(hold, theirs)
        await trio.testing.wait_all_tasks_blocked()
        ours.close("both dialled")
        ours.close("a second reason is no reason")
    assert sorted(whys) == ["both dialled", "the peer closed it: both dialled"]


async def test_a_farewell_is_shown_without_control_characters(
    autojump_clock: MockClock,
) -> None:
    link, other, writer, _ = raw()
    await other.send_all(writer.seal(wire.pack(wire.BYE, b"\x1b[2Jred\xff"), 0.0))
    assert await ended(link) == "the peer closed it: �[2Jred�"


async def test_a_silent_peer_is_pinged_and_then_given_up(autojump_clock: MockClock) -> None:
    link, other, writer, reader = raw()
    seen: list[float] = []

    async def tick() -> None:
        while True:
            await trio.sleep(1)
            link.tick(trio.current_time())

    async def listen() -> None:
        while data := await other.receive_some():
            assert reader.feed(data) == [(wire.PING, b"")]
            seen.append(trio.current_time())
            if len(seen) == 1:
                await other.send_all(writer.seal(wire.pack(wire.PONG, b""), 0.0))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        nursery.start_soon(listen)
        assert await ended(link) == "silent for 30 s"
        nursery.cancel_scope.cancel()
    assert seen == [20.0, 40.0]
    assert trio.current_time() == 50.0


async def test_a_ping_is_answered(autojump_clock: MockClock) -> None:
    link, other, writer, reader = raw()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        await other.send_all(writer.seal(wire.pack(wire.PING, b""), 0.0))
        assert reader.feed(await other.receive_some()) == [(wire.PONG, b"")]
        nursery.cancel_scope.cancel()


async def test_a_record_that_does_not_end_ends_the_link(autojump_clock: MockClock) -> None:
    """One byte a second keeps nobody's buffer."""
    link, other, writer, _ = raw()
    record = writer.seal(wire.pack(wire.ENVELOPE, bytes(100)), 0.0)

    async def dribble() -> None:
        for byte in record:
            await other.send_all(bytes([byte]))
            await trio.sleep(1)
            link.tick(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dribble)
        assert await ended(link) == "a record did not end within 10 s"
        assert trio.current_time() == 10.0
        nursery.cancel_scope.cancel()


async def test_a_link_lives_a_day(autojump_clock: MockClock) -> None:
    link, _, _, _ = raw()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        link._heard_at = link_module.LIFE_S - 1
        await trio.sleep(link_module.LIFE_S)
        link.tick(trio.current_time())
        assert not link.send(wire.ENVELOPE, b"x")
        nursery.cancel_scope.cancel()


async def test_a_peer_that_takes_no_bytes_is_given_up(autojump_clock: MockClock) -> None:
    link, _, _, _ = raw()
    link._write_began = 0.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        await trio.sleep(10)
        link.tick(trio.current_time())
        assert not link.send(wire.ENVELOPE, b"x")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        (wire.pack(wire.READY, b""), "malformed record: ready comes once"),
        (wire.pack_credit(7, 1), "malformed record: credit for a lane that does not exist"),
        (wire.pack_credit(0, 1), "malformed record: credit for what was never sent"),
        (b"\x77\x00\x00", "malformed record: no such class of messages, or too long"),
    ],
)
async def test_what_no_correct_peer_sends_ends_the_link(
    autojump_clock: MockClock, messages: bytes, why: str
) -> None:
    link, other, writer, _ = raw()
    await other.send_all(writer.seal(messages, 0.0))
    assert await ended(link) == why


async def test_more_than_the_window_ends_the_link(autojump_clock: MockClock) -> None:
    link, other, writer, _ = raw()
    link._deliver = lambda *_: trio.sleep_forever()  # type: ignore[assignment,return-value]
    for _ in range(70):
        await other.send_all(writer.seal(wire.pack(wire.SYNC, bytes(1_000)), 0.0))
    assert await ended(link) == "malformed record: more in flight than there was credit for"


async def test_garbage_on_a_live_link_ends_it(autojump_clock: MockClock) -> None:
    link, other, _, _ = raw()
    await other.send_all(b"\x00\x20" + bytes(32))
    assert await ended(link) == "malformed record: it does not open"


async def test_what_came_behind_the_handshake_is_not_lost(autojump_clock: MockClock) -> None:
    left, _ = memory_stream_pair()
    got = trio.Event()

    async def deliver(_message_type: int, _body: bytes) -> None:
        got.set()

    early = met(ONE, TWO)
    early.arrived.append((wire.ENVELOPE, b"early"))
    link = Link(left, early, deliver=each(deliver), on_room=lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        with trio.fail_after(1):
            await got.wait()
        nursery.cancel_scope.cancel()
