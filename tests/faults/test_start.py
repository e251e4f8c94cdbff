"""What keeps a node from starting: one error, its remedy, the right exit code, no traceback."""

import socket
import subprocess
from pathlib import Path

import pytest

from testnet.processes import COMMAND, NodeProcess

LIMIT_S = 20.0


def test_a_port_in_use(tmp_path: Path) -> None:
    node = NodeProcess.create("n", tmp_path / "n", "")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, error, hint = _refused(node, "--listen", address)
    assert code == 2
    assert address in error
    assert "--listen" in hint


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("[mesh\n", "line 1"),
        ("\n[mesh]\nlisten = 7\n", "line 3"),
        ("[mesh]\nlisen = '127.0.0.1:0'\n", "unknown key 'lisen'"),
        ("\x00\x01", "line 1"),
    ],
)
def test_a_corrupt_configuration(tmp_path: Path, config: str, told: str) -> None:
    node = NodeProcess.create("n", tmp_path / "n", config)
    code, error, _ = _refused(node)
    assert code == 2
    assert "runtime.toml" in error
    assert told in error


def test_a_second_node_of_the_same_home(tmp_path: Path) -> None:
    node = NodeProcess.create("n", tmp_path / "n", "")
    node.launch()
    node.wait_ready()
    try:
        code, error, hint = _refused(node)
        assert code == 4
        assert node.process is not None
        assert str(node.process.pid) in error
        assert hint.endswith(" stop")
    finally:
        node.stop()


def test_a_store_that_is_none(tmp_path: Path) -> None:
    node = NodeProcess.create("n", tmp_path / "n", "")
    node.home.database_path.write_bytes(b"this was a database once" * 1_000)
    code, error, hint = _refused(node)
    assert code == 5
    assert "node.db" in error
    assert hint.endswith(" fsck")


def _refused(node: NodeProcess, *options: str) -> tuple[int, str, str]:
    """Start a node that must not run: exit code, the one error, the hint."""
    ran = subprocess.run(
        [*COMMAND, "run", "--home", str(node.home.path), *(options or ("--listen", "off"))],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    told = ran.stderr.splitlines()
    errors = [line for line in told if line.startswith("akshi-node: error: ")]
    hints = [line for line in told if line.startswith("akshi-node: hint: ")]
    assert len(errors) == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "a bug of ours" not in ran.stderr
    hint = hints[0].removeprefix("akshi-node: hint: ") if hints else ""
    return ran.returncode, errors[0], hint
