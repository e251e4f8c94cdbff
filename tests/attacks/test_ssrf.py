"""An agent that may reach one public host tries to reach the machine it runs on.

Every test listens on loopback, points at it in one spelling, and sees no connection.
"""

import pytest

from sandbox.fault import FaultCode
from tests.attacks.web import AgentFor
from tests.sandbox.net.world import OK, names, saying, serving

ALLOWED = "api.example.com"
# Whatever is not refused by its spelling would lead here.
LOOPBACK = {ALLOWED: ["127.0.0.1"], "evil.example": ["127.0.0.1"]}


async def is_refused_unseen(agent_for: AgentFor, url: str, *allowed: str) -> FaultCode:
    """The code of the refusal; `PORT` in `url` is where a server listens."""
    async with serving(saying(OK)) as server:
        agent = agent_for(*(allowed or (ALLOWED,)), lookup=names(LOOPBACK))
        fault = await agent.refused(url.replace("PORT", str(server.port)))
        assert server.connections == 0
        return fault.code


async def test_userinfo(agent_for: AgentFor) -> None:
    for url in (
        "http://api.example.com@127.0.0.1:PORT/",
        "https://api.example.com:pw@127.0.0.1:PORT/",
        "https://127.0.0.1:PORT#@api.example.com/",
        "https://127.0.0.1:PORT\\@api.example.com/",
        "https://api.example.com%40127.0.0.1:PORT/",
    ):
        assert await is_refused_unseen(agent_for, url) is FaultCode.INVALID


async def test_octal(agent_for: AgentFor) -> None:
    for host in ("0177.0.0.1", "0177.0.0.01", "017700000001", "127.0.0.01", "00000177.1"):
        code = await is_refused_unseen(agent_for, f"http://{host}:PORT/", "http://127.0.0.1:1")
        assert code is FaultCode.INVALID


async def test_hex(agent_for: AgentFor) -> None:
    for host in ("0x7f.0.0.1", "0x7f000001", "0x7F.0x0.0x0.0x1", "0x7f.1"):
        assert await is_refused_unseen(agent_for, f"http://{host}:PORT/") is FaultCode.INVALID


async def test_decimal_and_short(agent_for: AgentFor) -> None:
    for host in ("2130706433", "127.1", "127.0.1", "4294967297", "0", "127.0.0.1."):
        assert await is_refused_unseen(agent_for, f"http://{host}:PORT/") is FaultCode.INVALID


async def test_ipv4_mapped(agent_for: AgentFor) -> None:
    for host in ("::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:7f00:1", "::FFFF:127.0.0.1"):
        assert await is_refused_unseen(agent_for, f"http://[{host}]:PORT/") is FaultCode.INVALID


ADDRESSES = {
    "loopback": "127.0.0.1",
    "private": "10.0.0.1",
    "metadata": "169.254.169.254",
    "alibaba": "100.100.100.200",
    "azure": "168.63.129.16",
    "any": "0.0.0.0",
    "loopback 6": "::1",
    "any 6": "::",
    "nat64": "64:ff9b::7f00:1",
    "local nat64": "64:ff9b:1::7f00:1",
    "6to4": "2002:7f00:1::1",
    "teredo": "2001:0:7f00:1::1",
    "unique-local": "fd00:ec2::254",
    "link-local": "fe80::1",
    "compatible": "::7f00:1",
}


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES.keys())
async def test_an_address_that_a_rule_lists_but_does_not_call_private(
    agent_for: AgentFor, address: str
) -> None:
    host = f"[{address}]" if ":" in address else address
    code = await is_refused_unseen(agent_for, f"http://{host}:PORT/", f"http://{host}:9")
    assert code is FaultCode.NOT_ALLOWED
    agent = agent_for(f"http://{host}:9")
    fault = await agent.refused(f"http://{host}:9/")
    assert fault.code is FaultCode.NOT_ALLOWED
    assert "not public" in fault.why


async def test_an_address_that_no_rule_lists(agent_for: AgentFor) -> None:
    for host in ("127.0.0.1", "[::1]", "8.8.8.8", "[2606:4700::1111]"):
        code = await is_refused_unseen(agent_for, f"http://{host}:PORT/", ALLOWED, "*.example.com")
        assert code is FaultCode.NOT_ALLOWED


async def test_zone_ids(agent_for: AgentFor) -> None:
    for host in ("fe80::1%25lo", "fe80::1%lo", "::1%251"):
        assert await is_refused_unseen(agent_for, f"http://[{host}]:PORT/") is FaultCode.INVALID


