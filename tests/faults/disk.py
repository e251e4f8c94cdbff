"""A node on a disk of its own, which can be filled, freed and made read-only."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from akshi_mesh.api.client import Client
from testnet.processes import COMMAND, NodeProcess

OWN_DISK = Path(__file__).with_name("own_disk.py")


class OnDisk(NodeProcess):
    """A node whose home is seen through the namespace it lives in."""

    @property
    def client(self) -> Client:
        # A path as it is from outside, and short enough for a socket.
        outside = Path(f"/proc/{self.command[3]}/root{self.home.path}")
        token = (outside / "security" / "api.token").read_text().strip()
        return Client(outside / "run" / "api.sock", token=token)


@dataclass(slots=True)
class Disk:
    """The disk: `path` is where its processes see it, `outside` where we do."""

    path: Path
    holder: "subprocess.Popen[str]"

    @property
    def outside(self) -> Path:
        return Path(f"/proc/{self.holder.pid}/root{self.path}")

    @property
    def command(self) -> list[str]:
        enter = [sys.executable, str(OWN_DISK), "enter", str(self.holder.pid), "--"]
        return [*enter, *COMMAND]

    def fill(self) -> None:
        """Not a byte is left."""
        with contextlib.suppress(OSError), (self.outside / "ballast").open("ab") as ballast:
            for size in (65_536, 4_096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        ballast.write(bytes(size))
                        ballast.flush()

    def free(self) -> None:
        (self.outside / "ballast").unlink()

    def remount(self, how: str) -> None:
        assert self.holder.stdin is not None
        self.holder.stdin.write(f"{how}\n")
        self.holder.stdin.flush()
        assert _line(self.holder.stdout) == "done"


@contextmanager
def node_on_a_disk(config: str, *, kib: int) -> Iterator[tuple[OnDisk, Disk]]:
    """A home on a disk of `kib`; skipped where namespaces are not ours to make."""
    with tempfile.TemporaryDirectory(prefix="akshi-", dir="/tmp") as short:
        home = Path(short) / "n"
        node = OnDisk.create("n", home, config)
        holder = subprocess.Popen(
            [sys.executable, str(OWN_DISK), "hold", str(home), str(kib)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            if _line(holder.stdout) != "held":
                assert holder.stderr is not None
                pytest.skip(f"no mount namespace here: {holder.stderr.read().splitlines()[-1:]}")
            disk = Disk(home, holder)
            node.command = disk.command
            try:
                yield node, disk
            finally:
                node.stop()
        finally:
            holder.kill()
            holder.communicate()


def _line(stream: IO[str] | None) -> str:
    assert stream is not None, "asked for"
    return stream.readline().strip()
