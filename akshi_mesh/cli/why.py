"""`why ID`: where a task, an envelope or an entry is, or which rule refused it."""

from typing import Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command
from akshi_mesh.inert import inert


def register(app: typer.Typer) -> None:
    command(app, "why")(why)


def why(session: Session, any_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Say where a task, envelope or entry is, or what refused it and what would allow it."""
    answer = session.node().why(any_id)
    # Each on a line of its own: what a peer said in one makes no second.
    story = map(inert, answer["story"])
    session.answer(answer, text="\n".join([f"{answer['kind']} {answer['id']}", *story]))
    if answer["hint"] and not session.as_json:
        output.hint(answer["hint"])
