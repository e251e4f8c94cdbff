"""`audit tail`: what agents did, and what they were refused."""

from typing import Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command


def register(app: typer.Typer) -> None:
    command(app, "tail")(tail)
    app.callback()(_group)


def _group() -> None:
    """The record of what agents did and were refused."""


def tail(
    session: Session,
    *,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=10_000)] = 20,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="Only this one's.")] = None,
) -> None:
    """Print the newest records of the audit log, oldest first."""
    node = session.node()
    records = node.audit_tail(limit=limit, agent=agent)
    if agent is not None and not records and all(agent != one["name"] for one in node.agents()):
        from akshi_mesh.api.errors import NotKnown

        raise NotKnown(f"no agent {agent!r} here", hint="akshi-node agents list")
    session.rows(
        records,
        lambda record: (
            output.when(record["at_ms"]),
            record["agent"],
            record["event"],
            record["function"],
            record["code"] or "-",
            f"{record['count']}×" if record["count"] > 1 else "",
            record["detail"],
        ),
        empty="the audit log is empty",
    )
