"""A credential goes where its owner bound it, and never into a guest, however it comes back.

A loopback server plays the honest service that echoes what it was sent, and the dishonest one
that tries to have it carried elsewhere. The broker, its box and the client are the real ones.
"""

import base64
import gzip
import html
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trio

from identity import cbor
from sandbox.challenge import Challenge
from sandbox.errors import ActFailed, PortRefused
from sandbox.fault import FaultCode
from sandbox.net.fetcher import Fetcher
from tests.akshi_mesh.secrets.world import OTHER, World, new_home
from tests.sandbox.net.world import Server, Talk, answer, order_for, serving

SECRET = "sk-planted/4f+9Kq7Zx=Q1w2e3r4T5"
WORDS = SECRET.encode()
Told = Callable[[bytes], bytes]


class Case:
    """A node with one secret for one server, and what its agent is told."""

    def __init__(self, world: World, server: Server, *, payments: Any = None) -> None:
        self.world = world
        self.server = server
        self.fetcher = Fetcher(world.broker, payments=payments)

    async def fetch(self, path: str = "/", **more: Any) -> str:
        """The answer as the guest gets it, byte for byte."""
        return await self.fetcher.fetch(order_for(f"{self.server.url}{path}", **more))

    async def refused(self, path: str = "/", **more: Any) -> PortRefused:
        with pytest.raises(PortRefused) as refused:
            await self.fetch(path, **more)
        assert_clean(refused.value.why)
        return refused.value


def assert_clean(told: str) -> None:
    """No spelling of the secret that is promised is in `told`, also not in what JSON hides."""
    views = [told]
    with suppress(ValueError):
        views.append(str(json.loads(told)))
    pieces = [SECRET, SECRET[4:-4], quote(SECRET, safe=""), WORDS.hex(), WORDS.hex().upper()]
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + WORDS).decode()[4:-4]
        pieces += [encoded, encoded.replace("+", "-").replace("/", "_")]
    assert not [piece for piece in pieces for view in views if piece in view]


def echoing(told: Told) -> Talk:
    """Answer with `told` of the credential that came."""

    async def talk(stream: trio.abc.Stream, request: bytes) -> bool:
        for line in request.split(b"\r\n"):
            name, _, value = line.partition(b": ")
            if name.lower() == b"authorization":
                await stream.send_all(told(value.removeprefix(b"Bearer ")))
                return True
        await stream.send_all(answer(b"no credential came"))
        return True

    return talk


@asynccontextmanager
async def case_of(world: World, told: Told, **more: Any) -> AsyncIterator[Case]:
    async with serving(echoing(told)) as server:
        world.set("token", SECRET, endpoint=server.url, agent="reader")
        case = Case(world, server, **more)
        yield case
        await case.fetcher.aclose()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(new_home(tmp_path))


def chunked(value: bytes) -> bytes:
    body = b"".join(b"7\r\n%s\r\n" % value[at : at + 7] for at in range(0, 28, 7))
    rest = value[28:]
    body += b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


ECHOES: dict[str, Told] = {
    "raw": lambda value: answer(b"you are " + value + b"!"),
    "base64": lambda value: answer(base64.b64encode(value)),
    "base64 one in": lambda value: answer(base64.b64encode(b"a" + value + b"yz")),
    "base64 two in": lambda value: answer(base64.b64encode(b"ab" + value + b"z")),
    "base64 of the header": lambda value: answer(base64.b64encode(b"Bearer " + value + b"\r\n")),
    "base64 for urls": lambda value: answer(base64.urlsafe_b64encode(value).rstrip(b"=")),
    "percent": lambda value: answer(quote(value.decode(), safe="").encode()),
    "percent whole": lambda value: answer(b"".join(b"%%%02x" % byte for byte in value)),
    "hex": lambda value: answer(value.hex().encode()),
    "hex upper": lambda value: answer(value.hex().upper().encode()),
    "json": lambda value: answer(json.dumps({"you": value.decode()}).encode()),
    "json of php": lambda value: answer(json.dumps(value.decode()).replace("/", "\\/").encode()),
    "json of .net": lambda value: answer(value.replace(b"+", b"\\u002B")),
    "json whole": lambda value: answer(b"".join(b"\\u%04x" % byte for byte in value)),
    "html": lambda value: answer(html.escape(f"<p>{value.decode()}</p>").encode()),
    "split over chunks": chunked,
    "far into the answer": lambda value: answer(b"." * 16_370 + value + b"." * 99),
    "gzip": lambda value: answer(gzip.compress(value * 2), "Content-Encoding: gzip"),
    "a header": lambda value: answer(b"", f"X-Seen: {value.decode()}", f"X-Hex: {value.hex()}"),
    "the name of a header": lambda value: answer(b"", f"X-{value.hex()}: 1"),
    "an error page": lambda value: answer(b"bad token " + value, status="500 Oh"),
    "a redirect that is told": lambda value: answer(
        b"", f"Location: https://evil.example/?{quote(value.decode())}", status="302 Found"
    ),
}


