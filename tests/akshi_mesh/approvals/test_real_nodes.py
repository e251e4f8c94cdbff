"""Real nodes, real guests, the command line: a person here or elsewhere says yes or no."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.promises import world
from tests.promises.world import Node, agent

APPROVAL = "[agents.approval]\njournal = true\n"
WAIT_S = world.WAIT_S


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Node, Node]]:
    """A node whose agent must ask, and the laptop of its operator."""
    with world.directory() as directory:
        laptop = world.node(directory, "laptop")
        scribe = agent("scribe", "scribe", capabilities=["journal"]) + APPROVAL
        did = laptop.must("whoami").out.split()[0]
        operators = f'[approval]\noperators = ["{did}"]\n'
        host = world.node(directory, "host", operators + scribe)
        with world.running(host, laptop):
            host.trust(laptop)
            laptop.trust(host)
            world.wait_until(lambda: host.is_linked(laptop.did), "link")
            yield host, laptop


def sent(node: Node, text: str) -> str:
    return str(node.process.client.task_send("self/scribe", text)["id"])


def ended(node: Node, task_id: str) -> dict[str, Any]:
    return dict(node.process.client.task_wait(task_id, timeout_s=WAIT_S))


def waiting(node: Node) -> dict[str, Any]:
    """The one question that waits, once there is one."""

    def pending() -> list[dict[str, Any]]:
        return node.must("approvals", "list", "--json").objects

    world.wait_until(pending, "question")
    (question,) = pending()
    return question


def entries(node: Node) -> list[str]:
    found = node.must("journal", "read", "scribe", "--json").objects
    return [entry["text"] for entry in found]


def test_a_person_on_the_node_says_yes(pair: tuple[Node, Node]) -> None:
    host, _ = pair
    task_id = _asked_after_the_pause(host, "remember the milk")
    question = waiting(host)
    assert "approvals waiting: 1" in host.must("status").out
    told = host.must("why", task_id)
    assert f"it waits for a person: {question['id']}" in told.out
    assert f"approvals show {question['id']}" in told.err
    shown = host.must("approvals", "show", question["id"][:10]).out
    assert question["request_sha256"] in shown
    assert question["hash"] in shown
    assert question["agent"] == "scribe"
    assert host.must("approvals", "approve", question["id"]).out == f"{question['id']} approved\n"
    assert ended(host, task_id)["state"] == "TASK_STATE_COMPLETED"
    assert any("milk" in text for text in entries(host))
    again = host.type("approvals", "approve", question["id"])
    assert (again.code, "is used" in again.err) == (3, True)
    lines = host.must("audit", "tail", "--agent", "scribe", "--json", "-n", "500").objects
    events = [line["event"] for line in lines if line["task_id"] == task_id]
    assert events.count("consumed") == events.count("approved") == 1


def test_a_task_for_an_agent_that_is_stopped_says_so(pair: tuple[Node, Node]) -> None:
    host, _ = pair
    host.must("agents", "stop", "scribe")
    try:
        late = host.type("task", "send", "self/scribe", "later", "--timeout", "1s")
        assert late.code == 4
        assert "agent scribe is stopped: its owner has stopped it" in late.err
        (agent_row,) = host.must("status", "--json").objects[0]["agents"]
        assert agent_row["tasks_waiting"] == 1
        (task,) = host.must("task", "list", "--limit", "1", "--json").objects
        host.must("task", "cancel", task["id"])
    finally:
        host.must("agents", "start", "scribe")


def test_a_person_says_no_and_the_agent_lives_on(pair: tuple[Node, Node]) -> None:
    host, _ = pair
    before = entries(host)
    task_id = _asked_after_the_pause(host, "remember nothing")
    host.must("approvals", "deny", waiting(host)["id"], "--note", "not this")
    task = ended(host, task_id)
    assert "approval_denied: not this" in json.dumps(task) or "approval-denied" in json.dumps(task)
    assert entries(host) == before


def test_the_operator_answers_from_another_node(pair: tuple[Node, Node]) -> None:
    host, laptop = pair
    world.wait_until(lambda: not host.must("approvals", "list", "--json").objects, "quiet")
    task_id = _asked_after_the_pause(host, "remember the bread")
    question = waiting(laptop)
    assert question["name"] == "host"
    assert question["node"] == host.did
    assert f"scribe on {laptop.must('approvals', 'list').out.split(' on ')[1].split()[0]}" == (
        "scribe on host"
    )
    assert "on its way" in laptop.must("approvals", "approve", question["id"]).out
    assert ended(host, task_id)["state"] == "TASK_STATE_COMPLETED"
    assert any("bread" in text for text in entries(host))
    world.wait_until(
        lambda: (
            laptop.must("approvals", "show", question["id"], "--json").objects[0]["state"]
            in ("approved", "used")
        ),
        "confirmation",
    )
    seen = laptop.must("approvals", "show", question["id"], "--json").objects[0]
    assert (seen["answer"], seen["answer_state"]) == ("approve", "counted")
    assert seen["votes"][0]["operator"] == laptop.did


def test_a_question_survives_a_restart(pair: tuple[Node, Node]) -> None:
    host, _ = pair
    task_id = _asked_after_the_pause(host, "remember the eggs")
    question = waiting(host)
    host.start()
    assert waiting(host)["id"] == question["id"]
    host.must("approvals", "approve", question["id"])
    assert ended(host, task_id)["state"] == "TASK_STATE_COMPLETED"
    assert sum("eggs" in text for text in entries(host)) == 1


def test_a_cancelled_task_takes_its_question_back(pair: tuple[Node, Node]) -> None:
    host, _ = pair
    task_id = _asked_after_the_pause(host, "never mind")
    question = waiting(host)
    host.must("task", "cancel", task_id)
    world.wait_until(
        lambda: (
            host.must("approvals", "show", question["id"], "--json").objects[0]["state"]
            == "withdrawn"
        ),
        "withdrawal",
    )


def test_watch_tells_what_comes_and_goes(pair: tuple[Node, Node]) -> None:
    host, _ = pair
    told: list[dict[str, Any]] = []

    def look() -> None:
        for info in host.process.client.approvals.watch():
            told.append(dict(info))
            if info["state"] not in ("pending", "approved"):
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    task_id = _asked_after_the_pause(host, "remember the jam")
    host.must("approvals", "approve", "--agent", "scribe", "--yes")
    ended(host, task_id)
    watcher.join(WAIT_S)
    assert (told[0]["state"], told[-1]["state"]) == ("pending", "used")


def _asked_after_the_pause(node: Node, text: str) -> str:
    """A task whose question is asked: after a no, an agent must wait for a moment."""
    found: list[str] = []

    def asked() -> bool:
        found.append(sent(node, text))
        world.wait_until(
            lambda: (
                node.must("approvals", "list", "--json").objects
                or node.process.client.task_get(found[-1])["final"]
            ),
            "question or end",
        )
        return bool(node.must("approvals", "list", "--json").objects)

    world.wait_until(asked, "question")
    return found[-1]
