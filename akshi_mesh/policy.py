"""What peers may do here: trust and configuration, asked anew at every question.

One value answers both engines: may this peer task that agent, may it share this journal,
is that author's writing kept. Every no comes as a sentence that its reader can act on.
"""

from collections.abc import Collection, Mapping

from akshi_mesh.config.model import Config
from akshi_mesh.trust_book import TrustBook
from identity.did import Did
from sandbox.agent_spec import AgentSpec
from sync.proto.task_states import REFUSED_RIGHT


class NodePolicy:
    """The task engine's `TaskPolicy` and the journal engine's `Policy`."""

    def __init__(self, config: Config, *, me: bytes, trust: TrustBook) -> None:
        self._me = me
        self._trust = trust
        self._agents: Mapping[str, AgentSpec] = {spec.name: spec for spec in config.agents}
        self._mesh = frozenset(j.name for j in config.journals if j.scope == "mesh")

    def may_task(self, peer: bytes, agent: str) -> str | None:
        """None, or why not; rights are checked first, so that names of agents stay private."""
        if peer != self._me and not self._trust.covers(peer, "a2a", agent):
            command = f"akshi-node trust add {Did(peer)} --allow a2a:{agent}"
            return f"{REFUSED_RIGHT}a2a:{agent}; there: {command}"
        if agent not in self._agents:
            return f"no agent {agent!r} on this node"
        return None

    def slots(self, agent: str) -> int:
        spec = self._agents.get(agent)
        return spec.workers if spec else 0

    def mesh_journals(self) -> Collection[str]:
        return self._mesh

    def may_sync(self, peer: bytes, journal: str) -> bool:
        return journal in self._mesh and self._trust.covers(peer, "journal", journal)

    def author_admitted(self, journal: str, node: bytes) -> bool:
        return node == self._me or (
            journal in self._mesh and self._trust.covers(node, "journal", journal)
        )
