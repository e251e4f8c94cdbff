"""The node at a glance, its agents, and why something is as it is."""

import os
from collections.abc import Callable
from importlib import metadata

import trio

from akshi_mesh.api.shapes import Done, NodeStatus, TaskCounts
from akshi_mesh.control.agents import AgentControl
from akshi_mesh.control.approvals import ApprovalControl
from akshi_mesh.control.grants import GrantControl
from akshi_mesh.control.journals import JournalControl
from akshi_mesh.control.mcp import McpControl
from akshi_mesh.control.secrets import SecretControl
from akshi_mesh.control.spend import SpendControl
from akshi_mesh.control.trust import TrustControl
from akshi_mesh.control.why import WhyControl
from akshi_mesh.parts import Parts

STOPPED_S = 0.5  # the kernel needs some ms to take 20 processes down; `stop` waits 1 s for us
_COUNTS = ("sent", "acknowledged", "queued", "expired", "refused")


class NodeControl(
    AgentControl,
    TrustControl,
    GrantControl,
    WhyControl,
    JournalControl,
    SecretControl,
    McpControl,
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
        if self._parts.purse.halted:
            told.append("all paid actions are halted: akshi-node spend show")
        return [*told, *([f"{trouble} ({trouble.hint})"] if trouble else [])]
