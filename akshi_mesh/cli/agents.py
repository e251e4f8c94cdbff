"""`agents list` and `agents caps`: who lives here, and what each may do."""

from typing import Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command


def register(app: typer.Typer) -> None:
    command(app, "list")(list_agents)
    command(app, "caps")(caps)


def list_agents(session: Session) -> None:
    """List the agents of the running node."""
    session.rows(
        session.node().agents(),
        lambda agent: (
            agent["name"],
            agent["state"] + (f": {agent['why']}" if agent["why"] else ""),
            ",".join(agent["capabilities"]) or "-",
            agent["did"],
        ),
        empty=f"no agents; write [[agents]] in {session.home.config_path}",
    )


def caps(session: Session, name: Annotated[str, typer.Argument(metavar="AGENT")]) -> None:
    """Show what an agent may do, and with whom."""
    answer = session.node().agent_caps(name)
    if session.as_json:
        output.say_json(answer)
        return
    rows = [
        (capability, "granted", " ".join(covers) or "-")
        for capability, covers in sorted(answer["capabilities"].items())
    ]
    output.say_table(rows + [(capability, "denied", "") for capability in answer["denied"]])
