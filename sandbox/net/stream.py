"""A connection that asks before every byte whether it may still go out.

Closing never waits: whoever cancels wants the connection gone, not a polite goodbye.
"""

import math
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import trio

from sandbox.net.errand import about_to_receive, about_to_send

TransportStream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class GuardedStream(httpcore.AsyncNetworkStream):
    """Bytes to and from one address that was checked."""

    def __init__(self, stream: TransportStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        about_to_receive()
        with _limited(timeout, httpcore.ReadTimeout, httpcore.ReadError):
            return bytes(await self._stream.receive_some(max_bytes))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if not buffer:  # the end of a request without a body
            return
        about_to_send()
        with _limited(timeout, httpcore.WriteTimeout, httpcore.WriteError):
            await self._stream.send_all(buffer)

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
    ) -> "GuardedStream":
        """Shake hands as a client, and check that the other side is `server_hostname`."""
        assert server_hostname, "TLS without a name proves nothing"
        assert isinstance(self._stream, trio.SocketStream), "TLS inside TLS"
        tls = trio.SSLStream(
            self._stream, ssl_context, server_hostname=server_hostname, https_compatible=True
        )
        try:
            with _limited(timeout, httpcore.ConnectTimeout, httpcore.ConnectError):
                await tls.do_handshake()
        except BaseException:
            await self.aclose()
            raise
        return GuardedStream(tls)

    def get_extra_info(self, info: str) -> Any:
        stream = self._stream
        if info == "ssl_object":
            return stream._ssl_object if isinstance(stream, trio.SSLStream) else None
        socket = (stream.transport_stream if isinstance(stream, trio.SSLStream) else stream).socket
        match info:
            case "is_readable":
                return socket.is_readable()
            case "server_addr":
                return socket.getpeername()
            case _:
                return None


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
    except (trio.BrokenResourceError, trio.ClosedResourceError) as failure:
        raise broken(_cause(failure)) from failure


def _cause(failure: Exception) -> str:
    """What the system says of it: never a word of the other side."""
    cause = failure.__cause__
    match cause:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not good: {cause.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {cause.reason or 'no agreement'}"
        case OSError():
            return (cause.strerror or "the connection broke").lower()
        case _:
            return "the connection was closed"
