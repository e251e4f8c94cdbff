"""One HTTP/1.1 connection over a guarded stream: ask, read, and say whether it may serve again.

h11 frames and parses; httpcore gives the stream and the names of what goes wrong. Its own
connection is for many callers at once (measured: 80 µs of locks and traces a request); a line
has one, sends head and body in one piece, and sees what came after an answer.
"""

from collections.abc import Callable
from contextlib import suppress

import h11
import httpcore
import trio

READ_BYTES = 65_536
HEAD_BYTES_MAX = 65_536  # of an answer; browsers take 256 KiB, servers send one
HINTS_MAX = 8  # 1xx before an answer

RawHeaders = list[tuple[bytes, bytes]]


class Line:
    """A connection to one origin. One request at a time; whoever breaks off closes it."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._idle_since_s = trio.current_time()

    async def ask(
        self, method: str, target: str, headers: RawHeaders, body: bytes
    ) -> tuple[int, RawHeaders]:
        """Send a request; status and headers of its answer.

        Raises:
            Halted, httpcore.NetworkError, httpcore.ProtocolError.
        """
        try:
            pieces = [self._h11.send(h11.Request(method=method, target=target, headers=headers))]
            if body:
                pieces.append(self._h11.send(h11.Data(data=body)))
            pieces.append(self._h11.send(h11.EndOfMessage()))
        except h11.LocalProtocolError as failure:
            raise httpcore.LocalProtocolError(str(failure)) from failure
        # A server may answer and close before it has heard everything.
        with suppress(httpcore.WriteError):
            await self._stream.write(b"".join(piece for piece in pieces if piece))
        for _ in range(HINTS_MAX + 1):
            event = await self._event()
            if isinstance(event, h11.Response):
                return event.status_code, list(event.headers.raw_items())
        raise httpcore.RemoteProtocolError("no answer after many hints")

    async def read(self, take: Callable[[bytes], None]) -> None:
        """Give every part of the answer's body to `take`, whose errors come through."""
        while isinstance(event := await self._event(), h11.Data):
            take(bytes(event.data))

    async def _event(self) -> object:
        while True:
            try:
                event = self._h11.next_event()
                if event is not h11.NEED_DATA:
                    return event
                self._h11.receive_data(await self._stream.read(READ_BYTES))
            except h11.ProtocolError as failure:
                raise httpcore.RemoteProtocolError("no HTTP/1.1") from failure

    def rest(self) -> bool:
        """Get ready for another request; False if there must not be one."""
        is_whole = self._h11.our_state is self._h11.their_state is h11.DONE
        # What came after the answer would be read as the next one.
        if not is_whole or self._h11.trailing_data[0]:
            return False
        self._h11.start_next_cycle()
        self._idle_since_s = trio.current_time()
        return True

    def is_fresh(self, kept_s: float) -> bool:
        """Whether it has rested for less than `kept_s`, and is neither closed nor spoken to."""
        is_young = trio.current_time() - self._idle_since_s < kept_s
        return is_young and not self._stream.get_extra_info("is_readable")

    async def aclose(self) -> None:
        await self._stream.aclose()
