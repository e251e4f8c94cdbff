"""Two real nodes: both logs hold the same receipts, and every command about them works."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testnet.agents import agent
from testnet.processes import COMMAND, NodeProcess
from tests.testnet.pair import is_linked, wait_until

LIMIT_S = 20.0
TASKS = 3


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[NodeProcess, NodeProcess]]:
    ann = NodeProcess.create("ann", tmp_path / "ann", "")
    bob = NodeProcess.create("bob", tmp_path / "bob", agent("echo"))
    try:
        for node in (ann, bob):
            node.launch()
            node.wait_ready()
        bob.client.trust_add(ann.did, name="ann", allow=["a2a:*"])
        ann.client.trust_add(bob.did, name="bob", address=bob.address, allow=["a2a:*"])
        wait_until(lambda: is_linked(ann) and is_linked(bob), LIMIT_S, "link")
        wait_until(lambda: bob.client.agents()[0]["state"] == "ready", LIMIT_S, "agent")
        yield ann, bob
    finally:
        ann.stop()
        bob.stop()


def run(node: NodeProcess, *arguments: str) -> tuple[int, str]:
    ran = subprocess.run(
        [*COMMAND, *arguments, "--home", str(node.home.path)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_two_nodes_agree_and_an_outsider_can_check_it(
    pair: tuple[NodeProcess, NodeProcess], tmp_path: Path
) -> None:
    ann, bob = pair
    tasks = [ann.client.task_send("bob/echo", f"task {n}")["id"] for n in range(TASKS)]
    for task in tasks:
        assert ann.client.task_wait(task, timeout_s=LIMIT_S)["final"]
    wait_until(
        lambda: bob.client.audit_reconcile("ann")["agreed"] == TASKS, LIMIT_S, "last receipt"
    )
    assert run(ann, "audit", "reconcile", "--with", "bob") == (
        0,
        f"{TASKS} agreed, 0 one-sided, 0 contradictory\n",
    )
    whole, of_task, tiles = (tmp_path / name for name in ("all.tar.gz", "task.tar.gz", "tiles"))
    assert run(ann, "audit", "bundle", "--output", str(whole))[0] == 0
    assert run(bob, "audit", "bundle", "--task", tasks[0], "--output", str(of_task))[0] == 0
    assert run(ann, "audit", "export", str(tiles))[0] == 0
    code, said = run(ann, "audit", "verify-bundle", str(of_task), "--did", bob.did)
    assert (code, "2 envelopes of both sides" in said) == (0, True)
    for path in (whole, tiles):
        assert run(bob, "audit", "verify", str(path), "--did", ann.did)[0] == 0
        assert run(bob, "audit", "verify", str(path), "--did", bob.did)[0] == 5
    assert run(ann, "audit", "bundle", "--output", str(whole))[0] == 2
    assert run(ann, "audit", "prove", "9999")[0] == 2
    assert json.loads(run(ann, "audit", "prove", "1")[1])["seq"] == 1

    ann.stop()
    assert run(ann, "audit", "verify", "--checkpoint", str(tiles / "checkpoint"))[0] == 0
    lines = [json.loads(line) for line in run(ann, "audit", "export")[1].splitlines()]
    assert [(line["event"], line["code"]) for line in lines] == [
        ("node", "started"),
        ("trust", "added"),
        *[("receipt", "completed")] * TASKS,
        ("node", "stopped"),
    ]
    (tiles / "checkpoint").write_bytes(b"not a checkpoint")
    code, said = run(ann, "audit", "verify", "--checkpoint", str(tiles / "checkpoint"))
    assert (code, "not a checkpoint" in said) == (5, True)
