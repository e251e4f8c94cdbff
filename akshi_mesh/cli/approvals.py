"""`approvals list|show|approve|deny|watch`: agents ask, a person answers."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from akshi_mesh.cli import approval_view, output
from akshi_mesh.cli.session import Session, command
from akshi_mesh.errors import Refused, UsageError
from akshi_mesh.inert import inert

if TYPE_CHECKING:
    from akshi_mesh.api.client_approvals import Decision
    from akshi_mesh.api.shapes_approvals import ApprovalInfo

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Whole, or apr- and 4 digits.")
]
AgentOption = Annotated[
    str | None, typer.Option("--agent", metavar="AGENT", help="Only what this agent asks.")
]
CapabilityOption = Annotated[
    str | None, typer.Option("--capability", metavar="NAME", help="Only this kind of act.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Everything that waits.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask whether all are meant.")]
NoteOption = Annotated[
    str | None, typer.Option("--note", metavar="TEXT", help="For the agent to read.")
]


class AnswerRefused(Refused):
    """An answer did not count."""


def register(app: typer.Typer) -> None:
    command(app, "list")(list_approvals)
    command(app, "show")(show)
    command(app, "approve")(approve)
    command(app, "deny")(deny)
    command(app, "watch")(watch)


def list_approvals(
    session: Session,
    *,
    agent: AgentOption = None,
    capability: CapabilityOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
) -> None:
    """List what waits for a person, here and on nodes that ask this one."""
    infos = session.node().approvals.listed(
        state="all" if everything else None, agent=agent, capability=capability
    )
    session.rows(infos, approval_view.row, empty="nothing waits for a person")


def show(session: Session, id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show all that is known of one question, and what an answer binds to."""
    info = session.node().approvals.show(id)
    if session.as_json:
        output.say_json(info)
        return
    for label, text in approval_view.page(info):
        print(inert(f"{label:<9} {text}" if label else text), flush=True)
    if info["state"] == "pending":
        output.hint(f"akshi-node approvals approve {info['id']}")


def approve(
    session: Session,
    ids: Ids = None,
    *,
    agent: AgentOption = None,
    capability: CapabilityOption = None,
    everything: AllOption = False,
    note: NoteOption = None,
    yes: YesOption = False,
) -> None:
    """Say yes to one question, or to all of an agent or a capability."""
    questions = _meant(session, ids, agent, capability, everything=everything)
    _answer(session, questions, "approve", note, ask=not (ids or yes))


def deny(
    session: Session,
    ids: Ids = None,
    *,
    agent: AgentOption = None,
    capability: CapabilityOption = None,
    everything: AllOption = False,
    note: NoteOption = None,
    yes: YesOption = False,
) -> None:
    """Say no to one question, or to all of an agent or a capability."""
    questions = _meant(session, ids, agent, capability, everything=everything)
    _answer(session, questions, "deny", note, ask=not (ids or yes))


def watch(session: Session) -> None:
    """Print what waits, and each question as it comes and changes, until interrupted."""
    for info in session.node().approvals.watch():
        if session.as_json:
            output.say_json(info)
            continue
        output.say_table([approval_view.row(info)])
        if info["state"] == "pending" and info["answer"] is None:
            output.hint(f"akshi-node approvals show {info['id']}")


def _meant(
    session: Session,
    ids: list[str] | None,
    agent: str | None,
    capability: str | None,
    *,
    everything: bool,
) -> "list[ApprovalInfo]":
    """The questions that the arguments name, as they are now."""
    by_filter = agent is not None or capability is not None or everything
    if bool(ids) == by_filter:
        raise UsageError(
            "want ids, or --agent, --capability or --all", hint="akshi-node approvals list"
        )
    calls = session.node().approvals
    if ids:
        return [calls.show(id) for id in ids]
    waiting = calls.listed(agent=agent, capability=capability)
    return [info for info in waiting if info["answer"] is None]


def _answer(
    session: Session,
    questions: "list[ApprovalInfo]",
    decision: "Decision",
    note: str | None,
    *,
    ask: bool,
) -> None:
    """Answer exactly these, and say how many."""
    if not questions:
        output.note("nothing of that waits for a person")
        return
    if ask:
        _confirm(questions, decision)
    answered = session.node().approvals.answer(questions, decision, note=note)
    failed = [one for one in answered if not one["ok"]]
    for one, question in zip(answered, questions, strict=True):
        if session.as_json:
            output.say_json(one)
        elif one["ok"]:
            output.say(f"{question['id']} {one['state']}")
        else:
            output.error(one["why"])
    done = output.plural(len(answered) - len(failed), "answer")
    if failed:
        raise AnswerRefused(f"{done} given, {len(failed)} did not count")
    if len(answered) > 1:
        output.note(f"{done} given")


def _confirm(questions: "list[ApprovalInfo]", decision: str) -> None:
    """Show what is meant, and how many, before it happens.

    Raises:
        AnswerRefused: the person said no, or there is nobody to ask.
    """
    for question in questions:
        print("  ".join(approval_view.row(question)), file=sys.stderr)
    count = output.plural(len(questions), "question")
    if not sys.stdin.isatty():
        raise AnswerRefused(f"{count} would be answered: {decision}; say --yes if they are meant")
    print(f"{decision} {count}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise AnswerRefused("nothing was answered")
