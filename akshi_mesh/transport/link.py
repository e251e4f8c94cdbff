"""A live link: one task writes, two take turns at reading and handing over, one serves sync.

The writer owns the socket. It drains the outbox into one record, writes it, and looks again:
what was queued while a write was in flight goes into the next record together. So nothing
waits when the link is idle, and records are large under load. The first message after a
pause does not even wait for the writer's turn (4 us, measured). A write that was cancelled
may be partial, and then the stream is of no use: a link's tasks are cancelled only to close it.

    socket ─▶ read ─▶ first lane ─▶ deliver (control, tasks)     no task switch
                  └─▶ sync lane ──▶ deliver (sync)               one a record
    socket ◀─ write ◀─ outbox ◀─ send                            one a record
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import trio

from akshi_mesh.transport.bell import Bell, noticing
from akshi_mesh.transport.errors import LinkLost, MalformedRecord
from akshi_mesh.transport.lanes import FIRST_LANE, SYNC_LANE, Inbox, Outbox
from akshi_mesh.transport.meet import Met
from akshi_mesh.transport.records import PAYLOAD_BYTES_MAX
from akshi_mesh.transport.tcp import TcpStream
from akshi_mesh.transport.wire import (
    BYE,
    CREDIT,
    LANES,
    PING,
    PONG,
    READY,
    REASON_BYTES_MAX,
    pack,
    unpack_credit,
)

PING_AFTER_S: Final = 20.0  # of silence
SILENT_S: Final = 30.0  # of silence, the last 10 after a ping: the peer is gone
RECORD_S: Final = 10.0  # a record that began to arrive must end
WRITE_S: Final = 10.0  # a peer that gives credit but takes no bytes
LIFE_S: Final = 24 * 3600.0
FAREWELL_S: Final = 0.2
NOW_AGAIN_S: Final = 0.000_1  # a burst is drained together; a conversation does not notice
# Handed over together. Then others run, so credit leaves while the rest is handled.
_TURN_BYTES: Final = 16_384
_TURN_S: Final = 0.01  # what takes longer is handed over in smaller parts, until it does not
_CHUNK_BYTES: Final = 65_536
_PING_MESSAGE: Final = pack(PING, b"")
_PONG_MESSAGE: Final = pack(PONG, b"")


class Link:
    """Construct with a finished handshake, then ``await link.run()`` until it is over.

    Args:
        stream: any duplex stream; it is closed when `run` ends.
        met: the handshake.
        deliver: takes messages in order; their bytes are in flight until it returns.
        on_room: called when a lane that refused has room again.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        met: Met,
        *,
        deliver: Callable[[list[tuple[int, bytes]]], Coroutine[Any, Any, None]],
        on_room: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._send_now = stream.send_now if isinstance(stream, TcpStream) else None
        self._writer = met.writer
        self._reader = met.reader
        self._deliver = deliver
        self._on_room = on_room
        self._outbox = Outbox()
        self._inbox = Inbox()
        self._turn_bytes = [_TURN_BYTES] * LANES
        self._queued = Bell()
        self._turn = Bell()
        self._wrote_now_at = 0.0
        self._rest = b""
        self._is_reading = self._is_handing_over = False
        self._sync_arrived = Bell()
        self._scope = trio.CancelScope()
        self._why: str | None = None
        self._farewell = False
        self._began = self._heard_at = trio.current_time()
        self._write_began: float | None = None
        self._partial_since: float | None = None
        self._pinged = False
        self.bytes_sent = 0
        self.bytes_received = 0
        self._arrived = met.arrived

    @property
    def age_s(self) -> float:
        return trio.current_time() - self._began

    def send(self, message_type: int, body: bytes) -> bool:
        """Queue a message; False if its lane is full or the link is closing."""
        if self._why is not None or not self._outbox.put(message_type, body):
            return False
        if self._send_now and self._write_began is None and not self._rest:
            now = trio.current_time()
            if now - self._wrote_now_at >= NOW_AGAIN_S and self._write_now(self._send_now, now):
                return True
        self._queued.ring()
        return True

    def close(self, why: str, *, farewell: bool = True) -> None:
        """End the link; the peer is told why if that can be said at once."""
        if self._why is None:
            self._why = why
            self._farewell = farewell
            self._scope.cancel()

    def tick(self, now: float) -> None:
        """Called about once a second: pings, and ends what is dead or too old."""
        silent_s = now - self._heard_at
        if self._write_began is not None and now - self._write_began >= WRITE_S:
            self.close(f"took no bytes for {WRITE_S:.0f} s", farewell=False)
        elif self._partial_since is not None and now - self._partial_since >= RECORD_S:
            self.close(f"a record did not end within {RECORD_S:.0f} s")
        elif silent_s >= SILENT_S:
            self.close(f"silent for {SILENT_S:.0f} s", farewell=False)
        elif silent_s >= PING_AFTER_S and not self._pinged:
            self._pinged = True
            self._send_own(_PING_MESSAGE)
        elif now - self._began >= LIFE_S:
            self.close("it lived its day, a new one follows")

    async def run(self) -> str:
        """Hold the link until it ends; returns why. Errors of `deliver` propagate."""
        try:
            with self._scope:
                await self._until_lost(self._take_in_early)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._until_lost, self._write)
                    nursery.start_soon(self._until_lost, self._serve)
                    nursery.start_soon(self._until_lost, self._serve)
                    nursery.start_soon(self._serve_sync)
            if self._farewell and self._write_began is None and not self._rest:
                await self._say_bye()
        finally:
            self._why = self._why or "the node is stopping"
            await trio.aclose_forcefully(self._stream)
        return self._why

    async def _until_lost(self, half: Callable[[], Awaitable[None]]) -> None:
        try:
            await half()
        except LinkLost as lost:
            self.close(str(lost), farewell=False)
        except MalformedRecord as failure:
            self.close(str(failure))
        except trio.BrokenResourceError:
            self.close("the connection broke", farewell=False)

    async def _write(self) -> None:
        while True:
            now = trio.current_time()
            record, self._rest = self._rest or self._next_record(now), b""
            if record:
                self._write_began = now
                await self._stream.send_all(record)
                self._write_began = None
            if self._outbox.has_room_again():
                self._on_room()  # may queue more
            elif not record:
                await self._queued.wait()

    def _write_now(self, send_now: Callable[[bytes], int], now: float) -> bool:
        """The first message after a pause does not wait for the writer's turn; True: all is out.

        What the socket does not take at once is the writer's, as is all that follows within
        NOW_AGAIN_S, in one record: nothing is ever in flight here that could be cancelled.
        """
        self._wrote_now_at = now
        record = self._next_record(now)
        sent = send_now(record) if record else 0
        self._rest = record[sent:]
        return not (self._rest or self._outbox.is_waiting)

    def _next_record(self, now: float) -> bytes:
        messages = self._outbox.take(PAYLOAD_BYTES_MAX)
        if not messages:
            return b""
        record = self._writer.seal(messages, now)
        self.bytes_sent += len(record)
        return record

    async def _take_in_early(self) -> None:
        """What came behind the handshake's end."""
        self._take_in(self._arrived)
        self._arrived = []

    async def _serve(self) -> None:
        """Read, and hand over the first lane; if that has to wait, the twin reads on.

        Two tasks run this, and one of them is always reading, so credit and pings are heard
        whatever the node's handlers do. A handler that does not wait costs no task switch.
        """
        while True:
            while self._is_reading:
                await self._turn.wait()
            self._is_reading = has_turn = True

            def pass_turn() -> None:
                nonlocal has_turn
                if has_turn:
                    self._is_reading = has_turn = False
                    self._turn.ring()

            while has_turn:
                if self._is_handing_over or not self._inbox.queues[FIRST_LANE]:
                    await self._read()
                else:
                    self._is_handing_over = True
                    await self._hand_over(FIRST_LANE, pass_turn)
                    self._is_handing_over = False

    async def _serve_sync(self) -> None:
        while True:
            while not self._inbox.queues[SYNC_LANE]:
                await self._sync_arrived.wait()
            await self._hand_over(SYNC_LANE, lambda: None)

    async def _read(self) -> None:
        data = await self._stream.receive_some(_CHUNK_BYTES)
        if not data:
            raise LinkLost("the peer closed the connection")
        now = self._heard_at = trio.current_time()
        self._pinged = False
        self.bytes_received += len(data)
        reader = self._reader
        messages = reader.feed(data)
        if not reader.is_partial:
            self._partial_since = None
        elif messages or self._partial_since is None:
            self._partial_since = now
        self._take_in(messages)

    def _take_in(self, messages: list[tuple[int, bytes]]) -> None:
        arrived = self._inbox.arrived
        for message_type, body in messages:
            if message_type > 0x0F:
                arrived(message_type, body)
            else:
                self._take_own(message_type, body)
        if self._inbox.queues[SYNC_LANE]:
            self._sync_arrived.ring()

    def _take_own(self, message_type: int, body: bytes) -> None:
        if message_type == CREDIT:
            self._outbox.granted(*unpack_credit(body))
            # In a conversation credit comes with each answer, and nothing waits for it.
            if self._outbox.is_waiting or self._outbox.has_refused:
                self._queued.ring()
        elif message_type == PING:
            self._send_own(_PONG_MESSAGE)
        elif message_type == BYE:
            raise LinkLost(f"the peer closed it: {_readable(body)}")
        elif message_type == READY:
            raise MalformedRecord("ready comes once")

    def _send_own(self, message: bytes) -> None:
        self._outbox.put_own(message)
        self._queued.ring()

    async def _hand_over(self, lane: int, on_wait: Callable[[], None]) -> None:
        """One lane's messages until none is left; their bytes are given back as they are done."""
        inbox = self._inbox
        while inbox.queues[lane]:
            if self._why is not None:  # what came before the end is not acted on after it
                await trio.lowlevel.checkpoint()
            messages, size = inbox.take(lane, self._turn_bytes[lane])
            began = trio.current_time()
            await noticing(self._deliver(messages), on_wait)
            if trio.current_time() - began > _TURN_S:
                self._turn_bytes[lane] = max(size // 4, 1)
            else:
                self._turn_bytes[lane] = min(self._turn_bytes[lane] * 2, _TURN_BYTES)
            inbox.handled(lane, size)
            if self._outbox.handled(lane, size):
                self._queued.ring()
            if inbox.queues[lane]:
                await trio.lowlevel.checkpoint()

    async def _say_bye(self) -> None:
        assert self._why is not None, "a farewell follows close()"
        message = pack(BYE, self._why.encode()[:REASON_BYTES_MAX])
        with trio.move_on_after(FAREWELL_S):
            try:
                await self._stream.send_all(self._writer.seal(message, trio.current_time()))
            except trio.BrokenResourceError:
                return  # it left first


def _readable(text: bytes) -> str:
    """What a peer wrote, as one line that a terminal cannot be harmed by."""
    shown = text.decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "�" for letter in shown)
