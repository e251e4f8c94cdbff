"""`task send|get|list|watch|cancel`: work for agents, here and elsewhere."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.given import given_text
from akshi_mesh.cli.session import Session, command
from akshi_mesh.cli.spans import span_s
from akshi_mesh.errors import BadNews, Refused, Unreachable, UsageError
from akshi_mesh.inert import inert

if TYPE_CHECKING:
    from akshi_mesh.api.shapes import TaskInfo, TaskReplayed

COMPLETED = "TASK_STATE_COMPLETED"
REJECTED = "TASK_STATE_REJECTED"
CANCELED = "TASK_STATE_CANCELED"
STATES = (
    *("submitted", "working", "completed", "failed", "canceled", "rejected"),
    *("input-required", "auth-required"),
)
# What people say where A2A has another word.
_ALSO = {"queued": "submitted", "cancelled": "canceled", "refused": "rejected"}
# As JSON: of the 60 KiB of an envelope, what signature, ids and names leave for certain.
TEXT_BYTES_MAX = 58 * 1024
EXPIRES_S_MAX = 7 * 86_400

TaskId = Annotated[str, typer.Argument(metavar="ID", help="Whole, or its first 8 digits.")]


class TaskFailed(BadNews):
    """The task ended, and not well."""


class TaskRefused(Refused):
    """The peer, or this node, said no; nothing was done."""


class WentAnotherWay(BadNews):
    """Run again, the task did something else."""


class NotYet(Unreachable):
    """The task waits; its answer has not come in the time we were given."""


def register(app: typer.Typer) -> None:
    command(app, "send")(send)
    command(app, "get")(get)
    command(app, "list")(list_tasks)
    command(app, "watch")(watch)
    command(app, "cancel")(cancel)
    command(app, "replay")(replay)


def send(
    session: Session,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="did:key:…/agent, name/agent or self/agent.")
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The message; - reads it here.")],
    *,
    wait: Annotated[bool, typer.Option(help="Wait for the answer and print it.")] = True,
    timeout: Annotated[str, typer.Option(metavar="TIME", help="How long to wait.")] = "30s",
    expires: Annotated[
        str, typer.Option(metavar="TIME", help="How long delivery may take; at most 7d.")
    ] = "24h",
    message_id: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="The same id twice is the same task."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="CAP", help="The task may use this at most; repeatable."),
    ] = None,
) -> None:
    """Send a task to an agent and print its answer."""
    wait_s, expires_s = span_s(timeout), span_s(expires)
    if expires_s > EXPIRES_S_MAX:
        raise UsageError(f"--expires {expires}: at most 7d")
    if "/" not in target:
        raise UsageError(
            f"target {target!r}: want NODE/AGENT", hint=f"akshi-node task send self/{target} TEXT"
        )
    words = _message(text)
    node = session.node()
    task = node.task_send(
        target, words, message_id=message_id, expires_s=expires_s, scope=scope or None
    )
    if not wait:
        session.answer(task, text=task["id"])
        return
    if not task["final"]:
        task = node.task_wait(task["id"], timeout_s=wait_s)
    if not task["final"]:
        question = _question(session, task["id"])
        why = task["why"] or ("a person is asked" if question else "")
        raise NotYet(
            f"no answer within {timeout}; task {task['id']} is {_state(task)}"
            + (f": {why}" if why else ""),
            hint=task["hint"] or question or f"akshi-node task watch {task['id'][:8]}",
        )
    _tell_ended(session, task)


def _question(session: Session, task_id: str) -> str:
    """The command that shows for which answer of ours a task waits; empty if for none."""
    waiting = session.node().approvals.listed(state="pending")
    ids = (info["id"] for info in waiting if info["task_id"] == task_id)
    return next((f"akshi-node approvals show {question}" for question in ids), "")


def get(session: Session, task_id: TaskId) -> None:
    """Show one task."""
    task = session.node().task_get(task_id)
    if session.as_json:
        output.say_json(task)
        return
    output.say_table(
        [
            ("id      ", task["id"]),
            ("agent   ", _address(task, _names(session))),
            ("state   ", _state(task)),
            ("delivery", task["delivery"] + (f": {task['why']}" if task["why"] else "")),
            ("created ", output.when(task["created_ms"])),
            ("expires ", output.when(task["expires_ms"])),
        ]
    )
    if task["text"]:
        output.say(task["text"])
    if task["hint"]:
        output.hint(task["hint"])


def list_tasks(
    session: Session,
    *,
    state: Annotated[
        str | None,
        typer.Option(metavar="STATE", help="Only these: " + ", ".join(STATES) + "."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 20,
) -> None:
    """List tasks, the newest first."""
    a2a = None if state is None else _a2a(state)
    tasks, names = session.node().task_list(state=a2a, limit=limit), _names(session)
    session.rows(
        tasks,
        lambda task: (
            task["id"],
            output.when(task["created_ms"]),
            task["direction"],
            _state(task) if task["final"] else f"{_state(task)}, {task['delivery']}",
            _address(task, names),
        ),
        empty="no tasks",
    )


def watch(session: Session, task_id: TaskId) -> None:
    """Follow a task until it ends."""
    for event in session.node().task_watch(task_id):
        if event["task"] is not None and event["final"]:
            _tell_ended(session, event["task"])
            return
        session.answer(event, text=inert(f"{_plain(event['state'])}  {event['text']}").rstrip())
    raise NotYet("the node ended before the task did", hint="akshi-node run")


def replay(session: Session, task_id: TaskId) -> None:
    """Run a task that has ended once more, answered as it was then, and compare."""
    told = session.node().task_replay(task_id)
    session.answer(told, text="" if told["differs"] else _same(told))
    if told["differs"]:
        hint = "" if told["module"] == told["module_then"] else "its module is another one now"
        raise WentAnotherWay(f"task {told['id'][:8]}: {told['differs']}", hint=hint)


def _same(told: "TaskReplayed") -> str:
    calls = output.plural(told["calls"], "call")
    return f"the same: {calls}, and the same answer, in a fresh worker of {told['agent']}"


def cancel(session: Session, task_id: TaskId) -> None:
    """Ask for a task to be stopped."""
    task = session.node().task_cancel(task_id)
    session.answer(task, text=f"{task['id']} is {_state(task)}")


def _tell_ended(session: Session, task: "TaskInfo") -> None:
    """The answer of a task that is over; bad news is an error with its reason."""
    if task["state"] == COMPLETED:
        session.answer(task, text=task["text"])
        return
    if session.as_json:
        output.say_json(task)
    if task["state"] == CANCELED:
        why = f": {task['why']}" if task["why"] else ""
        raise TaskFailed(f"task {task['id']} was cancelled{why}")
    why = task["why"] or task["text"] or "no reason given"
    if task["delivery"] == "refused" or task["state"] == REJECTED:
        raise TaskRefused(f"task {task['id']} refused: {why}", hint=task["hint"])
    how = "expired" if task["delivery"] == "expired" else _state(task)
    raise TaskFailed(f"task {task['id']} {how}: {why}", hint=task["hint"])


def _message(text: str) -> str:
    words = given_text(text)
    size = len(json.dumps(words, ensure_ascii=False).encode())
    if size > TEXT_BYTES_MAX:
        raise UsageError(f"the text has {size} bytes as json, a task holds {TEXT_BYTES_MAX}")
    return words


def _a2a(state: str) -> str:
    """The A2A name of a state, which may be typed whole or short."""
    short = _plain(state.upper().replace("-", "_"))
    short = _ALSO.get(short, short)
    if short not in STATES:
        raise UsageError(f"state {state[:40]!r}: want one of {', '.join(STATES)}")
    return "TASK_STATE_" + short.upper().replace("-", "_")


def _names(session: Session) -> Callable[[str], str]:
    """How people here call the node of a DID."""
    from identity.did import Did
    from identity.files import load_trust

    trust = load_trust(session.home.path)
    return lambda did: trust.name_of(Did.parse(did).public_key)


def _address(task: "TaskInfo", name_of: Callable[[str], str]) -> str:
    node = "self" if task["direction"] == "local" else name_of(task["peer"])
    return f"{node}/{task['agent']}"


def _state(task: "TaskInfo") -> str:
    return _plain(task["state"])


def _plain(state: str) -> str:
    return state.removeprefix("TASK_STATE_").lower().replace("_", "-")
