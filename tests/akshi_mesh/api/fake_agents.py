"""Agents of a node that is not there."""

from akshi_mesh.api import shapes
from akshi_mesh.api.errors import NotKnown

_DID = "did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b"


class FakeAgents:
    """One, called reader."""

    def _note(self, call: str, *arguments: object) -> None:
        raise NotImplementedError

    async def agents(self) -> list[shapes.AgentInfo]:
        return [
            {
                "name": "reader",
                "did": _DID,
                "state": "ready",
                "why": "",
                "wasm_cid": "bafk",
                "capabilities": ["a2a", "journal"],
                "restarts": 0,
                "tasks_waiting": 0,
                "tasks_running": 0,
                "tasks_completed": 2,
                "tasks_failed": 1,
                "memory_bytes": 4 << 20,
                "memory_bytes_max": 16 << 20,
                "fuel_used": 1_000,
                "fuel_used_last": 400,
                "fuel_max": 10_000_000_000,
                "run_seconds": 0.5,
                "wall_clock_s_max": 30.0,
                "calls": {"journal.append": 2},
                "calls_refused": {},
            }
        ]

    async def agent_start(self, name: str) -> shapes.AgentInfo:
        return await self._agent("agent_start", name)

    async def agent_stop(self, name: str) -> shapes.AgentInfo:
        return await self._agent("agent_stop", name)

    async def agent_restart(self, name: str) -> shapes.AgentInfo:
        return await self._agent("agent_restart", name)

    async def agent_reload(self, name: str, *, cid: str | None) -> shapes.AgentInfo:
        return await self._agent("agent_reload", name, cid)

    async def _agent(self, call: str, name: str, *more: object) -> shapes.AgentInfo:
        self._note(call, name, *more)
        if name != "reader":
            raise NotKnown(f"no agent {name!r} here", hint="akshi-node agents list")
        return (await self.agents())[0]

    async def agent_caps(self, name: str) -> shapes.AgentCaps:
        if name != "reader":
            raise NotKnown(f"no agent {name!r} here", hint="akshi-node agents list")
        return {
            "name": name,
            "did": _DID,
            "capabilities": {"a2a": ["self/*"], "journal": []},
            "denied": ["http_fetch"],
            "approval": {"a2a": "at high risk, waits 300 s", "journal": "never"},
            "rates": {"a2a": "60/min"},
            "budget": "2.00EUR a day",
        }
