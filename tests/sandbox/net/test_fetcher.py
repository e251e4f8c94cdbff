"""What is sent, what is told, and what happens when either goes wrong."""

import gzip
import json
import zlib
from typing import Any

import pytest
import trio

from sandbox.challenge import Challenge
from sandbox.endpoint import Url
from sandbox.errors import AuditUnavailable, PortRefused
from sandbox.fault import FaultCode
from sandbox.net.fetcher import BODY_BYTES_MAX
from sandbox.secrets import Injection
from tests.sandbox.net.world import (
    OK,
    FetcherFor,
    NoSecrets,
    OneSecret,
    answer,
    chunks,
    hang_up,
    names,
    order_for,
    refused,
    saying,
    serving,
    silent,
    told,
)

TOKEN = "s3cr3t-token-of-the-owner"


async def test_a_get_is_sent_and_its_answer_told(fetcher_for: FetcherFor) -> None:
    async with serving(saying(answer(b"hello", "Content-Type: text/plain", "X-A: 1"))) as server:
        fetcher = fetcher_for()
        assert await told(fetcher, order_for(f"{server.url}/a%20b?q=1")) == {
            "status": 200,
            "headers": {"content-type": "text/plain", "x-a": "1"},
            "body": "hello",
            "url": f"{server.url}/a%20b?q=1",
        }
        assert server.lines == [
            "GET /a%20b?q=1 HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            "Accept-Encoding: identity",
            "User-Agent: akshi-mesh",
            "Accept: */*",
        ]


async def test_a_body_has_the_length_that_it_has(fetcher_for: FetcherFor) -> None:
    async with serving(saying(OK)) as server:
        fetcher = fetcher_for()
        headers = {"Content-Type": "text/plain", "user-agent": "me", "Accept": "a/b"}
        await fetcher.fetch(order_for(server.url, method="POST", headers=headers, body=b"x\r\n"))
        assert server.requests[0].endswith(b"\r\n\r\nx\r\n")
        assert server.lines[1:] == [
            f"Host: 127.0.0.1:{server.port}",
            "Accept-Encoding: identity",
            "Content-Length: 3",
            "Content-Type: text/plain",
            "user-agent: me",
            "Accept: a/b",
        ]
        await fetcher.fetch(order_for(server.url, method="PUT"))
        assert server.headers["content-length"] == "0"
        await fetcher.fetch(order_for(server.url, method="DELETE"))
        assert "content-length" not in server.headers


async def test_head_and_204_have_no_body(fetcher_for: FetcherFor) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Encoding: gzip\r\n\r\n"
    async with serving(saying(head, b"HTTP/1.1 204 No Content\r\n\r\n")) as server:
        fetcher = fetcher_for()
        assert (await told(fetcher, order_for(server.url, method="HEAD")))["body"] == ""
        assert (await told(fetcher, order_for(server.url)))["status"] == 204


async def test_a_chunked_answer_is_put_together(fetcher_for: FetcherFor) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(chunks(head, b"2\r\nhe\r\n", b"3\r\nllo\r\n", b"0\r\n\r\n")) as server:
        fetcher = fetcher_for()
        assert (await told(fetcher, order_for(server.url)))["body"] == "hello"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"hello")),
        ("X-GZIP", gzip.compress(b"hello")),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", zlib.compress(b"hello")[2:-4]),
        ("identity", b"hello"),
    ],
)
async def test_a_server_may_compress_unasked(
    encoding: str, body: bytes, fetcher_for: FetcherFor
) -> None:
    async with serving(saying(answer(body, f"Content-Encoding: {encoding}"))) as server:
        fetcher = fetcher_for()
        answered = await told(fetcher, order_for(server.url))
        assert (answered["body"], answered["headers"]) == ("hello", {})


