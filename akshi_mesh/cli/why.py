"""`why ID` and `fsck`: where a thing is, and whether everything is as it must be."""

from typing import TYPE_CHECKING, Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command
from akshi_mesh.errors import BadNews

if TYPE_CHECKING:
    from akshi_mesh.api.shapes import CheckReport


class CheckFailed(BadNews):
    """A check found something; what, stands above."""


def register(app: typer.Typer) -> None:
    command(app, "why")(why)


def why(session: Session, any_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Say where a task, envelope or entry is, or what refused it and what would allow it."""
    answer = session.node().why(any_id)
    session.answer(answer, text="\n".join([f"{answer['kind']} {answer['id']}", *answer["story"]]))
    if answer["hint"] and not session.as_json:
        output.hint(answer["hint"])


def tell_report(session: Session, report: "CheckReport", *, what: str) -> None:
    """Print a report; raise if it is bad news."""
    if session.as_json:
        output.say_json(report)
    else:
        output.say_table(
            ("ok" if finding["ok"] else "bad", finding["what"], finding["why"])
            for finding in report["findings"]
        )
    bad = [finding for finding in report["findings"] if not finding["ok"]]
    if not report["ok"]:
        remedies = dict.fromkeys(finding["remedy"] for finding in bad if finding["remedy"])
        problems = output.plural(len(bad), "problem")
        raise CheckFailed(f"{what} found {problems}", hint="; ".join(remedies))
