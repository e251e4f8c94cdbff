"""Agents of a running node: what they are, what they use, and what their owner says to them."""

from akshi_mesh.allowances import allowance, budget
from akshi_mesh.api.shapes import AgentCaps, AgentInfo
from akshi_mesh.parts import Parts
from identity.cid import wasm_cid
from sandbox.agent_spec import AgentSpec
from sandbox.audit import Event
from sandbox.capability import Capability
from sandbox.errors import UnknownAgent
from sandbox.host.agent_status import AgentStatus

HELD = "its owner has stopped it; akshi-node agents start {}"


class AgentControl:
    """`Control`, as far as it is about agents."""

    _parts: Parts

    async def agents(self) -> list[AgentInfo]:
        return [self._agent_info(agent) for agent in self._parts.supervisor.status()]

    async def agent_caps(self, name: str) -> AgentCaps:
        spec = self._spec(name)
        granted = {
            str(capability): allowed
            for capability in sorted(spec.capabilities)
            if (allowed := allowance(spec, capability)) is not None
        }
        return {
            "name": name,
            "did": str(self._parts.agent_keys[name].did),
            "capabilities": {one: list(allowed.covers) for one, allowed in granted.items()},
            "denied": sorted(str(c) for c in Capability if c not in spec.capabilities),
            "approval": {one: allowed.approval for one, allowed in granted.items()},
            "rates": {one: allowed.rate for one, allowed in granted.items() if allowed.rate},
            "budget": budget(spec),
        }

    async def agent_start(self, name: str) -> AgentInfo:
        runner = self._parts.supervisor.agent(name)
        self._note(name, "started")
        runner.start()
        return self._agent_info(runner.status)

    async def agent_stop(self, name: str) -> AgentInfo:
        runner = self._parts.supervisor.agent(name)
        # What stops an agent needs no record to happen first: stop means stop.
        runner.hold(HELD.format(name))
        self._parts.tools.stop_agent(name)
        self._note(name, "stopped")
        return self._agent_info(runner.status)

    async def agent_restart(self, name: str) -> AgentInfo:
        runner = self._parts.supervisor.agent(name)
        self._note(name, "restarted")
        self._parts.tools.stop_agent(name)
        runner.restart()
        runner.start()
        return self._agent_info(runner.status)

    async def agent_reload(self, name: str, *, cid: str | None) -> AgentInfo:
        runner = self._parts.supervisor.agent(name)
        taken = await runner.reload(approved=cid)
        self._note(name, "reloaded", detail=taken)
        return self._agent_info(runner.status)

    def _note(self, name: str, code: str, *, detail: str = "") -> None:
        self._parts.audit.note(Event.AGENT, subject=name, code=code, detail=detail, agent=name)

    def _spec(self, name: str) -> AgentSpec:
        for spec in self._parts.config.agents:
            if spec.name == name:
                return spec
        raise UnknownAgent(name)

    def _agent_info(self, agent: AgentStatus) -> AgentInfo:
        spec, usage = self._spec(agent.name), agent.usage
        # What was accepted waits in the store, not in the runner, until a worker is free.
        unfinished = self._parts.tables.received.unfinished(agent.name)
        return {
            "name": agent.name,
            "did": str(self._parts.agent_keys[agent.name].did),
            "state": agent.condition.value,
            "why": agent.why,
            "wasm_cid": wasm_cid(agent.wasm_sha256) if agent.wasm_sha256 else "",
            "capabilities": sorted(spec.capabilities),
            "restarts": agent.restarts,
            "tasks_waiting": max(agent.waiting, unfinished - agent.running),
            "tasks_running": agent.running,
            "tasks_completed": usage.completed,
            "tasks_failed": usage.failed,
            "memory_bytes": agent.memory_bytes,
            "memory_bytes_max": spec.memory_mb << 20,
            "fuel_used": usage.fuel,
            "fuel_used_last": usage.fuel_last,
            "fuel_max": spec.fuel,
            "run_seconds": round(usage.run_s, 3),
            "wall_clock_s_max": spec.wall_clock_s,
            "calls": dict(sorted(usage.calls.items())),
            "calls_refused": dict(sorted(usage.refused.items())),
        }
