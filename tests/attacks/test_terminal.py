"""Log and terminal injection: what a guest or a peer writes is text, wherever a person reads it.

The words go the whole way of each: a guest's log line through the gate into a real log, and every
command that prints strangers' words over a node whose every answer is hostile.
"""

import json
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
import trio
import trio.testing

from akshi_mesh import agent_ports
from akshi_mesh.cli import approvals, audit, output, status, task, why
from akshi_mesh.cli.session import Session
from akshi_mesh.config.model import TelemetryConfig
from akshi_mesh.errors import OperatorError
from akshi_mesh.logs import VALUE_CHARS_MAX, configure_logs
from sandbox.audit import AuditRecord
from sandbox.host.attempt import Attempt
from sandbox.hostcall import Call
from tests.akshi_mesh.api.fake_approvals import question
from tests.akshi_mesh.api.fakes import TASK_ID, FakeControl
from tests.akshi_mesh.api.fakes import task as ended_task
from tests.sandbox.fakes import FakeNode, spec
from tests.sandbox.fakes import task as task_run

HOSTILE = {
    "escapes": "x\x1b[2J\x1b]8;;http://evil\x07\x9b31m\x1b[1A",
    "lines": "x\r\nforged a line\nforged another\u2028forged a third\u2029forged\x85forged\vforged",
    "bidi": "x\u202e\u2066\u200f\u2069deulav",
    "unsaid": "x\0\ud800\ufeff\u00ad\x7f\b\b\b",
}
words = pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE.keys())


def check_is_inert(shown: str) -> None:
    """No character but plain ones and the ends of our own lines; no line that they began."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    harmful = [c for c in shown if c != "\n" and unicodedata.category(c) in kinds]
    assert harmful == []
    assert not [line for line in shown.splitlines() if line.lstrip().startswith("forged")]


# What a guest writes.


@pytest.fixture
def logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Begin to log in this format; call it in the test, whose stderr it is."""

    def begin(log_format: Any) -> None:
        configure_logs(TelemetryConfig(log_format=log_format))
        # The module's own logger keeps the stream of whoever logged first in this process.
        monkeypatch.setattr(agent_ports, "log", structlog.get_logger())

    yield begin
    structlog.reset_defaults()


