"""TCP: the one carrier of links. TCP_NODELAY, or each answer waits for a delayed ACK (88 ms)."""

import os
import socket
from typing import Final

import trio

from akshi_mesh.transport.address import Address
from akshi_mesh.transport.errors import ListenRefused, Unreachable

CONNECT_S: Final = 5.0


async def connect_tcp(address: Address) -> trio.SocketStream:
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
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    return stream


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
