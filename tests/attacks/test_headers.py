"""An agent or a server writes headers that mean more than they say."""

import json

import pytest

from sandbox.fault import FaultCode
from tests.attacks.web import AgentFor
from tests.sandbox.net.world import OK, OneSecret, answer, chunks, saying, serving

TOKEN = "s3cr3t-token-of-the-owner"


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nHost: evil.example",
        "a\nTransfer-Encoding: chunked",
        "a\r\n\r\nGET /admin HTTP/1.1",
        "a\rb",
        "a\0b",
        "a\x0bb",
        "a\x85b",
        "a\u2028b",
        "\r\n a",
        "a\u560d\u560aHost: evil.example",
        "é",
    ],
    ids=ascii,
)
async def test_a_line_break_in_a_value(agent_for: AgentFor, value: str) -> None:
    async with serving(saying(OK)) as server:
        fault = await agent_for(server.rule).refused(server.url, headers={"X-A": value})
        assert fault.code is FaultCode.INVALID
        assert server.connections == 0


@pytest.mark.parametrize("name", ["X\r\nHost", "X: a\r\nHost", "X ", " X", "X:", "", "\0", "X_Y"])
async def test_a_line_break_in_a_name(agent_for: AgentFor, name: str) -> None:
    async with serving(saying(OK)) as server:
        fault = await agent_for(server.rule).refused(server.url, headers={name: "a"})
        assert fault.code is FaultCode.INVALID
        assert server.connections == 0


async def test_a_line_break_in_the_request_line(agent_for: AgentFor) -> None:
    async with serving(saying(OK)) as server:
        agent = agent_for(server.rule)
        for path in ("/ HTTP/1.1\r\nX: y", "/%0d%0aX:%20y", "/a b", "/?a\r\nX: y", "/?a b"):
            fault = await agent.refused(f"{server.url}{path}")
            assert fault.code is FaultCode.INVALID
        assert server.connections == 0
        await agent.fetch(f"{server.url}/?a=%0d%0aX:%20y")
        assert server.lines[0] == "GET /?a=%0d%0aX:%20y HTTP/1.1"


@pytest.mark.parametrize("name", ["Authorization", "AUTHORIZATION", "Cookie", "X-Payment"])
async def test_credentials_of_its_own(agent_for: AgentFor, name: str) -> None:
    async with serving(saying(OK)) as server:
        fault = await agent_for(server.rule).refused(server.url, headers={name: "Basic YTpi"})
        assert fault.code is FaultCode.INVALID
        assert server.connections == 0


@pytest.mark.parametrize(
    "name", ["Host", "hOsT", "X-Forwarded-Host", "X-Forwarded-For", "Forwarded", "X-Original-URL"]
)
async def test_another_place_than_the_url(agent_for: AgentFor, name: str) -> None:
    async with serving(saying(OK)) as server:
        fault = await agent_for(server.rule).refused(server.url, headers={name: "admin.example"})
        assert fault.code is FaultCode.INVALID
        assert server.connections == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Transfer-Encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("Content-Length", "0"),
        ("Connection", "close"),
        ("Connection", "Content-Length"),
        ("Keep-Alive", "1"),
        ("TE", "trailers"),
        ("Trailer", "X"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ("Expect", "100-continue"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic YTpi"),
        ("Content-Encoding", "gzip"),
    ],
)
async def test_framing_of_its_own(agent_for: AgentFor, name: str, value: str) -> None:
    async with serving(saying(OK)) as server:
        agent = agent_for(server.rule)
        more = {"method": "POST", "body": "0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"}
        fault = await agent.refused(server.url, headers={name: value}, **more)
        assert fault.code is FaultCode.INVALID
        assert server.connections == 0


async def test_a_second_request_in_the_body(agent_for: AgentFor) -> None:
    """The length says where a body ends, whatever is in it."""
    smuggled = "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(saying(OK)) as server:
        await agent_for(server.rule).fetch(server.url, method="POST", body=smuggled)
        assert len(server.requests) == 1
        assert server.headers["content-length"] == str(len(smuggled))
        assert "transfer-encoding" not in server.headers


async def test_a_body_where_none_belongs(agent_for: AgentFor) -> None:
    async with serving(saying(OK)) as server:
        for method in ("GET", "HEAD"):
            fault = await agent_for(server.rule).refused(server.url, method=method, body="x")
            assert fault.code is FaultCode.INVALID
        assert server.connections == 0


@pytest.mark.parametrize(
    "name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "x-http-method"]
)
async def test_another_method_than_the_rule_has(agent_for: AgentFor, name: str) -> None:
    async with serving(saying(OK)) as server:
        agent = agent_for(f"private POST {server.url}")
        fault = await agent.refused(server.url, method="POST", headers={name: "DELETE"})
        assert fault.code is FaultCode.INVALID
        assert server.connections == 0


@pytest.mark.parametrize(
    "head",
    [
        "Transfer-Encoding: chunked\r\nContent-Length: 2",
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 2",
        "Content-Length: 2, 5",
        "Content-Length: +2",
        "Content-Length: 0x2",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Content-Length : 2",
        "X: a\rContent-Length: 2",
        "X: a\0",
    ],
)
async def test_an_answer_framed_in_two_ways(agent_for: AgentFor, head: str) -> None:
    """It is refused, and its connection is not used again."""
    sent = f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n0\r\n\r\nok".encode()
    async with serving(chunks(sent)) as server:
        agent = agent_for(server.rule)
        for _ in range(2):
            fault = await agent.refused(server.url)
            assert fault.code is FaultCode.UNKNOWN
        assert server.connections == 2


async def test_an_answer_to_a_question_that_was_not_asked(agent_for: AgentFor) -> None:
    """A second answer behind the first would become the answer to the next request."""
    async with serving(saying(OK + answer(b"poison"), OK)) as server:
        agent = agent_for(server.rule)
        assert [(await agent.fetch(server.url))["body"] for _ in range(2)] == ["ok", "ok"]
        assert server.connections == 2


async def test_a_server_sets_cookies(agent_for: AgentFor) -> None:
    """The agent does not see them, and they are not sent back."""
    async with serving(saying(answer(b"ok", "Set-Cookie: session=1; Path=/"))) as server:
        agent = agent_for(server.rule)
        told = await agent.fetch(server.url)
        await agent.fetch(server.url)
        assert "session" not in json.dumps(told)
        assert "cookie" not in server.headers


async def test_a_header_in_the_place_of_a_secret(agent_for: AgentFor) -> None:
    """What the owner puts in stands alone, in whatever case the agent wrote its own."""
    async with serving(saying(OK)) as server:
        secrets = OneSecret(TOKEN, server.url, "X-Api-Key")
        agent = agent_for(server.rule, secrets=secrets)
        await agent.fetch(server.url, headers={"x-API-key": "of the agent"})
        keys = [line for line in server.lines if line.lower().startswith("x-api-key")]
        assert keys == [f"X-Api-Key: Bearer {TOKEN}"]


async def test_the_same_header_twice(agent_for: AgentFor) -> None:
    async with serving(saying(OK)) as server:
        agent = agent_for(server.rule)
        text = f'{{"url":"{server.url}","headers":{{"X-A":"1","X-A":"2"}}}}'
        assert "twice" in str(await agent.call(text))
        assert (await agent.refused(server.url, headers={"X-A": "1", "x-a": "2"})).code
        assert server.connections == 0
