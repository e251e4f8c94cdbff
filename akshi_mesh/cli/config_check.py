"""`config check`: read the configuration, load no agent."""

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command


def register(app: typer.Typer) -> None:
    command(app, "check")(check)
    app.callback()(_group)


def _group() -> None:
    """The configuration file."""


def check(session: Session) -> None:
    """Check runtime.toml and say what it grants."""
    config = session.config()
    for known in config.notes:
        output.note(str(known))
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
