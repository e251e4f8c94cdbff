"""`mcp list|show|approve` against a node that answers what a hostile server would say."""

import json
from collections.abc import Callable

import pytest

from akshi_mesh.api.client_mcp import McpCalls
from akshi_mesh.cli import mcp
from akshi_mesh.cli.session import Session
from akshi_mesh.errors import UsageError


class Node:
    """What `Client.mcp` calls, answered from here."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []

    @property
    def mcp(self) -> McpCalls:
        return McpCalls(self)

    def call(self, operation: str, /, *, timeout_s: float = 0, **arguments: object) -> object:
        self.asked.append((operation, arguments))
        tool = {
            "agent": "reader",
            "server": "files",
            "tool": "look",
            "state": "changed",
            "approved": '{"description":"Look."}',
            "offered": json.dumps({"description": "\x1b[2J\u202ekey", "more": "x" * 900}),
            "pin": "ab" * 32,
            "at_ms": 0,
        }
        server = {"agent": "reader", "server": "files", "where": "/bin/files", "state": "failed"}
        server |= {"trouble": "it ended", "approved": 1, "waiting": 1}
        answers: dict[str, object] = {"mcp_list": [server], "mcp_look": [tool]}
        return answers.get(operation, tool)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    node = Node()
    monkeypatch.setattr(Session, "node", lambda self: node)
    return node


@pytest.fixture
def session() -> Session:
    return object.__new__(Session)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "as_json", False, raising=False)


def test_both_definitions_are_shown_harmless(
    node: Node, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    mcp.show(session, "reader/files", "look")
    out = capsys.readouterr().out
    assert "approved:\n" in out
    assert "offered now:\n" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert max(len(line) for line in out.splitlines()) < 420


def test_what_is_approved_is_what_was_shown(
    node: Node,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mcp.approve(session, "reader/files", "look", yes=True)
    assert node.asked[-1] == (
        "mcp_approve",
        {"agent": "reader", "server": "files", "tool": "look", "pin": "ab" * 32},
    )


def test_nobody_there_means_no(
    node: Node, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(UsageError, match="nobody can be asked"):
        mcp.approve(session, "reader/files", "look")
    said_no: Callable[[str], bool] = lambda _: False  # noqa: E731
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", said_no)
    with pytest.raises(mcp.NotApproved):
        mcp.approve(session, "reader/files", "look")
    assert [operation for operation, _ in node.asked] == ["mcp_show", "mcp_show"]


@pytest.mark.parametrize("text", ["reader", "/files", "reader/", ""])
def test_a_server_is_named_with_its_agent(node: Node, session: Session, text: str) -> None:
    with pytest.raises(UsageError, match="want AGENT/SERVER"):
        mcp.show(session, text)


def test_servers_are_listed(
    node: Node, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    mcp.list_servers(session)
    mcp.show(session, "reader/files")
    out = capsys.readouterr().out
    assert "reader/files" in out
    assert "1 to approve" in out
    assert "it ended" in out
