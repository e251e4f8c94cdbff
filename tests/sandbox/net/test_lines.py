"""Connections are kept for a while, for their own agent and origin, and never in doubt."""

import pytest
import trio

from sandbox.fault import FaultCode
from sandbox.net.fetcher import Fetcher
from tests.sandbox.net.world import (
    OK,
    FetcherFor,
    NoSecrets,
    answer,
    chunks,
    order_for,
    refused,
    saying,
    serving,
    told,
)


async def test_a_connection_is_used_again_by_its_agent_for_its_origin(
    fetcher_for: FetcherFor,
) -> None:
    async with serving(saying(OK)) as server:
        fetcher = fetcher_for()
        for _ in range(3):
            await fetcher.fetch(order_for(server.url))
        assert server.connections == 1
        await fetcher.fetch(order_for(server.url, agent="writer"))
        assert server.connections == 2
        await fetcher.forget("reader")
        await fetcher.forget("nobody")
        await fetcher.fetch(order_for(server.url))
        assert server.connections == 3


async def test_a_connection_is_not_used_again_once_the_server_closed_it(
    fetcher_for: FetcherFor,
) -> None:
    async with serving(chunks(OK)) as server:
        fetcher = fetcher_for()
        for _ in range(3):
            await fetcher.fetch(order_for(server.url))
            with trio.fail_after(2):
                while server.open:
                    await trio.sleep(0.001)
        assert server.connections == 3


@pytest.mark.parametrize(
    "sent", [answer(b"ok", "Connection: close"), b"HTTP/1.0 200 OK\r\n\r\nok"], ids=["1.1", "1.0"]
)
async def test_a_server_that_wants_to_close_is_not_asked_again(
    sent: bytes, fetcher_for: FetcherFor
) -> None:
    async with serving(chunks(sent)) as server:
        fetcher = fetcher_for()
        for _ in range(2):
            assert (await told(fetcher, order_for(server.url)))["body"] == "ok"
        assert server.connections == 2


async def test_a_server_may_answer_before_it_has_heard_everything(
    fetcher_for: FetcherFor,
) -> None:
    async def answer_at_once(stream: trio.SocketStream) -> None:
        await stream.receive_some(1)
        await stream.send_all(answer(b"too long", "Connection: close", status="413 Too Long"))
        with trio.move_on_after(1):  # else the kernel takes the answer back
            while await stream.receive_some():
                pass

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, answer_at_once, [listener])
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        order = order_for(url, method="POST", body=b"x" * 500_000)
        assert (await told(fetcher_for(), order))["status"] == 413
        nursery.cancel_scope.cancel()


async def test_hints_before_an_answer_are_skipped_but_not_for_ever(
    fetcher_for: FetcherFor,
) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with serving(chunks(hint, hint, OK)) as server:
        assert (await told(fetcher_for(), order_for(server.url)))["body"] == "ok"
    async with serving(chunks(hint * 20 + OK)) as server:
        failure = await refused(fetcher_for(), order_for(server.url))
        assert failure.code is FaultCode.UNKNOWN


async def test_only_so_many_connections_are_kept(fetcher_for: FetcherFor) -> None:
    async with serving(saying(OK)) as server:
        fetcher = fetcher_for()

        async def some() -> None:
            await fetcher.fetch(order_for(server.url))

        async with trio.open_nursery() as nursery:
            for _ in range(12):
                nursery.start_soon(some)
        assert server.connections == 12
        with trio.fail_after(2):
            while server.open > 8:
                await trio.sleep(0.001)
        assert server.open == 8


async def test_bytes_after_an_answer_end_the_connection(fetcher_for: FetcherFor) -> None:
    """Else they would be the answer to the next request."""
    async with serving(saying(OK + answer(b"forged"), OK)) as server:
        fetcher = fetcher_for()
        assert (await told(fetcher, order_for(server.url)))["body"] == "ok"
        assert (await told(fetcher, order_for(server.url)))["body"] == "ok"
        assert server.connections == 2


async def test_connections_are_closed_when_they_rest_and_when_the_node_stops() -> None:
    async with serving(saying(OK)) as server, trio.open_nursery() as nursery:
        fetcher = Fetcher(NoSecrets())
        await nursery.start(fetcher.run)
        await fetcher.fetch(order_for(server.url))
        assert server.open == 1
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True), trio.fail_after(1):
            await fetcher.aclose()  # harmless
            while server.open:
                await trio.sleep(0.001)


async def test_a_line_that_rested_too_long_is_closed(
    monkeypatch: pytest.MonkeyPatch, fetcher_for: FetcherFor
) -> None:
    monkeypatch.setattr("sandbox.net.lines.KEPT_S", 0.02)
    monkeypatch.setattr("sandbox.net.fetcher.KEPT_S", 0.02)
    async with serving(saying(OK)) as server, trio.open_nursery() as nursery:
        fetcher = fetcher_for()
        await nursery.start(fetcher.run)
        await fetcher.fetch(order_for(server.url))
        with trio.fail_after(1):
            while server.open:
                await trio.sleep(0.005)
        await fetcher.fetch(order_for(server.url))
        assert server.connections == 2
        nursery.cancel_scope.cancel()