@pytest.mark.parametrize(
    ("why", "sent"),
    [
        ("over 1048576 bytes", answer(b"x" * (BODY_BYTES_MAX + 1))),
        ("over 1048576 bytes", answer(gzip.compress(bytes(9 << 20)), "Content-Encoding: gzip")),
        ("as JSON", answer(b"\x01" * (BODY_BYTES_MAX // 2))),
        ("nobody asked for", answer(b"x", "Content-Encoding: br")),
        ("nobody asked for", answer(b"x", "Content-Encoding: gzip, gzip")),
        ("not what gzip gives", answer(b"xxxxxxxxxxxxxxxxxxxxx", "Content-Encoding: gzip")),
        ("cut off", answer(gzip.compress(b"x")[:-1], "Content-Encoding: gzip")),
        ("longer than", answer(gzip.compress(b"x") + b"y", "Content-Encoding: gzip")),
        ("no HTTP answer", b"SSH-2.0-OpenSSH\r\n\r\n"),
        ("no HTTP answer", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        ("no HTTP answer", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000),
        ("no HTTP answer", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
        ("no HTTP answer", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"),
    ],
)
async def test_an_answer_that_cannot_be_told_is_unknown(
    why: str, sent: bytes, fetcher_for: FetcherFor
) -> None:
    """It was asked and may have acted; nobody asks it twice."""
    async with serving(chunks(sent)) as server:
        fetcher = fetcher_for()
        failure = await refused(fetcher, order_for(server.url))
        assert failure.code is FaultCode.UNKNOWN
        assert why in failure.why
        with trio.fail_after(2):
            while server.open:
                await trio.sleep(0.001)


async def test_a_server_that_hangs_up_leaves_the_outcome_unknown(fetcher_for: FetcherFor) -> None:
    async with serving(hang_up) as server:
        failure = await refused(fetcher_for(), order_for(server.url))
        assert failure.code is FaultCode.UNKNOWN
        assert len(server.requests) == 1


async def test_nothing_listens(fetcher_for: FetcherFor) -> None:
    async with serving(silent) as server:
        url = server.url
    failure = await refused(fetcher_for(), order_for(url))
    assert failure.code is FaultCode.UNAVAILABLE
    assert "connection refused" in failure.why


async def test_a_name_that_is_nobodys(fetcher_for: FetcherFor) -> None:
    fetcher = fetcher_for(NoSecrets(), lookup=names({"empty.example": []}))
    for host in ("nobody.example", "empty.example"):
        failure = await refused(fetcher, order_for(f"http://{host}/"))
        assert failure.code is FaultCode.UNAVAILABLE
        assert host in failure.why


async def test_the_second_address_is_tried_when_the_first_refuses(fetcher_for: FetcherFor) -> None:
    async with serving(saying(OK)) as server:
        lookup = names({"two.example": ["127.0.0.2", "127.0.0.1"]})
        fetcher = fetcher_for(NoSecrets(), lookup=lookup)
        await fetcher.fetch(order_for(f"http://two.example:{server.port}/"))
        assert server.headers["host"] == f"two.example:{server.port}"


async def test_a_deadline_counts_for_all_of_it(fetcher_for: FetcherFor) -> None:
    async with serving(silent) as server:
        failure = await refused(fetcher_for(), order_for(server.url, timeout_s=0.05))
        assert failure.code is FaultCode.UNKNOWN
        assert "within 0.05 s" in failure.why

    async def never(host: str) -> list[str]:
        await trio.sleep_forever()
        return []

    fetcher = fetcher_for(NoSecrets(), lookup=never)
    failure = await refused(fetcher, order_for("https://slow.example/", timeout_s=0.05))
    assert failure.code is FaultCode.UNAVAILABLE


async def test_cancelling_closes_the_connection_at_once(fetcher_for: FetcherFor) -> None:
    async with serving(silent) as server:
        fetcher = fetcher_for()
        with trio.move_on_after(0.05) as scope:
            await fetcher.fetch(order_for(server.url))
        assert scope.cancelled_caught
        with trio.fail_after(1):
            while server.open:
                await trio.sleep(0.001)


async def test_nothing_leaves_once_somebody_pulled_the_switch(fetcher_for: FetcherFor) -> None:
    async with serving(saying(OK)) as server:
        order = order_for(server.url, still_allowed=lambda: "kill_switch")
        failure = await refused(fetcher_for(), order)
        assert (failure.code, failure.why) == (FaultCode.CANCELLED, "stopped: kill_switch")
        assert server.requests == []


async def test_the_switch_is_looked_at_between_chunks(fetcher_for: FetcherFor) -> None:
    """Asked before the request, before the first chunk and before the second."""
    asked = 0

    def still_allowed() -> str | None:
        nonlocal asked
        asked += 1
        return "kill_switch" if asked > 2 else None

    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf."
    async with serving(saying(half)) as server:
        failure = await refused(fetcher_for(), order_for(server.url, still_allowed=still_allowed))
        assert failure.code is FaultCode.UNKNOWN
        assert "kill_switch" in failure.why
        assert asked == 3


async def test_a_request_in_no_rule_is_not_sent(fetcher_for: FetcherFor) -> None:
    async with serving(saying(OK)) as server:
        for rule in ("https://127.0.0.1", f"private POST {server.url}", f"private {server.url}/a"):
            failure = await refused(fetcher_for(), order_for(server.url, rule))
            assert failure.code is FaultCode.NOT_ALLOWED
        assert server.connections == 0


async def test_secrets_are_put_in_and_do_not_come_back(fetcher_for: FetcherFor) -> None:
    async def echo(stream: trio.abc.Stream, request: bytes) -> bool:
        await stream.send_all(answer(request, f"X-Echo: {TOKEN}"))
        return True

    async with serving(echo) as server:
        secrets = OneSecret(TOKEN, server.url, holder="reader")
        fetcher = fetcher_for(secrets)
        answered = await told(fetcher, order_for(server.url))
        assert server.headers["authorization"] == f"Bearer {TOKEN}"
        assert TOKEN not in str(answered)
        assert "Bearer [redacted]" in answered["body"]
        assert answered["headers"]["x-echo"] == "[redacted]"
        assert secrets.redactors[0].hits == {"token": 2}


async def test_a_secret_replaces_what_the_guest_wrote_in_its_place(fetcher_for: FetcherFor) -> None:
    async with serving(saying(OK)) as server:
        fetcher = fetcher_for(OneSecret(TOKEN, server.url, "X-Api-Key", holder="reader"))
        await fetcher.fetch(order_for(server.url, headers={"x-api-key": "mine"}))
        assert [line for line in server.lines if "api-key" in line.lower()] == [
            f"X-Api-Key: Bearer {TOKEN}"
        ]


async def test_a_request_that_holds_a_secret_is_not_sent(fetcher_for: FetcherFor) -> None:
    async with serving(saying(OK)) as server:
        fetcher = fetcher_for(OneSecret(TOKEN, server.url, holder="reader"))
        for order in (
            order_for(f"{server.url}/{TOKEN}"),
            order_for(server.url, headers={"X": f"a{TOKEN}"}),
            order_for(server.url, method="POST", body=f"a{TOKEN}".encode()),
        ):
            failure = await refused(fetcher, order)
            assert failure.code is FaultCode.NOT_ALLOWED
            assert "token" in failure.why
            assert TOKEN not in failure.why
        assert server.connections == 0


async def test_a_redirect_to_a_place_that_holds_a_secret_is_not_followed(
    fetcher_for: FetcherFor,
) -> None:
    moved = answer(b"", f"Location: /{TOKEN}", status="302 Found")
    async with serving(saying(moved, OK)) as server:
        fetcher = fetcher_for(OneSecret(TOKEN, server.url, holder="reader"))
        order = order_for(
            server.url, f"private redirects {server.url}", hop=lambda url, method: None
        )
        failure = await refused(fetcher, order)
        assert failure.why.endswith("a redirect to a place that holds a secret")
        assert len(server.requests) == 1


class Failing(NoSecrets):
    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def injections(self, *_: object) -> Any:
        raise self.failure


async def test_nothing_leaves_without_the_secret_that_belongs_in(fetcher_for: FetcherFor) -> None:
    async with serving(saying(OK)) as server:
        gone = PortRefused(FaultCode.NOT_ALLOWED, "the grant is revoked")
        with pytest.raises(PortRefused) as caught:
            await fetcher_for(Failing(gone)).fetch(order_for(server.url))
        assert caught.value is gone
        failure = await refused(
            fetcher_for(Failing(AuditUnavailable(why="disk full"))), order_for(server.url)
        )
        assert failure.code is FaultCode.UNAVAILABLE
        assert server.requests == []


class Purse:
    """Payments of the agent `reader` to one origin."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, Challenge]] = []

    def challenged(self, agent: str, origin: str, challenge: Challenge) -> str:
        self.kept.append((agent, origin, challenge))
        return "challenge-1"

    def proof(self, agent: str, payment: str, origin: str) -> tuple[str, str]:
        if payment != "paid-1":
            raise PortRefused(FaultCode.INVALID, "no such payment")
        return "X-PAYMENT", "proof"


X402 = json.dumps(
    {
        "x402Version": 1,
        "accepts": [
            {
                "scheme": "exact",
                "network": "base",
                "maxAmountRequired": "10000",
                "asset": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
                "payTo": "0xabc",
            }
        ],
    }
).encode()


async def test_a_challenge_to_pay_is_told_and_a_payment_shown(fetcher_for: FetcherFor) -> None:
    async with serving(saying(answer(X402, status="402 Payment Required"), OK)) as server:
        purse = Purse()
        fetcher = fetcher_for(NoSecrets(), payments=purse)
        answered = await told(fetcher, order_for(server.url))
        assert answered["payment_required"] == {
            "challenge": "challenge-1",
            "amount_micros": 10_000,
            "currency": "USDC",
            "rail": "x402",
            "payee": "0xabc",
        }
        assert [kept[:2] for kept in purse.kept] == [("reader", server.url)]
        await fetcher.fetch(order_for(server.url, payment="paid-1"))
        assert server.headers["x-payment"] == "proof"
        with pytest.raises(PortRefused):
            await fetcher.fetch(order_for(server.url, payment="other"))
        assert len(server.requests) == 2


async def test_a_node_that_cannot_pay_says_so(fetcher_for: FetcherFor) -> None:
    async with serving(saying(answer(X402, status="402 Payment Required"))) as server:
        fetcher = fetcher_for()
        assert "payment_required" not in await told(fetcher, order_for(server.url))
        failure = await refused(fetcher, order_for(server.url, payment="paid-1"))
        assert failure.code is FaultCode.INVALID


async def test_a_redirect_is_followed_only_if_the_policy_is_asked(fetcher_for: FetcherFor) -> None:
    moved = answer(b"", "Location: /b", status="302 Found")
    async with serving(saying(moved, OK)) as server:
        order = order_for(server.url, f"private redirects {server.url}")
        assert (await told(fetcher_for(), order))["status"] == 302
    async with serving(saying(moved, OK)) as server:
        rule = f"private redirects {server.url}"
        order = order_for(server.url, rule, hop=lambda url, method: f"{method} {url.path}: no")
        failure = await refused(fetcher_for(), order)
        assert "GET /b: no" in failure.why
        assert len(server.requests) == 1
    async with serving(saying(moved, OK)) as server:
        rule = f"private redirects {server.url}"
        order = order_for(server.url, rule, hop=lambda url, method: None)
        assert (await told(fetcher_for(), order))["url"] == f"{server.url}/b"
    async with serving(saying(answer(b"", status="302 Found"))) as server:
        rule = f"private redirects {server.url}"
        order = order_for(server.url, rule, hop=lambda url, method: None)
        assert (await told(fetcher_for(), order))["status"] == 302


class Rotating(OneSecret):
    """Its owner rotates it while the request is on its way."""

    def injections(self, agent: str, url: Url, method: str) -> tuple[Injection, ...]:
        self.value = f"new-{self.value}"
        return super().injections(agent, url, method)


async def test_a_secret_that_was_rotated_meanwhile_is_found(fetcher_for: FetcherFor) -> None:
    async with serving(saying(answer(b"new-s3cr3t-token-of-the-owner"))) as server:
        fetcher = fetcher_for(Rotating(TOKEN, server.url))
        assert (await told(fetcher, order_for(server.url)))["body"] == "[redacted]"
