"""An agent that may fetch, and the whole way of its calls: gate, rules, client, servers."""

import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
import trio

from sandbox.approvals import ApprovalRule, Approved, Decision, Question, When
from sandbox.capability import Capability
from sandbox.endpoint import EndpointRule
from sandbox.fault import Fault, FaultCode
from sandbox.host.attempt import Attempt
from sandbox.hostcall import Call
from sandbox.net.fetcher import Fetcher
from sandbox.net.names import Lookup
from sandbox.outside import SecretsPort
from tests.sandbox.fakes import FakeNode, spec, task
from tests.sandbox.net.world import NoSecrets


class Yes:
    """A person who says yes to everything."""

    async def ask(self, question: Question) -> Decision:
        await trio.lowlevel.checkpoint()
        return Approved("approval-1")

    def consume(self, approval: str, subject: bytes, *, now_ms: int) -> None:
        assert approval == "approval-1"

    def withdraw(self, task_id: bytes, why: str) -> None:
        """Nothing to take back."""


class Agent:
    """An agent whose every fetch goes through the gate, and what the node wrote down."""

    def __init__(
        self,
        *allowed: str,
        lookup: Lookup | None = None,
        secrets: SecretsPort | None = None,
        approval: When = "never",
        approves: bool = False,
    ) -> None:
        self.node = FakeNode()
        self.secrets = secrets or NoSecrets()
        self.fetcher = Fetcher(self.secrets, lookup=lookup)
        self.boundary = self.node.boundary()
        ports = replace(self.boundary.ports, http=self.fetcher, secrets=self.secrets)
        if approves:
            ports = replace(ports, approvals=Yes())
        self.boundary.ports = ports
        agent = spec(
            endpoints=tuple(map(EndpointRule.parse, allowed)),
            approval={Capability.HTTP_FETCH: ApprovalRule(approval)},
        )
        self._attempt = Attempt(self.boundary.desk(agent), task())
        self._numbers = itertools.count()

    async def call(self, text: str) -> str | Fault:
        return await self._attempt.answer(Call(next(self._numbers), "http-fetch.fetch", (text,)))

    async def fetch(self, url: str, **more: Any) -> dict[str, Any]:
        """What the agent is told, when it is told something."""
        answer = await self.call(json.dumps({"url": url, **more}))
        assert isinstance(answer, str), answer
        told: dict[str, Any] = json.loads(answer)
        return told

    async def refused(self, url: str, **more: Any) -> Fault:
        """Why the agent was refused; that it was stands in the audit log, too."""
        answer = await self.call(json.dumps({"url": url, **more}))
        assert isinstance(answer, Fault), answer
        record = self.node.state.audit[-1]
        assert record.event in {"refused", "failed", "unknown"}
        assert record.code == answer.code
        assert answer.code is not FaultCode.CAPABILITY_DENIED
        return answer


AgentFor = Callable[..., Agent]


@pytest.fixture
async def agent_for() -> AsyncIterator[AgentFor]:
    """Agents whose connections are closed when the test ends, however it ends."""
    made: list[Agent] = []

    def make(*allowed: str, **more: Any) -> Agent:
        made.append(Agent(*allowed, **more))
        return made[-1]

    yield make
    for agent in made:
        await agent.fetcher.aclose()