@pytest.mark.parametrize("how", ECHOES)
async def test_an_echo_is_blotted_out_and_recorded(world: World, how: str) -> None:
    async with case_of(world, ECHOES[how]) as case:
        got = await case.fetch()
        assert case.server.headers["authorization"] == f"Bearer {SECRET}"
        assert_clean(got)
        assert "[redacted]" in got
        assert ("redacted", "token", "reader", 1) in world.diary.told()


async def test_an_echo_in_the_status_reason_is_not_told(world: World) -> None:
    async with case_of(world, lambda v: answer(b"", status=f"401 no {v.decode()}")) as case:
        got = await case.fetch()
        assert_clean(got)
        assert json.loads(got)["status"] == 401


@pytest.mark.parametrize(
    "told",
    [
        lambda value: b"HTTP/9.9 " + value + b"\r\n\r\n",
        lambda value: value + b"\r\n\r\n",
        lambda value: answer(b"x" + value, "Transfer-Encoding: " + value.decode()),
        lambda value: answer(value, "Content-Encoding: gzip"),
        lambda value: answer(value, "Content-Encoding: " + value.decode()),
        lambda value: b"HTTP/1.1 200 OK\r\nContent-Length: " + value + b"\r\n\r\n",
        lambda value: b"HTTP/1.1 200 OK\r\n" + value + b" : 1\r\n\r\n",
        lambda value: b"HTTP/1.1 101 " + value + b"\r\n\r\n",
    ],
)
async def test_an_echo_that_breaks_the_protocol_is_in_no_error(world: World, told: Told) -> None:
    async with case_of(world, told) as case:
        await case.refused()


async def test_a_redirect_does_not_carry_an_echo_to_another_server(world: World) -> None:
    """The service has the secret anyhow; no other host gets it by our hand."""
    async with serving(echoing(lambda value: answer(b"caught " + value))) as elsewhere:
        place = f"Location: {elsewhere.url}/?got="
        async with case_of(
            world, lambda value: answer(b"", place + quote(value.decode()), status="307 Go")
        ) as case:
            rules = (f"private redirects {case.server.url}", f"private redirects {elsewhere.url}")
            for hop in (lambda url, method: None, lambda url, method: f"not to {url}"):
                order = order_for(f"{case.server.url}/", *rules, hop=hop)
                with pytest.raises(ActFailed) as refused:
                    await case.fetcher.fetch(order)
                assert_clean(refused.value.why)
        assert elsewhere.requests == []


async def test_a_followed_redirect_carries_no_credential_to_another_origin(world: World) -> None:
    async with serving(echoing(lambda value: answer(b"caught " + value))) as elsewhere:
        place = f"Location: {elsewhere.url}/"
        async with case_of(world, lambda value: answer(b"", place, status="307 Go")) as case:
            rules = (f"private redirects {case.server.url}", f"private redirects {elsewhere.url}")
            order = order_for(f"{case.server.url}/", *rules, hop=lambda url, method: None)
            assert json.loads(await case.fetcher.fetch(order))["body"] == "no credential came"
            assert "authorization" not in elsewhere.headers


class Purse:
    """Takes every challenge, pays none."""

    def challenged(self, agent: str, origin: str, challenge: Challenge) -> str:
        return "challenge-1"

    def proof(self, agent: str, payment: str, origin: str) -> tuple[str, str]:
        raise AssertionError("nothing is paid")


async def test_an_echo_as_who_wants_to_be_paid_is_blotted_out(world: World) -> None:
    def told(value: bytes) -> bytes:
        wish = {"scheme": "exact", "network": "base", "maxAmountRequired": "10000"}
        usdc = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
        asked = [{**wish, "asset": usdc, "payTo": value.hex()}]
        body = json.dumps({"x402Version": 1, "accepts": asked}).encode()
        return answer(body, status="402 Payment Required")

    async with case_of(world, told, payments=Purse()) as case:
        got = await case.fetch()
        assert_clean(got)
        assert json.loads(got)["payment_required"]["payee"] == "[redacted]"