async def test_a_trailing_dot_is_the_same_name(agent_for: AgentFor) -> None:
    """Neither a way around the rule nor around the check of addresses."""
    code = await is_refused_unseen(
        agent_for, f"http://{ALLOWED}.:PORT/", "http://api.example.com:1"
    )
    assert code is FaultCode.NOT_ALLOWED
    async with serving(saying(OK)) as server:
        agent = agent_for(f"http://{ALLOWED}:{server.port}", lookup=names(LOOPBACK))
        fault = await agent.refused(f"http://{ALLOWED}.:{server.port}/")
        assert "loopback" in fault.why
        assert server.connections == 0
    assert await is_refused_unseen(agent_for, f"http://{ALLOWED}..:PORT/") is FaultCode.INVALID


async def test_names_that_look_alike(agent_for: AgentFor) -> None:
    for host in ("аpi.example.com", "xn--pi-7kc.example.com", "evilexample.com", "api.example.co"):
        code = await is_refused_unseen(agent_for, f"https://{host}:PORT/", ALLOWED)
        assert code is FaultCode.NOT_ALLOWED
    for host in ("ａpi.example.com", "api。example.com", "api.exam\u00adple.com", "①②⑦.0.0.1"):
        assert await is_refused_unseen(agent_for, f"https://{host}/") is FaultCode.INVALID


async def test_a_port_that_is_not_in_the_rule(agent_for: AgentFor) -> None:
    for url in (f"https://{ALLOWED}:PORT/", f"https://{ALLOWED}:22/", f"https://{ALLOWED}:80/"):
        assert await is_refused_unseen(agent_for, url) is FaultCode.NOT_ALLOWED
    for port in ("0443", "", "0", "65979", "+443", "４４３"):
        code = await is_refused_unseen(agent_for, f"https://{ALLOWED}:{port}/")
        assert code is FaultCode.INVALID


async def test_other_schemes_and_their_case(agent_for: AgentFor) -> None:
    for scheme in ("http", "HTTP", "hTTp"):
        code = await is_refused_unseen(agent_for, f"{scheme}://{ALLOWED}/")
        assert code is FaultCode.NOT_ALLOWED
    for scheme in ("file", "FILE", "gopher", "ftp", "unix", "httpx", "ws", "data", "javascript"):
        assert await is_refused_unseen(agent_for, f"{scheme}://{ALLOWED}/") is FaultCode.INVALID
    for url in ("file:///etc/passwd", "//127.0.0.1:PORT/", "http:127.0.0.1:PORT", "https:/a/b"):
        assert await is_refused_unseen(agent_for, url) is FaultCode.INVALID


async def test_paths_that_leave_their_prefix(agent_for: AgentFor) -> None:
    async with serving(saying(OK)) as server:
        agent = agent_for(f"{server.rule}/v1/public")
        for path in (
            "/v1/public/../admin",
            "/v1/public/%2e%2e/admin",
            "/v1/public/.%2e/admin",
            "/v1/public/..;a=b/admin",
            "/v1/public%2f..%2fadmin",
            "/v1/public%5c..%5cadmin",
            "/v1/public/%252e%252e/admin",
            "/v1/public/%c0%ae%c0%ae/admin",
            "/v1/public/..\\admin",
            "/v1/public%00/../admin",
            "/v1/publicly",
            "/v1//public",
            "//v1/public",
            "/V1/public",
            "/v1",
        ):
            await agent.refused(f"{server.url}{path}")
        assert server.connections == 0
        assert (await agent.fetch(f"{server.url}/v1/public/prices"))["status"] == 200


async def test_methods_that_are_not_in_the_rule(agent_for: AgentFor) -> None:
    async with serving(saying(OK)) as server:
        agent = agent_for(f"private GET {server.url}")
        for method in ("POST", "DELETE", "HEAD"):
            fault = await agent.refused(server.url, method=method)
            assert fault.code is FaultCode.NOT_ALLOWED
        for method in ("get", "GET ", "CONNECT", "TRACE", "PROPFIND", "GET\r\nX: y"):
            fault = await agent.refused(server.url, method=method)
            assert fault.code is FaultCode.INVALID
        assert server.connections == 0


async def test_proxies_of_the_environment_are_not_for_agents(
    agent_for: AgentFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(saying(OK)) as server, serving(saying(OK)) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        await agent_for(server.rule).fetch(server.url)
        assert (server.connections, proxy.connections) == (1, 0)


async def test_a_request_to_a_domain_in_no_list_is_blocked_and_logged(agent_for: AgentFor) -> None:
    agent = agent_for(ALLOWED)
    fault = await agent.refused("https://other.example.com/secret?x=y")
    assert fault.code is FaultCode.NOT_ALLOWED
    assert [record.event for record in agent.node.state.audit] == ["refused"]
    assert "other.example.com" in agent.node.state.audit[0].detail
    empty = agent_for()
    assert (await empty.refused(f"https://{ALLOWED}/")).code is FaultCode.NOT_ALLOWED
