"""A page that the disk changed: no wrong data, exit code 5, `fsck`; peers give journals back."""

import subprocess
from pathlib import Path

import pytest

from akshi_mesh.api.errors import ControlError
from testnet.agents import mesh_journal
from testnet.processes import COMMAND, NodeProcess
from tests.testnet.pair import Pair, Site, wait_until

NOTES = mesh_journal("notes")
ENTRIES = 60
LIMIT_S = 20.0
MANY = 1_000
PAGE_BYTES = 4_096


def test_damage_is_found_told_repaired_and_healed_by_peers(tmp_path: Path) -> None:
    """The node's own entries are lost with the page, and come back from the peer."""
    pair = Pair.create(tmp_path, of_a=NOTES, of_b=NOTES)
    with pair.running():
        texts = _write_and_share(pair)
        node = pair.b.node
        node.stop()
        _checkpoint(node)
        assert _flip_pages_that_hold(node, b"of b") > 0

        code, said = _akshi(node, "fsck")
        assert code == 5
        assert "fsck --repair" in said
        code, said = _akshi(node, "fsck", "--repair")
        assert code == 0, said
        assert "lost" in said

        pair.b.start()
        pair.b.wait_ready()
        wait_until(lambda: _texts(pair.b) == texts, LIMIT_S, "entries given back")
        assert node.client.fsck()["ok"]
        assert node.client.journal_verify("notes")["ok"]
        node.client.journal_append("notes", tag="", text="after all")
        wait_until(lambda: _texts(pair.a)[-1:] == ["after all"], LIMIT_S, "new entry at the peer")
        assert all(journal["frozen"] == 0 for journal in pair.a.node.client.journals())


def test_damage_found_while_running_ends_the_node(tmp_path: Path) -> None:
    node = NodeProcess.create("n", tmp_path / "n", NOTES)
    node.launch()
    node.wait_ready()
    try:
        for number in range(ENTRIES):
            node.client.journal_append("notes", tag="", text=f"{number} of b " + 900 * "x")
        node.stop()
        _checkpoint(node)
        node.launch()
        node.wait_ready()
        assert _flip_pages_that_hold(node, b"of b") > 0
        with pytest.raises(ControlError) as refused:
            node.client.journal_read("notes", limit=MANY)
        assert refused.value.exit_code == 5
        assert refused.value.hint.endswith(" fsck")
        assert node.process is not None
        assert node.process.wait(LIMIT_S) == 5
        wait_until(lambda: _hints_at_fsck(node.said), LIMIT_S, "hint")
        assert not any("Traceback" in line for line in node.said)
    finally:
        node.stop()


def test_damage_found_at_the_start_keeps_the_node_from_running(tmp_path: Path) -> None:
    node = NodeProcess.create("n", tmp_path / "n", NOTES)
    node.launch()
    node.wait_ready()
    node.client.journal_append("notes", tag="", text="kept")
    node.stop()
    _checkpoint(node)
    _flip_pages_that_hold(node, b"", every=1)
    code, said = _akshi(node, "run", "--listen", "off")
    assert code == 5, said
    errors = [line for line in said.splitlines() if line.startswith("akshi-node: error: ")]
    assert len(errors) == 1
    assert _hints_at_fsck(said.splitlines())
    assert "Traceback" not in said


def _write_and_share(pair: Pair) -> list[str]:
    for number in range(ENTRIES):
        for site in (pair.a, pair.b):
            text = f"{number} of {site.node.name} " + 900 * "x"
            site.node.client.journal_append("notes", tag="", text=text)
    wait_until(
        lambda: len(_texts(pair.a)) == len(_texts(pair.b)) == 2 * ENTRIES, LIMIT_S, "one view"
    )
    return _texts(pair.a)


def _texts(site: Site) -> list[str]:
    return [e["text"] for e in site.node.client.journal_read("notes", limit=MANY)["entries"]]


def _checkpoint(node: NodeProcess) -> None:
    """Everything is in the file, nothing in its log."""
    from sync.store.database import Database

    database = Database.open(str(node.home.database_path), schemas=[])
    database.checkpoint()
    database.close()


def _flip_pages_that_hold(node: NodeProcess, text: bytes, *, every: int = 2) -> int:
    """Change one bit in every second page with `text` in it; how many."""
    path = node.home.database_path
    data = bytearray(path.read_bytes())
    pages = [p for p in range(1, len(data) // PAGE_BYTES) if text in _page(data, p)][::every]
    with path.open("r+b") as file:
        for page in pages:
            at = page * PAGE_BYTES + _page(data, page).index(text)
            file.seek(at)
            file.write(bytes([data[at] ^ 1]))
    return len(pages)


def _page(data: bytearray, number: int) -> bytes:
    return bytes(data[number * PAGE_BYTES : (number + 1) * PAGE_BYTES])


def _hints_at_fsck(said: list[str]) -> bool:
    return any(line.startswith("akshi-node: hint: ") and line.endswith(" fsck") for line in said)


def _akshi(node: NodeProcess, *words: str) -> tuple[int, str]:
    """Run a command on the home: its exit code, and all it says."""
    ran = subprocess.run(
        [*COMMAND, *words, "--home", str(node.home.path)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr
