"""`config check`: read the configuration, load no agent."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command
from akshi_mesh.config.errors import ConfigError, Problem

if TYPE_CHECKING:
    from akshi_mesh.config.model import Config

# The first bytes of every component; a core module has another version and layer 0.
COMPONENT = b"\0asm\x0d\0\x01\0"
_WASM = COMPONENT[:4]


def register(app: typer.Typer) -> None:
    command(app, "check")(check)
    command(app, "risk")(risk)
    app.callback()(_group)


def _group() -> None:
    """The configuration file."""


def risk(session: Session) -> None:
    """Print how each field of a call is judged."""
    session.rows(
        [
            {"field": field, "tier": tier.value, "weight": weight}
            for field, tier, weight in session.config().risks.items()
        ],
        lambda line: (line["field"], line["tier"], str(line["weight"])),
        empty="no field is judged, and so each is high",
    )


def check(session: Session) -> None:
    """Check runtime.toml and say what it grants."""
    config = session.config()
    for known in config.notes:
        output.note(str(known))
    _look_into_components(config)
    agents = [
        {
            "name": agent.name,
            "wasm_path": agent.wasm_path,
            "capabilities": sorted(agent.capabilities),
            "peers": list(agent.peers_allowed),
            "filesystem": list(agent.filesystem_allowed),
        }
        for agent in config.agents
    ]
    source = config.source or "no file, all defaults"
    lines = [f"{source}: ok, {output.plural(len(agents), 'agent')}"]
    for agent in config.agents:
        granted = ", ".join(sorted(agent.capabilities)) or "no capabilities"
        lines.append(f"agent {agent.name}: {granted}")
    session.answer(
        {
            "ok": True,
            "source": config.source,
            "listen": str(config.mesh.listen) if config.mesh.listen else None,
            "network": config.mesh.network,
            "peers": [str(peer) for peer in config.mesh.peers],
            "agents": agents,
            "notes": [str(known) for known in config.notes],
        },
        text="\n".join(lines),
    )


def _look_into_components(config: "Config") -> None:
    """Raise if the first bytes of an agent's file say that it can never run.

    `run` starts all the same, without that agent: the others are not to suffer for it.
    """
    file = Path(config.source).name if config.source else ""
    problems = [
        Problem(file, None, f"agent {agent.name!r}: {agent.wasm_path}: {why}")
        for agent in config.agents
        if (why := _why_no_component(Path(agent.wasm_path)))
    ]
    if problems:
        raise ConfigError(problems)


def _why_no_component(path: Path) -> str:
    with path.open("rb") as opened:
        first = opened.read(len(COMPONENT))
    if first == COMPONENT:
        return ""
    if first.startswith(_WASM):
        return "a wasm module and not a component: make one with `wasm-tools component new`"
    return "not wasm"
