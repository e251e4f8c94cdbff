"""The way to one service that the operator named: an inference route, an MCP server, a rail.

The same guarded backend as for agents, with an allowlist of exactly one place. It may be a
private one, since the operator wrote it down; it is still the only one, whatever the library
on top, a redirect or an answer of the service says.
"""

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpcore

from sandbox.endpoint import METHODS, EndpointRule, Url
from sandbox.errors import MalformedEndpoint, MalformedUrl
from sandbox.net.backend import GuardedBackend
from sandbox.net.errand import Errand, current_errand, errand
from sandbox.net.errors import NotSent, SentAndLost
from sandbox.net.lines import url_of
from sandbox.net.names import Lookup
from sandbox.net.tls import node_tls

ANSWER_BYTES_MAX: Final = 16 << 20
CONNECTIONS_MAX: Final = 16
TIMEOUT_S: Final = 60.0

RawHeaders = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Opened:
    """The head of an answer; read `body` to its end, or `aclose` it."""

    status: int
    headers: RawHeaders
    body: "Body"


class Door:
    """Requests to `url` and what is below it, to nothing else.

    Args:
        still_allowed: why to stop, or None; asked right before bytes leave and as they come,
            unless the caller is on an errand of its own.
        answer_bytes_max: of one answer; a service that sends more is cut off.
        tls: how the service is checked; the node's way if None.

    Raises:
        MalformedEndpoint: `url` is no place.
    """

    def __init__(
        self,
        url: str,
        *,
        still_allowed: Callable[[], str | None] = lambda: None,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        tls: ssl.SSLContext | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        if " " in url or "*" in url or "://" not in url:
            raise MalformedEndpoint(url, why="want one URL such as https://host/path")
        self._rule = EndpointRule.parse(f"private {url}")
        self._still_allowed = still_allowed
        self._answer_bytes_max = answer_bytes_max
        if tls is None and self._rule.scheme == "https":
            tls = node_tls()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=CONNECTIONS_MAX,
            keepalive_expiry=5.0,
            network_backend=GuardedBackend(is_private=True, lookup=lookup),
        )

    async def send(
        self,
        method: str,
        url: str,
        headers: RawHeaders,
        content: AsyncIterable[bytes],
        *,
        timeouts: dict[str, float | None],
    ) -> Opened:
        """Send one request, and wait for the head of its answer.

        Raises:
            NotSent: nothing has left the node.
            SentAndLost: it left, and no answer came.
        """
        target = self._target(method, url)
        plain = [(name, value) for name, value in headers if name.lower() != b"accept-encoding"]
        request = httpcore.Request(
            method,
            url_of(target),
            headers=[*plain, (b"Accept-Encoding", b"identity")],
            content=content,
            extensions={"timeout": timeouts},
        )
        outer = current_errand()
        if outer is not None:
            return await self._send(request, outer)
        with errand(self._still_allowed) as run:
            return await self._send(request, run)

    async def _send(self, request: httpcore.Request, run: Errand) -> Opened:
        try:
            run.check()
            response = await self._pool.handle_async_request(request)
        except _FAILURES as failure:
            kind = SentAndLost if run.has_left else NotSent
            raise kind(_why(failure), is_slow=_is_slow(failure)) from failure
        body = Body(response, run, self._answer_bytes_max)
        if any(name.lower() == b"content-encoding" for name, _ in response.headers):
            await body.aclose()
            raise SentAndLost("it is compressed, which nobody asked for")
        return Opened(response.status, response.headers, body)

    def _target(self, method: str, url: str) -> Url:
        try:
            target = Url.parse(url)
        except MalformedUrl as malformed:
            raise NotSent(str(malformed)) from malformed
        if method not in METHODS or not self._rule.covers(target, method):
            raise NotSent(f"{method[:10]} {target.origin} is not the place that was configured")
        return target

    async def aclose(self) -> None:
        await self._pool.aclose()


class Body:
    """The rest of an answer, in chunks."""

    def __init__(self, response: httpcore.Response, run: Errand, bytes_max: int) -> None:
        self._response = response
        self._run = run
        self._bytes_max = bytes_max

    async def chunks(self) -> AsyncIterator[bytes]:
        """Everything, in order. Raises `SentAndLost`."""
        spoiled: str | None = None
        size = 0
        try:
            async for chunk in self._response.aiter_stream():
                if spoiled is not None:
                    continue
                size += len(chunk)
                spoiled = self._run.still_allowed()
                if size > self._bytes_max:
                    spoiled = f"the answer is over {self._bytes_max} bytes"
                if spoiled is None:
                    yield chunk
                else:  # the loop ends by itself when its connection is gone
                    await self.aclose()
        except _FAILURES as failure:
            why = spoiled or _why(failure)
            raise SentAndLost(why, is_slow=_is_slow(failure)) from failure
        if spoiled is not None:
            raise SentAndLost(spoiled)

    async def aclose(self) -> None:
        await self._response.aclose()


_FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


def _is_slow(failure: Exception) -> bool:
    return isinstance(failure, httpcore.TimeoutException)


def _why(failure: Exception) -> str:
    if isinstance(failure, httpcore.ProtocolError):
        return "what came is no HTTP answer, or broke off"
    return str(failure) or ("no answer in time" if _is_slow(failure) else "the connection broke")


def timeouts_of(extensions: Any) -> dict[str, float | None]:
    """The timeouts that httpx puts into a request."""
    found = extensions.get("timeout", {})
    return {name: found.get(name, TIMEOUT_S) for name in ("connect", "read", "write", "pool")}
