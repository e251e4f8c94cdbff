"""Who started nodes may be killed, or stop to listen: no node is left over, none dies of it."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testnet.errors import NodeFailed
from testnet.processes import COMMAND, NodeProcess

GONE_S = 10.0
PARENT = """
import sys, time
from pathlib import Path
from testnet.processes import NodeProcess
node = NodeProcess.create("n", Path(sys.argv[1]), "")
node.launch()
print(node.wait_ready()["pid"], flush=True)
time.sleep(60)
"""


def test_a_node_ends_with_who_launched_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "n")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        node = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        assert _ended(node)
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(node, signal.SIGKILL)
        os.close(node)


def test_a_node_outlives_who_listened_to_it(tmp_path: Path) -> None:
    """Its logs go nowhere, and it works on."""
    node = NodeProcess.create("n", tmp_path / "n", "")
    with _unheard(node) as process:
        until = time.monotonic() + GONE_S
        while not node.home.socket_path.exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert node.client.status()["pid"] == process.pid
        assert node.client.stop(timeout_s=GONE_S)["note"]
        assert process.wait(GONE_S) == 0


def test_a_node_that_does_not_start_says_why_and_what_helps(tmp_path: Path) -> None:
    first = NodeProcess.create("first", tmp_path / "n", "")
    second = NodeProcess.create("second", tmp_path / "n", "")
    first.launch()
    try:
        first.wait_ready()
        second.launch()
        with pytest.raises(
            NodeFailed, match=r"second did not start: process .* runs the node"
        ) as no:
            second.wait_ready()
    finally:
        first.stop()
        second.stop()
    assert no.value.hint == f"akshi-node --home {tmp_path / 'n'} -c {first.config} stop"


@contextlib.contextmanager
def _unheard(node: NodeProcess) -> Iterator["subprocess.Popen[bytes]"]:
    read, write = os.pipe()
    os.close(read)
    options = ["--home", str(node.home.path), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen([*COMMAND, "run", *options], stdout=write, stderr=write)
    os.close(write)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _ended(pidfd: int) -> bool:
    """Whether that process ends in time; a pidfd is readable when it has."""
    return bool(select.select([pidfd], [], [], GONE_S)[0])
