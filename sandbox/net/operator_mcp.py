"""As `sandbox.net.operator`, for the MCP SDK, whose HTTP library is httpx2."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping

import httpx2

from sandbox.net.door import ANSWER_BYTES_MAX, TIMEOUT_S, Body, Door, timeouts_of
from sandbox.net.errors import NotSent, SentAndLost
from sandbox.net.names import Lookup


def mcp_client(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
    still_allowed: Callable[[], str | None] = lambda: None,
    answer_bytes_max: int = ANSWER_BYTES_MAX,
    tls: ssl.SSLContext | None = None,
    lookup: Lookup | None = None,
) -> httpx2.AsyncClient:
    """A client that reaches `url` and what is below it, and nothing else.

    Nothing of the environment counts, redirects are not followed, answers are neither
    compressed nor longer than `answer_bytes_max`. Use it as an async context manager.

    A request fails with `httpx2.ConnectError` or `httpx2.ConnectTimeout` if nothing has left the
    node, and with `httpx2.ReadError` or `httpx2.ReadTimeout` if it may have been heard. To stop
    single requests, make them inside `sandbox.net.errand.errand(still_allowed)`.

    Raises:
        MalformedEndpoint: `url` is no place.
    """
    door = Door(
        url, still_allowed=still_allowed, answer_bytes_max=answer_bytes_max, tls=tls, lookup=lookup
    )
    return httpx2.AsyncClient(
        transport=_Transport(door),
        base_url=url,
        headers=headers,
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
    )


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, door: Door) -> None:
        self._door = door

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert isinstance(request.stream, httpx2.AsyncByteStream), "an async client sends so"
        try:
            opened = await self._door.send(
                request.method,
                str(request.url),
                request.headers.raw,
                request.stream,
                timeouts=timeouts_of(request.extensions),
            )
        except NotSent as failure:
            kind = httpx2.ConnectTimeout if failure.is_slow else httpx2.ConnectError
            raise kind(failure.why, request=request) from failure
        except SentAndLost as failure:
            raise _lost(failure) from failure
        return httpx2.Response(
            opened.status, headers=list(opened.headers), stream=_Stream(opened.body)
        )

    async def aclose(self) -> None:
        await self._door.aclose()


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, body: Body) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._body.chunks():
                yield chunk
        except SentAndLost as failure:
            raise _lost(failure) from failure

    async def aclose(self) -> None:
        await self._body.aclose()


def _lost(failure: SentAndLost) -> httpx2.TransportError:
    return (httpx2.ReadTimeout if failure.is_slow else httpx2.ReadError)(failure.why)
