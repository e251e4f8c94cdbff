"""Servers on loopback that answer what a test wants, and orders to fetch from them."""

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import trio

from sandbox.endpoint import EndpointRule, Url
from sandbox.errors import ActFailed
from sandbox.fetch import FetchOrder
from sandbox.net.fetcher import Fetcher
from sandbox.redaction import Redactor, Watch
from sandbox.secrets import Injection

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer(body: bytes = b"ok", *lines: str, status: str = "200 OK") -> bytes:
    """A whole HTTP/1.1 answer."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


@dataclass
class Server:
    """What a server on loopback has seen, and where it is."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def rule(self) -> str:
        return f"private {self.url}"

    @property
    def lines(self) -> list[str]:
        """The lines of the head of the last request."""
        return self.requests[-1].partition(b"\r\n\r\n")[0].decode().split("\r\n")

    @property
    def headers(self) -> dict[str, str]:
        """Of the last request; a test that cares for repetition looks at `lines`."""
        return {
            name.lower(): value for name, value in (line.split(": ", 1) for line in self.lines[1:])
        }


Talk = Callable[[trio.abc.Stream, bytes], Awaitable[bool]]


def saying(*answers: bytes) -> Talk:
    """Answer with these in turn, then with the last for ever, and keep the connection."""
    queue = list(answers)

    async def talk(stream: trio.abc.Stream, request: bytes) -> bool:
        await stream.send_all(queue.pop(0) if len(queue) > 1 else queue[0])
        return True

    return talk


def chunks(*parts: bytes, then_close: bool = True) -> Talk:
    """Send these parts one by one, with a turn of the loop between them."""

    async def talk(stream: trio.abc.Stream, request: bytes) -> bool:
        for part in parts:
            await stream.send_all(part)
            await trio.sleep(0.001)
        return not then_close

    return talk


async def silent(stream: trio.abc.Stream, request: bytes) -> bool:
    """Never answer, and end when the other side hangs up."""
    while await stream.receive_some(65_536):
        pass
    return False


async def hang_up(stream: trio.abc.Stream, request: bytes) -> bool:
    return False


@asynccontextmanager
async def serving(
    talk: Talk, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    """A server that reads whole requests and lets `talk` answer each."""
    server = Server()

    async def handle(raw: trio.SocketStream) -> None:
        server.connections += 1
        server.open += 1
        stream: trio.abc.Stream = raw
        if tls is not None:
            stream = trio.SSLStream(raw, tls, server_side=True, https_compatible=True)
        buffer = b""
        try:
            while True:
                while (end := _end_of_request(buffer)) is None:
                    data = await stream.receive_some(65_536)
                    if not data:
                        return
                    buffer += data
                request, buffer = buffer[:end], buffer[end:]
                server.requests.append(request)
                if not await talk(stream, request):
                    return
        except (trio.BrokenResourceError, ssl.SSLError):
            pass
        finally:
            server.open -= 1
            await trio.aclose_forcefully(raw)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host=host)
        server.port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield server
        nursery.cancel_scope.cancel()


def _end_of_request(data: bytes) -> int | None:
    head, mark, rest = data.partition(b"\r\n\r\n")
    if not mark:
        return None
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return len(head) + 4 + length if len(rest) >= length else None


def nothing_stops() -> str | None:
    return None


def order_for(
    url: str,
    *rules: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    **more: object,
) -> FetchOrder:
    """An order of the agent `reader`; the only rule is private and for the URL's origin."""
    parsed = Url.parse(url)
    order = FetchOrder(
        "reader",
        parsed,
        method,
        tuple((headers or {}).items()),
        body,
        tuple(map(EndpointRule.parse, rules or [f"private {parsed.origin}"])),
        5.0,
        nothing_stops,
    )
    return replace(order, **more)  # type: ignore[arg-type]


class NoSecrets:
    """A node without secrets."""

    def names_for(self, agent: str, url: Url, method: str) -> tuple[str, ...]:
        return tuple(put_in.name for put_in in self.injections(agent, url, method))

    def injections(self, agent: str, url: Url, method: str) -> tuple[Injection, ...]:
        return ()

    def leaks(self, agent: str, *texts: bytes) -> str | None:
        return None

    def redactor(self, agent: str) -> Redactor:
        return Redactor(())


class OneSecret(NoSecrets):
    """A secret that goes into a header of every request to one origin.

    With a `holder` it is the secret of that agent, and whoever asks for another finds nothing.
    """

    def __init__(
        self, value: str, origin: str, header: str = "Authorization", *, holder: str = ""
    ) -> None:
        self.holder = holder
        self.value = value
        self.origin = origin
        self.header = header
        self.redactors: list[Redactor] = []

    def injections(self, agent: str, url: Url, method: str) -> tuple[Injection, ...]:
        if url.origin != self.origin or self._is_others(agent):
            return ()
        return (Injection("token", self.header, f"Bearer {self.value}"),)

    def leaks(self, agent: str, *texts: bytes) -> str | None:
        is_there = any(self.value.encode() in text for text in texts)
        return "token" if is_there and not self._is_others(agent) else None

    def _is_others(self, agent: str) -> bool:
        return self.holder not in ("", agent)

    def redactor(self, agent: str) -> Redactor:
        if self._is_others(agent):
            return super().redactor(agent)
        self.redactors.append(Redactor((Watch.over("token", self.value.encode()),)))
        return self.redactors[-1]


def names(table: dict[str, Sequence[str]]) -> Callable[[str], Awaitable[Sequence[str]]]:
    """A resolver that knows these."""

    async def lookup(host: str) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        if host not in table:
            raise OSError(-2, "Name or service not known")
        return table[host]

    return lookup


async def told(fetcher: Fetcher, order: FetchOrder) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await fetcher.fetch(order))
    return answer


async def refused(fetcher: Fetcher, order: FetchOrder) -> ActFailed:
    with pytest.raises(ActFailed) as caught:
        await fetcher.fetch(order)
    assert "\n" not in caught.value.why
    return caught.value


FetcherFor = Callable[..., Fetcher]


@pytest.fixture
async def fetcher_for() -> AsyncIterator[FetcherFor]:
    """Make fetchers that are closed when the test ends, however it ends."""
    made: list[Fetcher] = []

    def make(*arguments: Any, **more: Any) -> Fetcher:
        made.append(Fetcher(*(arguments or (NoSecrets(),)), **more))
        return made[-1]

    yield make
    for fetcher in made:
        await fetcher.aclose()
