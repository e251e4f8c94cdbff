"""Two real nodes that find each other again after every crash, and what they leave behind."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from akshi_mesh.api.errors import Unavailable
from akshi_mesh.api.shapes import TaskCounts
from testnet.processes import READY_S, NodeProcess

POLL_S = 0.02
GONE_S = 5.0  # the kernel ends an orphan within milliseconds; a busy machine takes longer
LINKED_S = 20.0


@dataclass(slots=True)
class Site:
    """One node with an address of its own for life, and every process it ever had."""

    node: NodeProcess
    port: socket.socket
    family: set[tuple[int, int]] = field(default_factory=set)

    @property
    def listen(self) -> str:
        host, port = self.port.getsockname()
        return f"{host}:{port}"

    def start(self) -> None:
        self.node.launch(listen=self.listen)

    def wait_ready(self) -> None:
        """Return when the node that was started last answers."""
        wait_until(self._answers, READY_S, "node that answers")

    def _answers(self) -> bool:
        try:
            return bool(self.node.client.whoami())
        except Unavailable:
            return False

    def crash(self) -> None:
        """SIGKILL, without warning; whoever descends from the node is remembered."""
        self.remember_family()
        self.node.kill()

    def remember_family(self) -> None:
        if self.node.process is not None:
            self.family |= descendants(self.node.process.pid)


@dataclass(slots=True)
class Pair:
    """Node `a` sends, node `b` hosts; both trust each other with all rights."""

    a: Site
    b: Site

    @classmethod
    def create(cls, directory: Path, *, of_a: str, of_b: str) -> Self:
        sites = (
            Site(NodeProcess.create(name, directory / name, config), reserved_port())
            for name, config in (("a", of_a), ("b", of_b))
        )
        return cls(*sites)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Both started, introduced and linked; in the end both are gone."""
        try:
            for site in (self.a, self.b):
                site.start()
            for site in (self.a, self.b):
                site.node.wait_ready()
            for one, other in ((self.a, self.b), (self.b, self.a)):
                one.node.client.trust_add(
                    other.node.did,
                    name=other.node.name,
                    address=other.listen,
                    allow=["a2a:*", "journal:*"],
                    caps=["a2a", "database", "filesystem", "journal"],
                )
            self.wait_linked()
            yield self
        except BaseException:
            for site in (self.a, self.b):
                print(f"--- {site.node.name} said last:", *site.node.said, sep="\n")
            raise
        finally:
            for site in (self.a, self.b):
                site.remember_family()
                site.node.terminate()
            for site in (self.a, self.b):
                site.node.stop()
                site.port.close()

    def wait_linked(self) -> None:
        for site in (self.a, self.b):
            wait_until(partial(is_linked, site.node), LINKED_S, "link")

    def survivors(self) -> set[tuple[int, int]]:
        """Processes of runs that were killed, and are still there."""
        family = self.a.family | self.b.family
        return {(pid, began) for pid, began in family if began_at(pid) == began}


def is_linked(node: NodeProcess) -> bool:
    return any(peer["state"] == "linked" for peer in node.client.peers())


def wait_until(claim: Callable[[], bool], limit_s: float, what: str) -> None:
    """Return when `claim` holds; fail if that takes longer than `limit_s`."""
    until = time.monotonic() + limit_s
    while not claim():
        assert time.monotonic() < until, f"no {what} within {limit_s:g} s"
        time.sleep(POLL_S)


def conserved(tasks: TaskCounts) -> bool:
    """Sent tasks are all accounted for."""
    settled = tasks["acknowledged"] + tasks["expired"] + tasks["refused"]
    return tasks["sent"] == settled + tasks["queued"]


def reserved_port() -> socket.socket:
    """A port from the kernel, which gives it to nobody else while this socket is open.

    It never listens, and both sides say SO_REUSEADDR, so that a node can listen there.
    """
    port = socket.socket()
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port.bind(("127.0.0.1", 0))
    return port


def descendants(pid: int) -> set[tuple[int, int]]:
    """The processes below `pid`, each with the moment it began, which no later one shares."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and (state := _stat(int(place.name))) is not None:
            children.setdefault(int(state[1]), []).append(int(place.name))
    found: set[tuple[int, int]] = set()
    below = [pid]
    while below:
        for child in children.get(below.pop(), []):
            began = began_at(child)
            if began is not None:
                found.add((child, began))
                below.append(child)
    return found


def began_at(pid: int) -> int | None:
    """When the process began, in ticks since boot; None if it has ended."""
    state = _stat(pid)
    return None if state is None or state[0] == "Z" else int(state[19])


def _stat(pid: int) -> list[str] | None:
    """/proc/PID/stat from its third field on (state, parent, …); None if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
