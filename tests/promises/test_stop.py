"""Promise 5, stop means stop: when `stop` has said so no agent runs. Order, not time."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.promises import world
from tests.promises.world import HOSTILE, Node, agent
from tests.testnet.pair import began_at, descendants

FOREVER = "fuel = 1_000_000_000_000_000\nwall_clock_s = 3600"
SPINNING = 6


@pytest.fixture
def host() -> Iterator[Node]:
    """A node all of whose agents spin."""
    with world.directory() as directory:
        spin = HOSTILE / "hostile.wasm"
        agents = [agent(f"spin-{n}", spin, limits=FOREVER) for n in range(SPINNING)]
        node = world.node(directory, "host", "".join(agents))
        with world.running(node):
            for number in range(SPINNING):
                node.process.client.task_send(f"self/spin-{number}", "spin")
            world.wait_until(lambda: running(node) == SPINNING, "spinning agents")
            yield node


def running(node: Node) -> int:
    return sum(a["tasks_running"] for a in node.must("agents", "list", "--json").objects)


def runs(process: tuple[int, int]) -> bool:
    """Whether this very process may still run code."""
    pid, began = process
    return began_at(pid) == began


def test_when_the_node_says_stopped_no_agent_runs(host: Node) -> None:
    """Promise 5: first every agent is gone, then the answer comes, then the node ends."""
    workers = {(pid, began_at(pid) or 0) for pid in host.workers()}
    assert len(workers) >= SPINNING
    note = host.process.client.stop(timeout_s=world.WAIT_S)["note"]
    survivors = [worker for worker in workers if runs(worker)]
    assert survivors == []
    assert "every agent has ended" in note
    assert host.process.process is not None
    assert host.process.process.wait(world.WAIT_S) == 0


def test_stop_leaves_nothing_and_loses_nothing(host: Node) -> None:
    """Promises 3 and 5: after the command no process is left; what ran is run again, not lost."""
    family = descendants(host.pid)
    assert host.must("stop").out.startswith("every agent has ended")
    assert [one for one in family if runs(one)] == []
    assert host.process.process is not None
    assert host.process.process.wait(world.WAIT_S) == 0
    again = host.must("stop")
    assert again.out == "nothing is running\n"
    assert host.type("status").code == 4
    host.start()
    world.wait_until(lambda: running(host) == SPINNING, "the same tasks, running again")


def test_a_node_that_hangs_is_stopped_all_the_same(host: Node) -> None:
    """Promise 5: a node that does not answer is killed, and its agents with it."""
    family = descendants(host.pid) | {(host.pid, began_at(host.pid) or 0)}
    os.kill(host.pid, signal.SIGSTOP)
    stopped = host.must("stop")
    assert stopped.out == "killed a node that did not answer\n"
    world.wait_until(lambda: not any(map(runs, family)), "end of all its processes")
    assert host.must("stop").out == "nothing is running\n"


def test_stop_with_nothing_running_is_no_error(tmp_path: Path) -> None:
    """Promise 5: to stop what does not run is done already, whether there is a home or not."""
    nowhere = world.typed(tmp_path / "nowhere", "stop")
    assert (nowhere.code, nowhere.out) == (0, "nothing is running\n")
    assert not (tmp_path / "nowhere").exists()
    assert world.typed(tmp_path / "home", "init").code == 0
    assert world.typed(tmp_path / "home", "stop").code == 0
