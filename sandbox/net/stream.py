"""A connection that asks before every byte whether it may still go out.

Closing never waits: whoever cancels wants the connection gone, not a polite goodbye.
"""

import math
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpcore
import trio

from sandbox.net.errand import about_to_receive, about_to_send


class GuardedStream(httpcore.AsyncNetworkStream):
    """Bytes to and from one address that was checked, as they are.

    The socket is read and written directly, and waited for only when it is not ready
    (measured: one turn of the loop, 20 µs, less for each request).
    """

    def __init__(self, sock: socket.socket) -> None:
        assert not sock.getblocking(), "the loop must not wait for one socket"
        self._sock = sock

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        about_to_receive()
        with _limited(timeout, httpcore.ReadTimeout, httpcore.ReadError):
            while self._check_open():
                await trio.lowlevel.wait_readable(self._sock)
                with suppress(BlockingIOError):
                    return self._sock.recv(max_bytes)
        raise AssertionError("unreachable: an open stream is read until it gives something")

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if not buffer:  # the end of a request without a body
            return
        about_to_send()
        with _limited(timeout, httpcore.WriteTimeout, httpcore.WriteError):
            rest = memoryview(buffer)
            while rest and self._check_open():
                try:
                    rest = rest[self._sock.send(rest) :]
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self._sock)

    def _check_open(self) -> bool:
        """True; or trio's error, where a negative descriptor would be a bug to it."""
        if self._sock.fileno() < 0:
            raise trio.ClosedResourceError("it was closed here")
        return True

    async def aclose(self) -> None:
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
    ) -> "TlsStream":
        """Shake hands as a client, and check that the other side is `server_hostname`."""
        assert server_hostname, "TLS without a name proves nothing"
        plain = trio.SocketStream(trio.socket.from_stdlib_socket(self._sock))
        tls = trio.SSLStream(
            plain, ssl_context, server_hostname=server_hostname, https_compatible=True
        )
        try:
            with _limited(timeout, httpcore.ConnectTimeout, httpcore.ConnectError):
                await tls.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(plain)
            raise
        return TlsStream(tls)

    def get_extra_info(self, info: str) -> Any:
        return _is_readable(self._sock.fileno()) if info == "is_readable" else None


class TlsStream(httpcore.AsyncNetworkStream):
    """The same through TLS."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        about_to_receive()
        with _limited(timeout, httpcore.ReadTimeout, httpcore.ReadError):
            return bytes(await self._stream.receive_some(max_bytes))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if not buffer:
            return
        about_to_send()
        with _limited(timeout, httpcore.WriteTimeout, httpcore.WriteError):
            await self._stream.send_all(buffer)

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._stream._ssl_object
            case "is_readable":
                return self._stream.transport_stream.socket.is_readable()
            case _:
                return None


def _is_readable(fileno: int) -> bool:
    """Whether there is something to read, or the other side has closed."""
    if fileno < 0:
        return True
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def _limited(
    timeout: float | None, slow: type[Exception], broken: type[Exception]
) -> Iterator[None]:
    try:
        if timeout is None:
            yield
        else:
            with trio.fail_after(min(timeout, math.inf)):
                yield
    except trio.TooSlowError as failure:
        raise slow from failure
    except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as failure:
        raise broken(_cause(failure)) from failure


def _cause(failure: Exception) -> str:
    """What the system says of it: never a word of the other side."""
    cause = failure if isinstance(failure, OSError) else failure.__cause__
    match cause:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not good: {cause.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {cause.reason or 'no agreement'}"
        case OSError():
            return (cause.strerror or "the connection broke").lower()
        case _:
            return "the connection was closed"
