"""A server that an agent may reach sends it elsewhere."""

import pytest
import trio

from sandbox.fault import FaultCode
from tests.attacks.web import AgentFor
from tests.sandbox.net.world import OK, OneSecret, Talk, answer, names, saying, serving

TOKEN = "s3cr3t-token-of-the-owner"


def moved(to: str, status: str = "302 Found") -> bytes:
    return answer(b"moved", f"Location: {to}", status=status)


async def test_nothing_is_followed_unless_the_rule_says_so(agent_for: AgentFor) -> None:
    async with serving(saying(OK)) as there, serving(saying(moved(there.url))) as server:
        agent = agent_for(server.rule, f"private redirects {there.url}")
        told = await agent.fetch(server.url)
        assert (told["status"], told["headers"]["location"]) == (302, there.url)
        assert there.connections == 0


async def test_to_a_private_address(agent_for: AgentFor) -> None:
    lookup = names({"public.example": ["127.0.0.1"]})
    async with serving(saying(OK)) as there:
        for to in (f"http://public.example:{there.port}/", f"http://2130706433:{there.port}/"):
            async with serving(saying(moved(to))) as server:
                agent = agent_for(
                    f"private redirects {server.url}",
                    f"redirects http://public.example:{there.port}",
                    lookup=lookup,
                )
                fault = await agent.refused(server.url)
                assert fault.code is FaultCode.UNKNOWN
        assert there.connections == 0


async def test_to_a_place_in_no_rule(agent_for: AgentFor) -> None:
    async with serving(saying(OK)) as there, serving(saying(moved(there.url))) as server:
        for other in ("redirects https://other.example", f"private redirects {there.url}/only"):
            agent = agent_for(f"private redirects {server.url}", other)
            fault = await agent.refused(server.url)
            assert "no rule" in fault.why
        assert there.connections == 0


async def test_to_a_place_whose_rule_does_not_take_redirects(agent_for: AgentFor) -> None:
    async with serving(saying(OK)) as there, serving(saying(moved(there.url))) as server:
        agent = agent_for(f"private redirects {server.url}", there.rule)
        await agent.refused(server.url)
        assert there.connections == 0


@pytest.mark.parametrize(
    "to",
    [
        "file:///etc/passwd",
        "//user@127.0.0.1/",
        "http://0x7f000001/",
        "http://[::ffff:127.0.0.1]/",
        "gopher://127.0.0.1/",
        "javascript:alert(1)",
        "/v1/%2e%2e/admin",
        "http://\x7f/",
        "http://[/",
    ],
)
async def test_to_what_is_no_place(agent_for: AgentFor, to: str) -> None:
    async with serving(saying(moved(to))) as server:
        agent = agent_for(f"private redirects {server.url}")
        fault = await agent.refused(server.url)
        assert "no place" in fault.why
        assert len(server.requests) == 1


async def test_out_of_the_path_that_is_allowed(agent_for: AgentFor) -> None:
    """`..` in a redirect is resolved as a browser does, and then held against the rule."""
    async with serving(saying(moved("../admin"))) as server:
        agent = agent_for(f"private redirects {server.url}/v1")
        fault = await agent.refused(f"{server.url}/v1/a")
        assert "no rule" in fault.why
        assert len(server.requests) == 1


async def test_in_a_circle(agent_for: AgentFor) -> None:
    async with serving(saying(moved("/again"))) as server:
        agent = agent_for(f"private redirects {server.url}")
        fault = await agent.refused(server.url)
        assert "one more redirect after 5" in fault.why
        assert len(server.requests) == 6


async def test_what_the_owner_allows_is_followed(agent_for: AgentFor) -> None:
    async with serving(saying(OK)) as there, serving(saying(moved(f"{there.url}/b?c"))) as server:
        agent = agent_for(f"private redirects {server.url}", f"private redirects {there.url}")
        told = await agent.fetch(server.url)
        assert (told["status"], told["url"]) == (200, f"{there.url}/b?c")
        assert there.headers["host"] == f"127.0.0.1:{there.port}"


async def test_credentials_go_to_the_first_place_only(agent_for: AgentFor) -> None:
    """Neither to another origin nor to another path of the same one."""

    def to(url: str) -> Talk:
        return saying(moved(url), OK)

    async with serving(saying(OK)) as there, serving(to(there.url)) as server:
        secrets = OneSecret(TOKEN, server.url)
        agent = agent_for(
            f"private redirects {server.url}", f"private redirects {there.url}", secrets=secrets
        )
        headers = {"X-Session": "of the agent", "Accept": "text/plain"}
        await agent.fetch(server.url, headers=headers)
        assert TOKEN.encode() in server.requests[0]
        assert not any(TOKEN.encode() in request for request in there.requests)
        assert "x-session" not in there.headers
        assert there.headers["accept"] == "text/plain"
        secrets.origin = there.url
        await agent.fetch(server.url)
        assert TOKEN.encode() not in there.requests[-1]

    async with serving(to("/other")) as server:
        agent = agent_for(f"private redirects {server.url}", secrets=OneSecret(TOKEN, server.url))
        await agent.fetch(server.url, headers={"X-Session": "of the agent"})
        assert TOKEN.encode() in server.requests[0]
        assert TOKEN.encode() not in server.requests[1]
        assert server.headers["x-session"] == "of the agent"


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        ("301 x", "POST", "GET", False),
        ("302 x", "POST", "GET", False),
        ("303 x", "PUT", "GET", False),
        ("303 x", "HEAD", "HEAD", False),
        ("307 x", "POST", "POST", True),
        ("308 x", "PUT", "PUT", True),
        ("301 x", "PUT", "PUT", True),
    ],
)
async def test_the_method_follows_the_status(
    agent_for: AgentFor, status: str, method: str, then: str, *, body: bool
) -> None:
    async with serving(saying(moved("/b", status), b"HTTP/1.1 204 x\r\n\r\n")) as server:
        agent = agent_for(f"private redirects {server.url}")
        more = {"body": "text", "headers": {"Content-Type": "a/b"}} if method != "HEAD" else {}
        await agent.fetch(server.url, method=method, **more)
        assert server.lines[0] == f"{then} /b HTTP/1.1"
        assert server.requests[1].endswith(b"text") == body
        assert ("content-type" in server.headers) == body


async def test_to_another_method_than_the_rule_has(agent_for: AgentFor) -> None:
    async with serving(saying(moved("/b"), OK)) as server:
        agent = agent_for(f"private redirects POST {server.url}")
        fault = await agent.refused(server.url, method="POST")
        assert "no rule" in fault.why
        assert len(server.requests) == 1


async def test_to_a_request_that_a_person_would_be_asked_about(agent_for: AgentFor) -> None:
    """What was approved was another request."""
    async with serving(saying(moved("/b"), OK)) as server:
        rule = f"private redirects {server.url}"
        agent = agent_for(rule, approval="always", approves=True)
        fault = await agent.refused(server.url)
        assert "approval of its own" in fault.why
        assert len(server.requests) == 1


async def test_while_the_node_stops(agent_for: AgentFor) -> None:
    """The whole policy is asked again for each hop."""

    async def stop(stream: trio.abc.Stream, request: bytes) -> bool:
        agent.boundary.stop("the node stops")
        await stream.send_all(moved("/b"))
        return True

    async with serving(stop) as server:
        agent = agent_for(f"private redirects {server.url}")
        fault = await agent.refused(server.url)
        assert "the node stops" in fault.why
        assert len(server.requests) == 1
