"""A component held against a configuration: what each of its imports would be answered there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from akshi_mesh.allowances import allowance, budget
from akshi_mesh.config.model import Config
from akshi_mesh.errors import UsageError
from akshi_mesh.workshop.inspect import Inspected, refusal
from sandbox.agent_spec import AgentSpec
from sandbox.capability import FUNCTIONS, Capability

ALWAYS = "always allowed: it reaches nothing but the task"


@dataclass(frozen=True, slots=True)
class Allowed:
    """One imported function, and what its calls would meet."""

    function: str
    capability: str
    granted: bool
    covers: tuple[str, ...]
    approval: str
    rate: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why no node would run it (empty: one would), and what one agent's configuration gives it."""

    refusals: tuple[str, ...]
    is_quick: bool  # nothing was compiled: only names were looked at
    agent: str | None = None
    functions: tuple[Allowed, ...] = ()
    budget: str = ""
    notes: tuple[str, ...] = field(default=())

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "accepted": None if self.is_quick and not self.refusals else not self.refusals,
            "refusals": list(self.refusals),
        }
        if self.agent is None:
            return facts
        return facts | {
            "agent": self.agent,
            "functions": [
                {
                    "function": one.function,
                    "capability": one.capability or None,
                    "granted": one.granted,
                    "covers": list(one.covers),
                    "approval": one.approval,
                    "rate": one.rate,
                }
                for one in self.functions
            ],
            "budget": self.budget,
            "notes": list(self.notes),
        }


def judge(made: Inspected, config: Config | None, name: str | None, *, quick: bool) -> Verdict:
    """What a node with this configuration would say to this component.

    Raises:
        UsageError: the configuration has no such agent, or several and none was named.
        JailMissing: nothing can be compiled here in a jail; `quick` needs none.
    """
    spec = None if config is None else _spec(made.path, config, name)
    refusals = made.component.problems
    if not refusals and not quick:
        why = refusal(made.path, made.sha256)
        refusals = (why,) if why is not None else ()
    if spec is None:
        return Verdict(refusals, quick)
    pinned = spec.wasm_cid is not None and spec.wasm_cid != made.cid
    if pinned:
        refusals = (*refusals, f"agent {spec.name} may only run {spec.wasm_cid} (wasm_cid)")
    return Verdict(
        refusals,
        quick,
        agent=spec.name,
        functions=tuple(_allowed(spec, one) for one in made.component.functions),
        budget=budget(spec),
        notes=_notes(spec, made),
    )


def _spec(path: Path, config: Config, name: str | None) -> AgentSpec:
    fitting: Sequence[AgentSpec] = config.agents
    if name is not None:
        fitting = [spec for spec in config.agents if spec.name == name]
        if not fitting:
            known = ", ".join(spec.name for spec in config.agents) or "none"
            raise UsageError(f"no agent {name!r} in {config.source}; there: {known}")
    elif len(fitting) > 1:
        here = path.resolve()
        fitting = [spec for spec in fitting if Path(spec.wasm_path).resolve() == here]
    if len(fitting) != 1:
        raise UsageError(
            f"{config.source} does not say as which agent",
            hint="akshi-node agents inspect FILE.wasm -c runtime.toml --agent NAME",
        )
    return fitting[0]


def _allowed(spec: AgentSpec, function: str) -> Allowed:
    known = FUNCTIONS.get(function)
    if known is None:
        return Allowed(function, "", granted=False, covers=(), approval="", rate="")
    if known.capability is None:
        return Allowed(function, "", granted=True, covers=(ALWAYS,), approval="", rate="")
    given = allowance(spec, known.capability)
    if given is None:
        return Allowed(function, known.capability, granted=False, covers=(), approval="", rate="")
    return Allowed(
        function,
        known.capability,
        granted=True,
        covers=given.covers,
        approval=given.approval,
        rate=given.rate,
    )


def _notes(spec: AgentSpec, made: Inspected) -> tuple[str, ...]:
    unused = sorted(spec.capabilities - made.component.capabilities)
    notes = [f"{one} is granted, and this component cannot ask for it" for one in unused]
    needs_money = {Capability.SPEND} & made.component.capabilities & spec.capabilities
    if needs_money and spec.spend is None:
        notes.append("spend is granted, and no budget is set: every charge is refused")
    return tuple(notes)
