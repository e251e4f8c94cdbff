"""A name that an agent may reach is made to lead somewhere else."""

from collections.abc import Sequence

import pytest
import trio

from sandbox.fault import FaultCode
from tests.attacks.web import AgentFor
from tests.sandbox.net.world import OK, chunks, names, saying, serving, silent

HOST = "api.example.com"
PUBLIC = "93.184.215.14"


class Changing:
    """A resolver that answers something else each time it is asked, as a rebinding one does."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


async def test_a_name_that_leads_to_this_machine(agent_for: AgentFor) -> None:
    async with serving(saying(OK)) as server:
        agent = agent_for(f"http://{HOST}:{server.port}", lookup=names({HOST: ["127.0.0.1"]}))
        fault = await agent.refused(f"http://{HOST}:{server.port}/")
        assert fault.code is FaultCode.NOT_ALLOWED
        assert server.connections == 0


@pytest.mark.parametrize(
    "answers",
    [
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC, "::ffff:127.0.0.1"],
        [PUBLIC, "64:ff9b::7f00:1"],
        ["fe80::1%lo"],
        ["::1%1"],
        ["127.1"],
        ["localhost"],
        [""],
    ],
    ids=str,
)
async def test_one_bad_address_spoils_the_name(agent_for: AgentFor, answers: Sequence[str]) -> None:
    async with serving(saying(OK)) as server:
        agent = agent_for(f"http://{HOST}:{server.port}", lookup=names({HOST: answers}))
        fault = await agent.refused(f"http://{HOST}:{server.port}/")
        assert fault.code is FaultCode.NOT_ALLOWED
        assert server.connections == 0


async def test_an_interface_of_this_machine(agent_for: AgentFor) -> None:
    """Not even where private addresses are fine: the interface is ours to choose."""
    async with serving(saying(OK)) as server:
        for answers in (["fe80::1%lo"], ["::1%lo"], ["127.0.0.1", "::1%1"]):
            origin = f"http://{HOST}:{server.port}"
            agent = agent_for(f"private {origin}", lookup=names({HOST: answers}))
            assert (await agent.refused(origin)).code is FaultCode.NOT_ALLOWED
        assert server.connections == 0


async def test_it_changes_between_check_and_connect(agent_for: AgentFor) -> None:
    """The name is asked for once; what was checked is what is connected to."""
    async with serving(saying(OK)) as server:
        changing = Changing([PUBLIC], ["127.0.0.1"])
        agent = agent_for(f"http://{HOST}:{server.port}", lookup=changing)
        # No route to there from a test: what counts is where it does not go.
        await agent.refused(f"http://{HOST}:{server.port}/", timeout_ms=100)
        assert changing.asked == 1
        assert server.connections == 0


async def test_it_changes_between_two_requests(agent_for: AgentFor) -> None:
    """Each new connection is checked anew."""
    async with serving(chunks(OK)) as server, serving(saying(OK), host="127.0.0.2") as other:
        changing = Changing(["127.0.0.1"], ["127.0.0.2"])
        url = f"http://{HOST}:{server.port}/"
        agent = agent_for(f"private {url}", lookup=changing)
        await agent.fetch(url)
        with trio.fail_after(2):
            while server.open:
                await trio.sleep(0.001)
        await agent.refused(url)
        assert changing.asked == 2
        assert other.connections == 0


async def test_a_kept_connection_stays_where_it_was_checked(agent_for: AgentFor) -> None:
    async with serving(saying(OK)) as server:
        changing = Changing(["127.0.0.1"], ["10.0.0.1"])
        url = f"http://{HOST}:{server.port}/"
        agent = agent_for(f"private {url}", lookup=changing)
        for _ in range(3):
            await agent.fetch(url)
        assert (changing.asked, server.connections) == (1, 1)


async def test_a_connection_to_a_private_place_serves_no_other_rule(agent_for: AgentFor) -> None:
    """The same origin, once as private and once not: the kept connection is not for both."""
    async with serving(saying(OK)) as server:
        origin = f"http://{HOST}:{server.port}"
        agent = agent_for(
            f"private {origin}/in", f"{origin}/out", lookup=names({HOST: ["127.0.0.1"]})
        )
        await agent.fetch(f"{origin}/in")
        fault = await agent.refused(f"{origin}/out")
        assert fault.code is FaultCode.NOT_ALLOWED
        assert len(server.requests) == 1


async def test_a_resolver_that_never_answers(agent_for: AgentFor) -> None:
    async def never(host: str) -> Sequence[str]:
        await trio.sleep_forever()
        return []

    agent = agent_for(HOST, lookup=never)
    fault = await agent.refused(f"https://{HOST}/", timeout_ms=20)
    assert fault.code is FaultCode.UNAVAILABLE


async def test_thousands_of_addresses(agent_for: AgentFor) -> None:
    """Only so many are tried, and all are looked at."""
    async with serving(silent) as server:
        port = server.port
    many = [f"127.0.{high}.{low}" for high in range(2, 9) for low in range(1, 255)]
    origin = f"http://{HOST}:{port}"
    agent = agent_for(f"private {origin}", lookup=names({HOST: many}))
    assert (await agent.refused(origin)).code is FaultCode.UNAVAILABLE
    agent = agent_for(origin, lookup=names({HOST: [PUBLIC] * 2_000 + ["127.0.0.1"]}))
    assert (await agent.refused(origin)).code is FaultCode.NOT_ALLOWED
