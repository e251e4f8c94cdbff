"""One connection, against a stream that breaks at the worst moment."""

import httpcore
import pytest
import trio

from sandbox.net.line import Line
from sandbox.net.stream import GuardedStream
from tests.sandbox.net.world import OK

HOST = [(b"Host", b"a.example")]


class Broken(GuardedStream):
    """Takes nothing, and has something to say."""

    def __init__(self, *said: bytes) -> None:
        self.said = list(said)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await trio.lowlevel.checkpoint()
        raise httpcore.WriteError("broken pipe")

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.said.pop(0) if self.said else b""

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_what_a_server_said_before_it_closed_is_heard() -> None:
    line = Line(Broken(OK))
    status, _ = await line.ask("POST", "/", [*HOST, (b"Content-Length", b"1")], b"x")
    parts: list[bytes] = []
    await line.read(parts.append)
    assert (status, parts) == (200, [b"ok"])


async def test_a_server_that_said_nothing_is_an_error() -> None:
    for said in ((), (b"",), (b"HTTP/1.1 200",)):
        with pytest.raises(httpcore.RemoteProtocolError):
            await Line(Broken(*said)).ask("GET", "/", HOST, b"")


async def test_a_head_without_end_is_an_error() -> None:
    parts = [b"HTTP/1.1 200 OK\r\nX: ", *([b"y" * 30_000] * 10)]
    with pytest.raises(httpcore.RemoteProtocolError):
        await Line(Broken(*parts)).ask("GET", "/", HOST, b"")


async def test_what_cannot_be_framed_is_not_sent() -> None:
    """Nothing from a guest comes this far; if it did, this is the last line."""
    for method, target, headers in (
        ("GET\r\n", "/", HOST),
        ("GET", "/\r\nX: y", HOST),
        ("GET", "/", [*HOST, (b"X", b"a\r\nb")]),
        ("GET", "/", []),
    ):
        with pytest.raises(httpcore.LocalProtocolError):
            await Line(Broken(OK)).ask(method, target, headers, b"")


async def test_half_an_answer_is_no_rest() -> None:
    line = Line(Broken(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"))
    await line.ask("GET", "/", HOST, b"")
    assert not line.rest()