@words
@pytest.mark.parametrize("log_format", ["pretty", "compact", "json"])
async def test_a_guests_log_line(
    words: str,
    log_format: str,
    logging: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging(log_format)
    node = FakeNode()
    node.guest_said = agent_ports.AgentLog().guest_said  # type: ignore[method-assign]
    attempt = Attempt(node.boundary().desk(spec()), task_run())
    said = words.replace("\ud800", "")  # no worker can send half a character
    await attempt.answer(Call(0, "task.log", ("error", said)))
    await attempt.answer(Call(1, "task.log", ("info", "y" * 100_000)))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    for line in lines:
        check_is_inert(line)
        assert len(line) < VALUE_CHARS_MAX + 300
    if log_format == "json":
        assert json.loads(lines[0])["event"] == "agent.said"


def test_a_guest_adds_no_fact_to_its_log_line(
    logging: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A blank of another script does not end a value."""
    logging("pretty")
    for blank in (" ", "\u00a0", "\u3000", "\u2003"):
        text = f"hi{blank}agent=root"
        agent_ports.AgentLog().guest_said(agent="a", task_id=b"", level="info", text=text)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith(f"text={text!r}")


@words
async def test_a_target_in_the_audit_log(words: str) -> None:
    """In the log it is what was asked, to the byte and no more than a line's length of it."""
    node = FakeNode()
    attempt = Attempt(node.boundary().desk(spec()), task_run())
    said = words.replace("\ud800", "").replace("\0", "")
    for number, path in enumerate([f"/shelf/{said}", "/shelf/" + "y" * 100_000]):
        await attempt.answer(Call(number, "filesystem.read-file", (path,)))
    for record in node.state.audit:
        assert AuditRecord.from_cbor(record.to_cbor()) == record
        assert len(record.detail) <= 256
    assert len(node.state.audit) == 2


# What a person reads.


def poisoned(value: Any, words: str, keep: tuple[str, ...]) -> Any:
    """`value` with every text replaced, but those that our own code has chosen."""
    if isinstance(value, dict):
        return {
            key: below if key in keep else poisoned(below, words, keep)
            for key, below in value.items()
        }
    if isinstance(value, list):
        return [poisoned(below, words, keep) for below in value]
    return words if isinstance(value, str) else value


OURS = ("kind", "delivery", "direction", "level", "minimum", "id", "hash", "scope", "tier")


class HostileNode:
    """Answers of the right shape that hold a stranger's words in every place for text."""

    def __init__(self, words: str) -> None:
        self._words = words
        self.approvals = self

    def _said(self, value: Any, *keep: str) -> Any:
        return poisoned(value, self._words, (*OURS, *keep))

    def status(self) -> Any:
        return self._said(trio.run(FakeControl().status))

    def agents(self) -> Any:
        return self._said(trio.run(FakeControl().agents))

    def peers(self) -> Any:
        return self._said(trio.run(FakeControl().peers))

    def audit_tail(self, *, limit: int, agent: str | None) -> Any:
        line = trio.run(lambda: FakeControl().audit_tail(limit=limit, agent=agent))
        return self._said([*line, *line])

    def task_get(self, _id: str) -> Any:
        return self._said(ended_task(), "state")

    def task_list(self, *, state: str | None, limit: int) -> Any:
        return self._said([ended_task(), ended_task()], "state")

    def task_watch(self, _id: str) -> Any:
        yield self._said({"state": "x", "text": "half way", "final": False, "task": None})
        failed = ended_task("TASK_STATE_FAILED")
        yield {"state": "x", "text": "", "final": True, "task": self._said(failed, "state")}

    def why(self, _id: str) -> Any:
        return self._said({"id": "i", "kind": "task", "story": ["sent", "refused"], "hint": "do"})

    def journals(self) -> Any:
        return self._said(trio.run(FakeControl().journals))

    def listed(self, **_: Any) -> Any:
        return [self.show("")]

    def show(self, _id: str) -> Any:
        return self._said(question(chain=["x"], secrets=["x"], why="x"), "state", "answer_state")


COMMANDS: dict[str, Callable[[Session], object]] = {
    "status": status.status,
    "peers": status.peers,
    "audit tail": audit.tail,
    "approvals list": approvals.list_approvals,
    "approvals show": lambda session: approvals.show(session, "apr-1"),
    "task get": lambda session: task.get(session, TASK_ID),
    "task list": task.list_tasks,
    "task watch": lambda session: task.watch(session, TASK_ID),
    "why": lambda session: why.why(session, TASK_ID),
}


@words
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_prints_what_strangers_wrote(
    name: str,
    as_json: bool,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    node = HostileNode(words)
    monkeypatch.setattr(Session, "node", lambda self: node)
    monkeypatch.setattr(Session, "as_json", as_json, raising=False)
    monkeypatch.setattr(task, "_names", lambda session: lambda did: words)
    try:
        COMMANDS[name](object.__new__(Session))
    except OperatorError as failure:  # as `main` tells it
        output.error(str(failure))
    captured = capsys.readouterr()
    assert captured.out + captured.err
    check_is_inert(_without_the_answer(captured.out, name, words))
    check_is_inert(captured.err)


def _without_the_answer(shown: str, name: str, words: str) -> str:
    """The text that a task came to may have lines of its own: it is the answer itself."""
    if name != "task get":
        return shown
    return shown.replace("\nforged", "\n  its answer: forged")


def test_the_answer_of_a_task_is_lines_of_text_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node = HostileNode("")
    answer = {**ended_task(), "text": "one\n\ttwo\x1b[2J\u202e"}
    monkeypatch.setattr(
        HostileNode, "task_watch", lambda *_: iter([{"task": answer, "final": True}])
    )
    monkeypatch.setattr(Session, "node", lambda self: node)
    monkeypatch.setattr(Session, "as_json", False, raising=False)
    task.watch(object.__new__(Session), TASK_ID)
    assert capsys.readouterr().out == "one\n\ttwo\\x1b[2J\\u202e\n"
