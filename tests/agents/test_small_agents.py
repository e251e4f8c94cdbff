"""scribe, relay and every: which calls they make, in which order, and what they answer."""

import json

import pytest

from sandbox.worker import contract
from tests.agents.fakes import Journal, Mesh, task_own
from tests.agents.harness import FUNCTIONS, AgentFailed, Examples, Host, Refusal


@pytest.mark.parametrize("name", ["echo", "every", "librarian", "reader", "relay", "scribe"])
def test_a_node_accepts_the_component(examples: Examples, name: str) -> None:
    contract.check(examples[name].component, examples[name].engine)


def test_scribe_makes_the_same_four_calls_for_every_task(examples: Examples) -> None:
    """Crash tests kill the node between each of them."""
    host = Host({**task_own(), **Journal().handlers()})
    [answer] = host.run(examples["scribe"], "buy milk")
    assert [name for name, _ in host.calls] == [
        "task.now",
        "task.progress",
        "journal.append",
        "task.progress",
    ]
    assert ("journal.append", ("task", "buy milk")) in host.calls
    assert json.loads(answer) == {"at": "1000", "entry": '{"id": "entry-1"}'}


def test_scribe_reads_back_when_asked(examples: Examples) -> None:
    host = Host({**task_own(), **Journal().handlers()})
    [answer] = host.run(examples["scribe"], "buy milk", "read")
    entries = json.loads(json.loads(answer)["read"])["entries"]
    assert entries == [{"tag": "task", "text": "buy milk"}]


def test_scribe_fails_the_task_when_the_journal_refuses(examples: Examples) -> None:
    with pytest.raises(AgentFailed, match=r"capability-denied: journal.append was not granted"):
        Host(task_own()).run(examples["scribe"], "buy milk")


def test_relay_hands_on_all_but_the_first_word(examples: Examples) -> None:
    mesh = Mesh({"self/relay": lambda text: f"<{text}>"})
    host = Host(mesh.handlers())
    assert host.run(examples["relay"], "self/relay node-2/echo hello you") == [
        "<node-2/echo hello you>"
    ]
    assert mesh.sent == [("self/relay", "node-2/echo hello you")]


def test_relay_fails_with_the_reason_of_the_one_behind_it(examples: Examples) -> None:
    def failing(_text: str) -> str:
        raise AgentFailed("the house is on fire")

    with pytest.raises(AgentFailed, match="the house is on fire"):
        Host(Mesh({"a/b": failing}).handlers()).run(examples["relay"], "a/b hello")
    with pytest.raises(AgentFailed, match="not-allowed: c/d"):
        Host(Mesh({}).handlers()).run(examples["relay"], "c/d hello")
    with pytest.raises(AgentFailed, match="want a target"):
        Host(Mesh({}).handlers()).run(examples["relay"], "hello")


CAPABILITIES = [interface for interface in FUNCTIONS if interface != "task"]


@pytest.mark.parametrize("code", ["capability-denied", "unavailable", "rate-limited", "cancelled"])
def test_every_hears_the_code_of_each_capability_and_lives_on(
    examples: Examples, code: str
) -> None:
    def refuse(*_: object) -> str:
        raise Refusal(code, "not today")

    names = [f"{interface}.{name}" for interface in CAPABILITIES for name in FUNCTIONS[interface]]
    [answer] = Host(dict.fromkeys(names, refuse)).run(examples["every"], "go")
    assert json.loads(answer) == dict.fromkeys(CAPABILITIES, code)


def test_every_says_ok_for_what_was_granted(examples: Examples) -> None:
    host = Host({"filesystem.list-files": lambda *_: '{"files":[],"next":null}'})
    [answer] = host.run(examples["every"], "go")
    expected = dict.fromkeys(CAPABILITIES, "capability-denied")
    assert json.loads(answer) == {**expected, "filesystem": "ok"}
