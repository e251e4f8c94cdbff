"""Real nodes: partitions heal, backups fork nobody, stop means stop."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from akshi_mesh.api.client import Client
from testnet.agents import agent, mesh_journal
from testnet.processes import COMMAND, NodeProcess
from tests.testnet.pair import Pair, Site, began_at, descendants, wait_until

NOTES = mesh_journal("notes")
HOSTILE = Path(__file__).parent.parent / "agents" / "hostile.wasm"
LIMIT_S = 20.0
STOP_S = 1.0  # promised are 0.1 s; a machine that runs tests beside it may be late
HANG_S = 4.0  # a node that hangs gets 1 s to answer and 1 s to end
GONE_S = 2.0
MANY = 1_000
SPINNERS = 3


def test_both_append_while_parted_and_agree_afterwards(tmp_path: Path) -> None:
    pair = Pair.create(tmp_path, of_a=NOTES, of_b=NOTES)
    with pair.running():
        a, b = pair.a.node.client, pair.b.node.client
        for one, other in ((a, pair.b), (b, pair.a)):
            one.trust_remove(other.node.did)
        _append(pair, 20)
        assert len(_view(pair.a)) == len(_view(pair.b)) == 20, "they are parted"
        for one, other in ((a, pair.b), (b, pair.a)):
            one.trust_add(
                other.node.did, name=other.node.name, address=other.listen, allow=["journal:*"]
            )
        wait_until(lambda: len(_view(pair.a)) == len(_view(pair.b)) == 40, LIMIT_S, "one view")
        assert _view(pair.a) == _view(pair.b)
        assert _roots(a) == _roots(b)
        assert all(info["frozen"] == 0 for info in [*a.journals(), *b.journals()])


def test_a_backup_of_a_home_opens_a_new_epoch_and_freezes_nobody(tmp_path: Path) -> None:
    pair = Pair.create(tmp_path, of_a=NOTES, of_b=NOTES)
    with pair.running():
        _append(pair, 10)
        wait_until(lambda: len(_view(pair.a)) == len(_view(pair.b)) == 20, LIMIT_S, "one view")
        home, backup = pair.b.node.home.path, tmp_path / "backup"
        pair.b.node.stop()
        shutil.copytree(home, backup, ignore=shutil.ignore_patterns("api.sock"))
        pair.b.start()
        pair.b.wait_ready()
        _append(pair, 10)  # what the backup does not know, and the peer does
        wait_until(lambda: len(_view(pair.a)) == len(_view(pair.b)) == 40, LIMIT_S, "one view")

        pair.b.node.stop()
        shutil.rmtree(home)
        backup.rename(home)
        pair.b.start()
        pair.b.wait_ready()
        pair.b.node.client.journal_append("notes", tag="", text="restored")
        wait_until(lambda: len(_view(pair.a)) == len(_view(pair.b)) == 41, LIMIT_S, "one view")
        assert _view(pair.a) == _view(pair.b)
        epochs = {epoch for author, epoch, _, _ in _view(pair.a) if author == pair.b.node.did}
        assert len(epochs) == 3, "one a run: before, after, restored"
        for site in (pair.a, pair.b):
            assert all(journal["frozen"] == 0 for journal in site.node.client.journals())
            assert site.node.client.fsck()["ok"]


def test_stop_ends_spinning_agents_at_once_and_leaves_nobody(tmp_path: Path) -> None:
    for way in ("SIGTERM", "stop"):
        node, family = _spinning(tmp_path / way)
        began = time.monotonic()
        if way == "stop":
            node.client.stop(timeout_s=STOP_S)
        else:
            node.terminate()
        wait_until(lambda f=family: not _alive(f), STOP_S, f"end of the agents after {way}")
        print(f"{way}: every process ended after {(time.monotonic() - began) * 1000:.0f} ms")
        assert node.process is not None
        assert node.process.wait(STOP_S) == 0
        node.stop()


def test_a_node_that_hangs_is_killed_by_stop(tmp_path: Path) -> None:
    node, family = _spinning(tmp_path)
    assert node.process is not None
    node.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        stopped = subprocess.run(
            [*COMMAND, "stop", "--home", str(node.home.path)],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        seconds = time.monotonic() - began
        assert stopped.returncode == 0, stopped.stderr
        assert "killed a node that did not answer" in stopped.stdout
        print(f"killed after {seconds:.2f} s")
        assert seconds < HANG_S
        wait_until(lambda: not _alive(family), GONE_S, "end of the orphans")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(node.process.pid, signal.SIGCONT)
        node.stop()


def _append(pair: Pair, number: int) -> None:
    for count in range(number):
        for site in (pair.a, pair.b):
            site.node.client.journal_append("notes", tag="", text=f"{count} of {site.node.name}")


def _view(site: Site) -> list[tuple[str, str, int, str]]:
    page = site.node.client.journal_read("notes", limit=MANY)
    return [(e["author"], e["epoch"], e["seq"], e["text"]) for e in page["entries"]]


def _roots(client: Client) -> set[tuple[str, str]]:
    """Each log with what is proven of it; the order in which they came is nobody's business."""
    report = client.journal_verify("notes")
    assert report["ok"]
    return {(finding["what"], finding["why"]) for finding in report["findings"]}


def _spinning(directory: Path) -> tuple[NodeProcess, set[tuple[int, int]]]:
    """A node whose agents all spin, and the processes below it."""
    config = "".join(
        agent("echo").replace('"echo"', f'"spin{n}"').replace(_wasm(), str(HOSTILE))
        for n in range(SPINNERS)
    )
    node = NodeProcess.create("n", directory, config)
    node.launch()
    node.wait_ready()
    ids = [node.client.task_send(f"self/spin{n}", "spin")["id"] for n in range(SPINNERS)]
    wait_until(
        lambda: sum(info["tasks_running"] for info in node.client.agents()) == SPINNERS,
        LIMIT_S,
        f"spinning of {len(ids)} agents",
    )
    assert node.process is not None
    family = descendants(node.process.pid)
    assert len(family) > SPINNERS, "a zygote and its workers"
    return node, family


def _wasm() -> str:
    from testnet.agents import agents_directory

    return str(agents_directory() / "echo.wasm")


def _alive(family: set[tuple[int, int]]) -> bool:
    return any(began_at(pid) == began for pid, began in family)
