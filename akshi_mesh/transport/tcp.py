"""TCP: the one carrier of links. TCP_NODELAY, or each answer waits for a delayed ACK (88 ms)."""

import os
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from akshi_mesh.transport.address import Address
from akshi_mesh.transport.errors import ListenRefused, Unreachable

CONNECT_S: Final = 5.0
_CHUNK_BYTES: Final = 65_536


class TcpStream(trio.abc.Stream):
    """A connected socket, with less between it and the loop than trio.SocketStream has.

    Reading waits first and receives then, so no failed receive and no extra turn of the loop is
    paid for; writing tries first and waits only if it must.
    One task may write, and one may read, at a time; links see to it.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self._socket = socket.socket(fileno=stream.socket.detach())
        self._socket.setblocking(False)

    @property
    def has_no_delay(self) -> bool:
        return self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    def send_now(self, data: bytes) -> int:
        """How many bytes the socket took at once; a broken one takes none, and `send_all` tells."""
        try:
            return self._socket.send(data)
        except OSError:
            return 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                await self._wait(trio.lowlevel.wait_writable)
            except OSError as failure:
                raise trio.BrokenResourceError from failure

    async def wait_send_all_might_not_block(self) -> None:
        await self._wait(trio.lowlevel.wait_writable)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while True:
            await self._wait(trio.lowlevel.wait_readable)
            try:
                return self._socket.recv(max_bytes or _CHUNK_BYTES)
            except BlockingIOError:  # readiness may be a false alarm
                continue
            except OSError as failure:
                raise trio.BrokenResourceError from failure

    async def aclose(self) -> None:
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()

    async def _wait(self, wait: Callable[[socket.socket], Awaitable[None]]) -> None:
        if self._socket.fileno() < 0:
            raise trio.ClosedResourceError
        await wait(self._socket)


async def connect_tcp(address: Address) -> TcpStream:
    """A stream to `address`.

    Raises:
        Unreachable: nobody took the connection within CONNECT_S.
    """
    try:
        with trio.fail_after(CONNECT_S):
            stream = await trio.open_tcp_stream(address.host, address.port)
    except trio.TooSlowError as failure:
        raise Unreachable(f"{address}: no connection within {CONNECT_S:.0f} s") from failure
    except OSError as failure:
        raise Unreachable(f"{address}: {_why(failure)}") from failure
    return TcpStream(stream)


async def listen_tcp(address: Address) -> list[trio.SocketListener]:
    """Listeners on `address`; port 0 lets the system choose one.

    Raises:
        ListenRefused: taken, not this machine's, or not allowed.
    """
    try:
        return await trio.open_tcp_listeners(address.port, host=address.host)
    except OSError as failure:
        raise ListenRefused(str(address), why=_why(failure)) from failure


def bound_address(listener: trio.SocketListener) -> Address:
    host, port = listener.socket.getsockname()[:2]
    return Address(host, port)


def _why(failure: OSError) -> str:
    # Several addresses of one name fail together, as a group behind a plain OSError.
    cause = failure.__cause__
    if isinstance(cause, BaseExceptionGroup):
        first = cause.exceptions[0]
        failure = first if isinstance(first, OSError) else failure
    known = failure.errno is not None and failure.errno > 0
    return os.strerror(failure.errno).lower() if known and failure.errno else str(failure).lower()
