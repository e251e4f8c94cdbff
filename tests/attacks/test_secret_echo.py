"""A server gives back the secret it was sent; the agent must not read it."""

import base64
import gzip
import json
import zlib
from urllib.parse import quote

import pytest
import trio

from tests.attacks.web import AgentFor
from tests.sandbox.net.world import OneSecret, Talk, answer, chunks, hang_up, saying, serving

TOKEN = "s3cr3t/token+of=the&owner-0123456789"
SPELLINGS = {
    "raw": TOKEN.encode(),
    "base64": base64.b64encode(b"Bearer " + TOKEN.encode()),
    "base64 of more": base64.b64encode(b"ab" + TOKEN.encode() + b"cd"),
    "base64 for URLs": base64.urlsafe_b64encode(TOKEN.encode()),
    "percent": quote(TOKEN, safe="").encode(),
    "percent, every letter": "".join(f"%{byte:02x}" for byte in TOKEN.encode()).encode(),
    "hex": TOKEN.encode().hex().encode(),
    "HEX": TOKEN.encode().hex().upper().encode(),
    "JSON": json.dumps(TOKEN).replace("/", "\\/").encode(),
}
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def told(agent_for: AgentFor, talk: Talk) -> str:
    """All that the agent reads of the answer, or of the refusal, and all that is written down."""
    async with serving(talk) as server:
        agent = agent_for(server.rule, secrets=OneSecret(TOKEN, server.url, holder="writer"))
        answer = await agent.call(json.dumps({"url": server.url}))
        assert TOKEN.encode() in server.requests[0]
        return f"{answer} {agent.node.state.audit} {agent.node.said} {agent.node.state.calls}"


def is_silent(text: str) -> bool:
    """Whether no spelling, nor the greater part of one, is in `text`."""
    return not any(
        spelling.decode()[start : start + 24] in text
        for spelling in SPELLINGS.values()
        for start in (0, 2, 4, 8)
    )


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
async def test_in_the_body(agent_for: AgentFor, spelling: bytes) -> None:
    text = await told(agent_for, saying(answer(b"before " + spelling + b" after")))
    assert "before" in text
    assert "[redacted]" in text
    assert is_silent(text)


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("size", [1, 7])
async def test_split_over_chunks(agent_for: AgentFor, spelling: bytes, size: int) -> None:
    parts = [spelling[at : at + size] for at in range(0, len(spelling), size)]
    framed = [b"%x\r\n%s\r\n" % (len(part), part) for part in parts]
    assert is_silent(await told(agent_for, chunks(HEAD, *framed, b"0\r\n\r\n")))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
async def test_compressed(agent_for: AgentFor, spelling: bytes, encoding: str) -> None:
    packed = gzip.compress(spelling) if encoding == "gzip" else zlib.compress(spelling)
    text = await told(agent_for, saying(answer(packed, f"Content-Encoding: {encoding}")))
    assert "[redacted]" in text
    assert is_silent(text)


async def test_compressed_in_a_way_that_cannot_be_searched(agent_for: AgentFor) -> None:
    body = gzip.compress(gzip.compress(TOKEN.encode()))
    for encoding in ("br", "zstd", "gzip, gzip"):
        text = await told(agent_for, saying(answer(body, f"Content-Encoding: {encoding}")))
        assert text.startswith("unknown: ")


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
async def test_in_a_header(agent_for: AgentFor, spelling: bytes) -> None:
    value = spelling.decode()
    talk = saying(answer(b"", f"X-Echo: {value}", f"Location: /?{value}", f"X-{'a' * 9}: {value}"))
    assert is_silent(await told(agent_for, talk))


async def test_in_the_name_of_a_header(agent_for: AgentFor) -> None:
    name = SPELLINGS["hex"].decode()
    assert is_silent(await told(agent_for, saying(answer(b"", f"{name}: a"))))


async def test_in_the_reason(agent_for: AgentFor) -> None:
    assert is_silent(await told(agent_for, saying(answer(b"", status=f"200 {TOKEN}"))))


@pytest.mark.parametrize(
    "sent",
    [
        TOKEN.encode() + b"\r\n\r\n",
        b"HTTP/1.1 " + TOKEN.encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + TOKEN.encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + TOKEN.encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + TOKEN.encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: " + TOKEN.encode() + b"\r\n\r\n",
        HEAD + TOKEN.encode() + b"\r\n",
    ],
)
async def test_in_an_error(agent_for: AgentFor, sent: bytes) -> None:
    """Reasons are ours: no word of a server is in them."""
    text = await told(agent_for, chunks(sent))
    assert text.startswith("unknown: ")
    assert is_silent(text)


async def test_in_a_redirect(agent_for: AgentFor) -> None:
    moved = answer(b"", f"Location: /?{quote(TOKEN, safe='')}", status="302 x")
    async with serving(saying(moved, answer(b"there"))) as server:
        agent = agent_for(
            f"private redirects {server.url}", secrets=OneSecret(TOKEN, server.url, holder="writer")
        )
        told = await agent.call(json.dumps({"url": server.url}))
        assert "?[redacted]" in str(told)
        assert is_silent(str(told))


async def test_by_hanging_up(agent_for: AgentFor) -> None:
    assert is_silent(await told(agent_for, hang_up))


async def test_half_of_it_and_then_nothing(agent_for: AgentFor) -> None:
    async def half(stream: trio.abc.Stream, request: bytes) -> bool:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + TOKEN.encode())
        return False

    assert is_silent(await told(agent_for, half))


async def test_the_agent_sends_it_itself(agent_for: AgentFor) -> None:
    """To whom it may send, that is not its to give."""
    async with serving(saying(answer())) as server:
        agent = agent_for(
            server.rule, secrets=OneSecret(TOKEN, "https://elsewhere.example", holder="writer")
        )
        await agent.refused(server.url, method="POST", body=f"x{TOKEN}y")
        await agent.refused(server.url, headers={"X-A": TOKEN})
        assert server.connections == 0
