"""The report of a check, printed: what is well, what is not, and what to do about it."""

from typing import TYPE_CHECKING

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session
from akshi_mesh.errors import BadNews

if TYPE_CHECKING:
    from akshi_mesh.api.shapes import CheckReport


class CheckFailed(BadNews):
    """A check found something; what, stands above."""


def tell_report(session: Session, report: "CheckReport", *, what: str) -> None:
    """Print a report; raise if it is bad news."""
    if session.as_json:
        output.say_json(report)
    else:
        output.say_table(
            ("ok" if finding["ok"] else "bad", finding["what"], finding["why"])
            for finding in report["findings"]
        )
    if not report["ok"]:
        bad = [finding for finding in report["findings"] if not finding["ok"]]
        remedies = dict.fromkeys(finding["remedy"] for finding in bad if finding["remedy"])
        problems = output.plural(len(bad), "problem")
        raise CheckFailed(f"{what} found {problems}", hint="; ".join(remedies))
