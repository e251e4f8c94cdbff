"""A supervisor over real processes and a node in memory, for tests of agents at work."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from sandbox.agent_spec import AgentSpec
from sandbox.host.agent_status import AgentStatus
from sandbox.host.boundary import Boundary
from sandbox.host.supervisor import Supervisor
from sandbox.host.zygote import Zygote
from sandbox.ports import Outcome, TaskRun
from tests.sandbox.fakes import FakeNode, spec, task

ROOT = Path(__file__).parents[3]
HOSTILE = str(ROOT / "tests" / "agents" / "hostile.wasm")
ECHO = str(ROOT / "examples" / "agents" / "echo.wasm")
RELAY = str(ROOT / "examples" / "agents" / "relay.wasm")
WAIT_S = 10.0  # until something is noticed; a test that needs it has failed


@dataclass
class World:
    """A supervisor and what is below it."""

    node: FakeNode
    boundary: Boundary
    zygote: Zygote
    supervisor: Supervisor

    async def run(self, text: str, number: int = 1, **facts: object) -> Outcome:
        facts.setdefault("agent", "hostile")
        with trio.fail_after(WAIT_S):
            return await self.supervisor.run_task(self.task(text, number, **facts))

    def task(self, text: str, number: int = 1, **facts: object) -> TaskRun:
        message = f'{{"messageId":"m{number}","role":"ROLE_USER","parts":[{{"text":"{text}"}}]}}'
        expires_ms = self.node.now_ms + 3_600_000
        return task(number, **{"message_json": message, "expires_ms": expires_ms} | facts)

    def status(self, name: str = "hostile") -> AgentStatus:
        return {status.name: status for status in self.supervisor.status()}[name]

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(WAIT_S):
            while not condition():
                await trio.sleep(0.002)


def hostile(**changes: object) -> AgentSpec:
    return spec(**{"name": "hostile", "wasm_path": HOSTILE, "wall_clock_s": 0.5} | changes)


def echo(**changes: object) -> AgentSpec:
    return spec(**{"name": "echo", "wasm_path": ECHO} | changes)