async def test_the_last_value_is_blotted_out_for_a_day_after_it_was_rotated(world: World) -> None:
    """A service that mixes its users up, or answers late, still does not show the old one."""
    async with case_of(world, lambda value: answer(b"was " + WORDS + b" is " + value)) as case:
        world.desk.rotate("token", OTHER)
        assert json.loads(await case.fetch())["body"] == "was [redacted] is [redacted]"
        world.now_ms += 24 * 3_600_000 - 1
        assert "was [redacted] is" in await case.fetch()


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (f"/?q={quote(SECRET, safe='')}", {}),
        (f"/{WORDS.hex()}", {}),
        ("/?q=" + "".join(f"%{b:02x}" if n % 2 else chr(b) for n, b in enumerate(WORDS)), {}),
        ("/", {"headers": {"X-Note": f"it is {SECRET}"}}),
        ("/", {"headers": {"X-Note": base64.b64encode(b"x" + WORDS).decode()}}),
        ("/", {"method": "POST", "body": b"it=" + WORDS}),
        ("/", {"method": "POST", "body": base64.b64encode(b"xy" + WORDS + b"z")}),
        ("/", {"method": "POST", "body": json.dumps(SECRET).replace("/", "\\/").encode()}),
    ],
    ids=range(8),
)
async def test_a_request_that_holds_a_secret_does_not_leave(
    world: World, path: str, more: dict[str, Any]
) -> None:
    async with case_of(world, answer) as case:
        assert (await case.refused(path, **more)).code is FaultCode.NOT_ALLOWED
        assert case.server.requests == []
        assert ("leak", "token", "reader", 1) in world.diary.told()


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
async def test_a_guest_does_not_choose_what_the_header_says(world: World, name: str) -> None:
    async with case_of(world, lambda value: answer(b"ok")) as case:
        await case.fetch(headers={name: "Bearer mine"})
        lines = [line for line in case.server.lines if line.lower().startswith("authorization")]
        assert lines == [f"Authorization: Bearer {SECRET}"]


@pytest.mark.parametrize(
    ("endpoint", "changed"),
    [
        ("http://127.0.0.1:{port}/v1", {"methods": ("POST",)}),
        ("http://127.0.0.1:{port}/v1", {"agent": "writer"}),
        ("http://127.0.0.1:1/v1", {}),
        ("http://localhost:{port}/v1", {}),
        ("https://127.0.0.1:{port}/v1", {}),
        ("http://127.0.0.1:{port}/v2", {}),
        ("http://127.0.0.1:{port}/v", {}),
        ("http://127.0.0.1:{port}/v1/y/z", {}),
        ("http://127.0.0.1:{port}/V1", {}),
    ],
    ids=["method", "agent", "port", "host", "scheme", "path", "half", "longer", "case"],
)
async def test_another_request_carries_nothing(
    world: World, endpoint: str, changed: dict[str, Any]
) -> None:
    async with serving(echoing(lambda value: answer(b"caught " + value))) as server:
        options = {"methods": ("GET",), "agent": "reader", **changed}
        world.set("token", SECRET, endpoint=endpoint.format(port=server.port), **options)
        case = Case(world, server)
        assert json.loads(await case.fetch("/v1/y"))["body"] == "no credential came"
        await case.fetcher.aclose()
        assert "used" not in {code for code, *_ in world.diary.told()}


async def test_plain_http_carries_a_secret_only_where_its_owner_wrote_http(world: World) -> None:
    async with serving(echoing(lambda value: answer(b"ok"))) as server:
        case = Case(world, server)
        world.set("token", SECRET, endpoint=f"127.0.0.1:{server.port}/v1")
        assert "no credential" in await case.fetch("/v1")
        world.set("token", SECRET, endpoint=f"http://127.0.0.1:{server.port}/v1")
        assert "no credential" not in await case.fetch("/v1")
        await case.fetcher.aclose()


async def test_a_revoked_grant_ends_at_the_next_call(world: World) -> None:
    async with case_of(world, lambda value: answer(b"ok")) as case:
        await case.fetch()
        world.desk.revoke("token", agent="reader", endpoint=None)
        assert (await case.refused()).code is FaultCode.NOT_ALLOWED
        assert len(case.server.requests) == 1
        world.desk.restore("token", agent="reader", endpoint=None)
        await case.fetch()
        assert len(case.server.requests) == 2


def test_entries_of_the_box_that_were_swapped_or_readdressed_open_nothing(world: World) -> None:
    """Whoever can write the file cannot send the bank's token to the weather service."""
    world.set("bank", SECRET, endpoint="https://bank.example")
    world.set("weather", OTHER, endpoint="https://weather.example")
    path = world.home.security / "secrets.box"
    swapped: Any = cbor.loads(path.read_bytes())
    readdressed: Any = cbor.loads(path.read_bytes())
    rows = swapped[4]
    rows[0][3], rows[1][3] = rows[1][3], rows[0][3]
    readdressed[4][0][1][0][2] = "evil.example"
    for fields in (swapped, readdressed):
        path.write_bytes(cbor.dumps(fields))
        with pytest.raises(Exception, match="changed or moved"):
            World(world.home)
