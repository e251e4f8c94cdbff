"""A full disk: one clear error, nothing acknowledged is lost, all goes on when there is room."""

import shutil
import subprocess
from pathlib import Path

import pytest

from akshi_mesh.api.errors import ControlError
from akshi_mesh.audit.book import AuditBook
from identity.keys import SigningKey
from sync.store.database import Database
from testnet.agents import agent, mesh_journal
from testnet.processes import NodeProcess
from tests.faults.disk import Disk, OnDisk, node_on_a_disk
from tests.testnet.pair import conserved, is_linked, wait_until

SCRIBE = mesh_journal("scribe") + mesh_journal("notes") + agent("scribe", capabilities=["journal"])
DISK_KIB = 12 * 1024
LIMIT_S = 20.0
MANY = 2_000
TASKS = 5


def test_a_full_disk_delays_and_loses_nothing(tmp_path: Path) -> None:
    sender = NodeProcess.create("sender", tmp_path / "sender", "")
    with node_on_a_disk(SCRIBE, kib=DISK_KIB) as (node, disk):
        try:
            _start_linked(sender, node)
            # One whose start cannot be recorded is stopped, and its tasks fail with that reason.
            wait_until(lambda: node.client.agents()[0]["state"] == "ready", LIMIT_S, "agent")
            written = _write_until_full(node, disk)

            for number in range(TASKS):
                sender.client.task_send("n/scribe", f"task {number}")
            wait_until(lambda: bool(node.client.status()["warnings"]), LIMIT_S, "warning")
            (warning,) = node.client.status()["warnings"]
            assert "full" in warning
            assert "free disk space" in warning
            tasks = sender.client.status()["tasks"]
            assert conserved(tasks)
            assert tasks["acknowledged"] == 0
            assert is_linked(sender), "trouble with a disk is no reason to hang up"

            disk.free()
            wait_until(lambda: _all_ended(sender), LIMIT_S, "end of the tasks")
            wait_until(lambda: not node.client.status()["warnings"], LIMIT_S, "end of the trouble")
            ended = {(t["state"], t["why"]) for t in sender.client.task_list(limit=MANY)}
            assert ended == {("TASK_STATE_COMPLETED", "")}
            scribed = node.client.journal_read("scribe", limit=MANY)["entries"]
            assert [e["text"] for e in scribed] == [f"task {n}" for n in range(TASKS)]
            notes = node.client.journal_read("notes", limit=MANY)["entries"]
            assert [e["text"] for e in notes] == written
            assert node.client.fsck()["ok"]
        finally:
            sender.stop()


def test_a_node_that_cannot_write_at_its_start_says_so_and_starts_when_there_is_room() -> None:
    with node_on_a_disk(SCRIBE, kib=DISK_KIB) as (node, disk):
        disk.fill()
        code, said = _run(node)
        assert code in (2, 3)
        assert "akshi-node: error: " in said
        assert "akshi-node: hint: " in said
        assert "bug" not in said
        disk.free()
        node.launch()
        node.wait_ready()


def test_a_read_only_home_is_refused_in_one_line() -> None:
    with node_on_a_disk("", kib=DISK_KIB) as (node, disk):
        disk.remount("ro")
        code, said = _run(node)
        assert code in (2, 3)
        errors = [line for line in said.splitlines() if line.startswith("akshi-node: error: ")]
        assert len(errors) == 1
        assert "read-only" in errors[0]
        assert "akshi-node: hint: " in said
        disk.remount("rw")
        node.launch()
        node.wait_ready()


def _start_linked(sender: NodeProcess, node: OnDisk) -> None:
    for one in (sender, node):
        one.launch()
        one.wait_ready()
    rights = ["a2a:*", "journal:*"]
    node.client.trust_add(sender.did, name="sender", allow=rights, caps=["journal"])
    sender.client.trust_add(node.did, name="n", address=node.address, allow=rights)
    wait_until(lambda: is_linked(sender) and is_linked(node), LIMIT_S, "link")


def _write_until_full(node: OnDisk, disk: Disk) -> list[str]:
    """What was acknowledged before the disk took no more; the refusal names the remedy."""
    disk.fill()
    written: list[str] = []
    for number in range(MANY):
        text = f"{number} " + 500 * "x"
        try:
            node.client.journal_append("notes", tag="", text=text)
        except ControlError as failure:
            refusal = f"{failure} ({failure.hint})"
            break
        written.append(text)
    else:
        raise AssertionError("the disk was not full")
    assert "full" in refusal
    assert "free disk space" in refusal
    return written


def _all_ended(sender: NodeProcess) -> bool:
    return all(task["final"] for task in sender.client.task_list(limit=MANY))


def _run(node: NodeProcess) -> tuple[int, str]:
    """Run a node that must not start: its exit code, and what it says."""
    ran = subprocess.run(
        [*node.command, "run", "--home", str(node.home.path), "--listen", "off"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return ran.returncode, ran.stderr


def test_on_a_full_disk_trust_is_taken_back_and_the_stop_is_written_down(
    tmp_path: Path,
) -> None:
    """Promise 5: what takes rights away is recorded, and in force, while nothing else fits."""
    with node_on_a_disk(mesh_journal("notes"), kib=DISK_KIB) as (node, disk):
        node.launch()
        node.wait_ready()
        did = str(SigningKey.from_seed(b"o" * 32).did)
        node.client.trust_add(did, name="old", allow=["journal:*"])
        reserve = disk.outside / "reserve"
        wait_until(reserve.exists, LIMIT_S, "reserve")
        held = reserve.stat().st_size
        _write_until_full(node, disk)

        node.client.trust_remove("old")
        assert node.client.trust_list() == []
        assert 0 < reserve.stat().st_size <= held
        with pytest.raises(ControlError):
            node.client.journal_append("notes", tag="", text="no room for this")
        node.stop()

        for name in ("node.db", "node.db-wal"):  # SQLite follows no path into a namespace
            if (disk.outside / name).exists():
                shutil.copy(disk.outside / name, tmp_path)
        reader = Database.read_only(str(tmp_path / "node.db"))
        told = [(kept.event.value, kept.code) for _, kept in AuditBook(reader).tail(limit=9)]
        assert told[-2:] == [("trust", "removed"), ("node", "stopped")]
        assert AuditBook(reader).check() == []
