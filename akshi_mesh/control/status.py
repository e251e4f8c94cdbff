"""The node at a glance, its agents, and why something is as it is."""

import os
from collections.abc import Callable
from importlib import metadata

import trio

from akshi_mesh.api.shapes import AgentCaps, AgentInfo, Done, NodeStatus, TaskCounts
from akshi_mesh.control.approvals import ApprovalControl
from akshi_mesh.control.grants import GrantControl
from akshi_mesh.control.journals import JournalControl
from akshi_mesh.control.secrets import SecretControl
from akshi_mesh.control.spend import SpendControl
from akshi_mesh.control.trust import TrustControl
from akshi_mesh.control.why import WhyControl
from akshi_mesh.parts import Parts
from sandbox.agent_spec import AgentSpec
from sandbox.capability import Capability
from sandbox.errors import UnknownAgent

STOPPED_S = 0.5  # the kernel needs some ms to take 20 processes down; `stop` waits 1 s for us
_COUNTS = ("sent", "acknowledged", "queued", "expired", "refused")


class NodeControl(
    TrustControl,
    GrantControl,
    WhyControl,
    JournalControl,
    SecretControl,
    ApprovalControl,
    SpendControl,
):
    """The whole `Control` of a running node."""

    def __init__(self, parts: Parts, *, stopping: Callable[[], None]) -> None:
        self._parts = parts
        self._stopping = stopping  # from now on this process ends, whatever the loop does

    async def status(self) -> NodeStatus:
        parts = self._parts
        return {
            "did": str(parts.did),
            "version": metadata.version("akshi-mesh"),
            "pid": os.getpid(),
            "home": str(parts.home.path),
            "network": parts.config.mesh.network,
            "listen": str(parts.bound) if parts.bound else None,
            "durability": parts.config.mesh.durability,
            "started_ms": parts.started.wall_ms,
            "start_to_ready_s": parts.ready_s,
            "sandbox": {
                "level": parts.host.level,
                "minimum": parts.config.sandbox.minimum,
                "why": parts.refusal or parts.host.why,
            },
            "peers": await self.peers(),
            "agents": await self.agents(),
            "journals": await self.journals(),
            "tasks": self._totals(),
            "refusals": dict(parts.switchboard.refusals),
            "approvals_waiting": self.approvals_waiting(),
            "warnings": self._warnings(),
        }

    async def stop(self) -> Done:
        self._stopping()
        self._parts.supervisor.stop_now()
        with trio.move_on_after(STOPPED_S) as late:
            await self._parts.supervisor.wait_stopped()
        agents = "every agent was killed" if late.cancelled_caught else "every agent has ended"
        return {"note": f"{agents}; the node ends now"}

    async def agents(self) -> list[AgentInfo]:
        parts = self._parts
        specs = {spec.name: spec for spec in parts.config.agents}
        infos: list[AgentInfo] = []
        for agent in parts.supervisor.status():
            infos.append(
                {
                    "name": agent.name,
                    "did": str(parts.agent_keys[agent.name].did),
                    "state": agent.condition.value,
                    "why": agent.why,
                    "wasm_cid": _cid(agent.wasm_sha256),
                    "capabilities": sorted(specs[agent.name].capabilities),
                    "restarts": agent.restarts,
                    "tasks_waiting": agent.waiting,
                    "tasks_running": agent.running,
                }
            )
        return infos

    async def agent_caps(self, name: str) -> AgentCaps:
        spec = next((s for s in self._parts.config.agents if s.name == name), None)
        if spec is None:
            raise UnknownAgent(name)
        granted = {str(capability): _covers(spec, capability) for capability in spec.capabilities}
        return {
            "name": name,
            "did": str(self._parts.agent_keys[name].did),
            "capabilities": dict(sorted(granted.items())),
            "denied": sorted(str(c) for c in Capability if c not in spec.capabilities),
        }

    def _totals(self) -> TaskCounts:
        """Over every peer there ever was an account with, ourselves included."""
        ledgers = [self._parts.mesh.tasks.views.ledger(p) for p in self._parts.tables.peers()]
        sums = {name: sum(getattr(ledger, name) for ledger in ledgers) for name in _COUNTS}
        return {
            "sent": sums["sent"],
            "acknowledged": sums["acknowledged"],
            "queued": sums["queued"],
            "expired": sums["expired"],
            "refused": sums["refused"],
        }

    def _warnings(self) -> list[str]:
        trouble = self._parts.switchboard.trouble
        told = [*self._parts.warnings, *self._parts.secrets.warnings()]
        return [*told, *([f"{trouble} ({trouble.hint})"] if trouble else [])]


def _covers(spec: AgentSpec, capability: Capability) -> list[str]:
    match capability:
        case Capability.A2A:
            return list(spec.peers_allowed) or ["nobody: [agents.peers] allowed is empty"]
        case Capability.FILESYSTEM:
            return list(spec.filesystem_allowed) or [
                "nothing: [agents.filesystem] allowed is empty"
            ]
        case Capability.JOURNAL:
            return [f"the journal {spec.name!r}"]
        case _:
            return ["granted; not available in this release"]


def _cid(digest: bytes | None) -> str:
    if digest is None:
        return ""
    from identity.cid import wasm_cid

    return wasm_cid(digest)
