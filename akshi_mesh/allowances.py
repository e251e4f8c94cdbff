"""What an agent's configuration allows it, in the words of its owner: one line a rule.

Used for agents that run and for files that might; what it says is what the gate decides by.
"""

from dataclasses import dataclass

from sandbox.agent_spec import AgentSpec
from sandbox.approvals import RULE_DEFAULT, ApprovalRule
from sandbox.capability import Capability


@dataclass(frozen=True, slots=True)
class Allowance:
    """One granted capability: what it reaches, when a person is asked, how often it may be used."""

    covers: tuple[str, ...]
    approval: str
    rate: str


def allowance(spec: AgentSpec, capability: Capability) -> Allowance | None:
    """What `spec` grants of a capability; None if nothing."""
    if capability not in spec.capabilities:
        return None
    rate = spec.rates.get(capability)
    return Allowance(
        covers=tuple(_covers(spec, capability)),
        approval=_asked(spec.approval.get(capability, RULE_DEFAULT)),
        rate=str(rate) if rate is not None else "",
    )


def budget(spec: AgentSpec) -> str:
    """What the agent may spend in all; empty if nothing was set, and then nothing may be."""
    if spec.spend is None:
        return ""
    policy = spec.spend
    action = f", at most {policy.per_action} an action" if policy.per_action is not None else ""
    simulated = ", in simulation" if policy.simulation else ""
    return f"{policy.daily} a day{action}{simulated}"


def _asked(rule: ApprovalRule) -> str:
    if rule.when == "never":
        return "never"
    people = f", {rule.quorum} people" if rule.quorum > 1 else ""
    when = "always" if rule.when == "always" else f"at {rule.when} risk"
    return f"{when}, waits {rule.timeout_s} s{people}"


def _covers(spec: AgentSpec, capability: Capability) -> list[str]:
    """What a granted capability reaches, as its owner wrote it."""
    match capability:
        case Capability.A2A:
            return list(spec.peers_allowed) or ["nobody: [agents.peers] allowed is empty"]
        case Capability.FILESYSTEM:
            return list(spec.filesystem_allowed) or [
                "nothing: [agents.filesystem] allowed is empty"
            ]
        case Capability.HTTP_FETCH:
            return [str(rule) for rule in spec.endpoints] or [
                "nowhere: [agents.endpoints] allowed is empty"
            ]
        case Capability.MCP:
            return [
                f"{server.name}/{tool}" for server in spec.mcp_servers for tool in server.tools
            ] or ["nothing: no [[agents.mcp_servers]] with tools"]
        case Capability.SPEND if spec.spend is not None:
            rails = ", ".join(spec.spend.rails) or "no rail"
            return [f"{budget(spec)} by {rails}"]
        case Capability.SPEND:
            return ["nothing: no [agents.spend]"]
        case Capability.JOURNAL:
            return [f"the journal {spec.name!r}"]
        case Capability.DATABASE:
            return ["a database of its own"]
        case Capability.INFERENCE:
            return ["the routes of [router]"]
