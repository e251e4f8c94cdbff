"""A client for one configured service reaches that service, and knows what has left."""

import gzip

import httpx
import pytest
import trio

from sandbox.errors import MalformedEndpoint
from sandbox.net.errand import errand
from sandbox.net.operator import operator_client
from tests.sandbox.net.world import OK, answer, chunks, names, saying, serving, silent


async def test_it_reaches_what_was_configured_and_below() -> None:
    async with serving(saying(answer(b'{"a": 1}', "X-A: b"))) as server:
        url = f"{server.url}/v1"
        async with operator_client(url, headers={"Authorization": "Bearer x"}) as client:
            got = await client.post(f"{url}/chat?q=1", json={"b": 2})
            assert (got.status_code, got.json(), got.headers["x-a"]) == (200, {"a": 1}, "b")
            assert server.lines[0] == "POST /v1/chat?q=1 HTTP/1.1"
            assert server.headers["accept-encoding"] == "identity"
            assert server.headers["authorization"] == "Bearer x"
            assert server.requests[0].endswith(b'{"b":2}')
            await client.get(url)
            assert server.connections == 1


async def test_it_reaches_nothing_else() -> None:
    async with serving(saying(OK)) as server, serving(saying(OK)) as other:
        async with operator_client(f"{server.url}/v1") as client:
            for url in (
                f"{server.url}/v2",
                f"{server.url}/v1/%2e%2e/v2",
                f"{other.url}/v1",
                f"http://127.1:{server.port}/v1",
                f"http://user@127.0.0.1:{server.port}/v1",
                "https://example.com/v1",
            ):
                with pytest.raises(httpx.ConnectError):
                    await client.get(url)
            with pytest.raises(httpx.ConnectError):
                await client.request("TRACE", f"{server.url}/v1")
        assert server.requests == other.requests == []


async def test_redirects_and_proxies_are_not_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(saying(OK)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        moved = answer(b"", "Location: /v1/there", status="302 Found")
        async with serving(saying(moved)) as server, operator_client(f"{server.url}/v1") as client:
            assert (await client.get(f"{server.url}/v1")).status_code == 302
            assert len(server.requests) == 1
        assert proxy.connections == 0


async def test_answers_are_neither_compressed_nor_endless() -> None:
    packed = answer(gzip.compress(b"x"), "Content-Encoding: gzip")
    async with serving(saying(packed)) as server, operator_client(server.url) as client:
        with pytest.raises(httpx.ReadError, match="compressed"):
            await client.get(server.url)
    async with serving(saying(answer(b"x" * 200_000))) as server:
        async with operator_client(server.url, answer_bytes_max=100_000) as client:
            with pytest.raises(httpx.ReadError, match="over 100000 bytes"):
                await client.get(server.url)
    async with serving(chunks(b"SSH-2.0\r\n\r\n")) as server, operator_client(server.url) as client:
        with pytest.raises(httpx.ReadError, match="no HTTP answer"):
            await client.get(server.url)
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"
    async with serving(chunks(half)) as server, operator_client(server.url) as client:
        with pytest.raises(httpx.ReadError, match="broke off"):
            await client.get(server.url)


async def test_a_switch_stops_it_before_the_first_byte() -> None:
    async with serving(saying(OK)) as server:
        async with operator_client(server.url, still_allowed=lambda: "kill_switch") as client:
            with pytest.raises(httpx.ConnectError, match="kill_switch"):
                await client.get(server.url)
        async with operator_client(server.url) as client:
            with errand(lambda: "kill_switch") as run:
                with pytest.raises(httpx.ConnectError, match="kill_switch"):
                    await client.get(server.url)
                assert not run.has_left
        assert server.requests == []


async def test_a_switch_stops_it_between_chunks() -> None:
    asked = 0

    def still_allowed() -> str | None:
        nonlocal asked
        asked += 1
        return "kill_switch" if asked > 3 else None

    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf."
    async with serving(saying(half)) as server:
        async with operator_client(server.url, still_allowed=still_allowed) as client:
            with pytest.raises(httpx.ReadError, match="kill_switch"):
                await client.get(server.url)


async def test_whoever_waits_knows_whether_it_was_heard() -> None:
    async with serving(silent) as server:
        url = server.url
        async with operator_client(url, timeout_s=0.05) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get(url)
    async with operator_client(url) as client:
        with pytest.raises(httpx.ConnectError, match="connection refused"):
            await client.get(url)

    async def never(host: str) -> list[str]:
        await trio.sleep_forever()
        return []

    slow = "http://slow.example"
    async with operator_client(slow, timeout_s=0.05, lookup=never) as client:
        with pytest.raises(httpx.ConnectTimeout):
            await client.get(slow)


async def test_a_stream_may_be_left_early() -> None:
    async with (
        serving(saying(answer(b"x" * 100_000))) as server,
        operator_client(server.url) as client,
    ):
        async with client.stream("GET", server.url) as got:
            assert got.status_code == 200
        with trio.fail_after(1):
            while server.open:
                await trio.sleep(0.001)


async def test_a_name_may_lead_to_a_private_address() -> None:
    async with serving(saying(OK)) as server:
        url = f"http://models.internal:{server.port}"
        lookup = names({"models.internal": ["127.0.0.1"]})
        async with operator_client(url, lookup=lookup) as client:
            assert (await client.get(url)).text == "ok"


@pytest.mark.parametrize(
    "url", ["", "example.com", "https://*.example.com", "GET https://a", "ws://a"]
)
def test_what_is_no_place_has_no_client(url: str) -> None:
    with pytest.raises(MalformedEndpoint):
        operator_client(url)
