"""Promise 3, no task is lost and none is done twice, as a person at the command line sees it.

What happens when nodes are killed is in tests/testnet/test_kill.py and its neighbours.
"""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.promises import world
from tests.promises.world import HOSTILE, Node, agent
from tests.testnet.pair import conserved

FOREVER = "fuel = 1_000_000_000_000_000\nwall_clock_s = 3600"
SENT = 12


class Auditor(threading.Thread):
    """Looks at the accounts of a node all the time, in all and for each peer."""

    def __init__(self, node: Node) -> None:
        super().__init__(daemon=True)
        self._node = node
        self._over = threading.Event()
        self.looks = 0
        self.unbalanced: list[object] = []

    def run(self) -> None:
        while not self._over.is_set():
            status = self._node.process.client.status()
            accounts = [status["tasks"], *(peer["tasks"] for peer in status["peers"])]
            self.unbalanced += [account for account in accounts if not conserved(account)]
            self.looks += 1
            time.sleep(0.01)

    def end(self) -> None:
        self._over.set()
        self.join()


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Node, Node]]:
    with world.directory() as directory:
        alice = world.node(directory, "alice")
        bob = world.node(
            directory,
            "bob",
            agent("scribe", "scribe", capabilities=["journal"])
            + agent("spin", HOSTILE / "hostile.wasm", limits=FOREVER),
        )
        with world.running(alice, bob):
            bob.trust(alice, "a2a:*", address=False)
            alice.trust(bob)
            world.wait_until(lambda: alice.is_linked(bob.did), "link")
            auditor = Auditor(alice)
            auditor.start()
            yield alice, bob
            auditor.end()
            assert auditor.looks
            assert auditor.unbalanced == [], "sent = acknowledged + queued + expired + refused"


@pytest.fixture
def alice(pair: tuple[Node, Node]) -> Node:
    return pair[0]


@pytest.fixture
def bob(pair: tuple[Node, Node]) -> Node:
    return pair[1]


def written(bob: Node) -> list[str]:
    entries = bob.type("journal", "read", "scribe", "--json", "-n", "1000").objects
    return [entry["text"] for entry in entries]


def state(node: Node, task: str) -> str:
    return str(node.must("task", "get", task, "--json").objects[0]["state"])


def test_the_same_id_is_the_same_task(alice: Node, bob: Node) -> None:
    """Promise 3: `--id` twice with the same words is one task, done once."""
    first = alice.must("task", "send", "bob/scribe", "once", "--id", "key-1")
    again = alice.must("task", "send", "bob/scribe", "once", "--id", "key-1")
    assert again.out == first.out, "the same answer, with the time at which it was written"
    assert written(bob).count("once") == 1
    other = alice.type("task", "send", "bob/scribe", "other words", "--id", "key-1")
    assert other.code == 3
    assert "other words" not in written(bob)


def test_a_cancelled_task_stops_where_it_runs(alice: Node, bob: Node) -> None:
    """Promise 3: cancel reaches the peer, ends the guest, and both sides say so."""
    task = alice.must("task", "send", "bob/spin", "spin", "--no-wait").out.strip()
    world.wait_until(lambda: state(bob, task) == "TASK_STATE_WORKING", "running task")
    alice.must("task", "cancel", task)
    for node in (bob, alice):
        world.wait_until(lambda node=node: state(node, task) == "TASK_STATE_CANCELED", "cancelled")  # type: ignore[misc]
    shown = alice.type("task", "watch", task)
    assert shown.code == 5
    assert "cancelled by its sender" in shown.err
    agents = bob.must("agents", "list", "--json").objects
    assert {a["name"]: (a["state"], a["tasks_running"]) for a in agents}["spin"] == ("ready", 0)


def test_an_offline_peer_gets_its_tasks_when_it_returns(alice: Node, bob: Node) -> None:
    """Promise 3: queued, expired, cancelled while the peer is away; delivered once it is back."""
    bob.must("stop")
    world.wait_until(lambda: not alice.is_linked(bob.did), "end of the link")
    sent = [
        alice.must("task", "send", "bob/scribe", f"late {n}", "--no-wait").out.strip()
        for n in range(SENT)
    ]
    expired = alice.type("task", "send", "bob/scribe", "too late", "--expires", "1s")
    assert expired.code == 5, expired
    assert "expired" in expired.err
    cancelled = alice.must("task", "send", "bob/scribe", "never mind", "--no-wait").out.strip()
    alice.must("task", "cancel", cancelled)
    counts = alice.must("status", "--json").objects[0]["tasks"]
    assert counts["queued"] >= SENT
    assert counts["expired"] == 2, "a task that was withdrawn before it left is never delivered"
    assert {alice.must("task", "get", task, "--json").objects[0]["delivery"] for task in sent} == {
        "queued"
    }
    bob.start(listen=bob.address)
    for task in sent:
        world.wait_until(lambda task=task: state(alice, task) == "TASK_STATE_COMPLETED", task)  # type: ignore[misc]
    texts = written(bob)
    assert sorted(t for t in texts if t.startswith("late ")) == sorted(
        f"late {n}" for n in range(SENT)
    )
    assert "too late" not in texts
    world.wait_until(lambda: state(alice, cancelled) == "TASK_STATE_CANCELED", "cancelled")
    assert "never mind" not in written(bob)
    world.wait_until(lambda: alice.must("status", "--json").objects[0]["tasks"]["queued"] == 0, "0")
