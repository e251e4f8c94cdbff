"""A mesh of real node processes on loopback: made, joined, asked, stopped.

Each node has a home of its own below one directory, a port from the kernel, and trusts
every other with all rights. Addresses are known only once a node listens, so trust is
added through the API of running nodes, as a person would.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from akshi_mesh.api.client import Client
from akshi_mesh.api.shapes import NodeStatus, TaskCounts
from akshi_mesh.home import Home
from identity.files import create_node_key
from testnet.errors import NodeFailed, NotLinked

READY_S = 30.0  # a first start compiles its agents; this is a limit, not an expectation
LINKED_S = 15.0
STOP_S = 3.0
POLL_S = 0.02
LOG_LINES_KEPT = 40
COMMAND = (sys.executable, "-m", "akshi_mesh")
# A node ends with the thread that launched it, also if that is killed: the kernel tells it.
_LEASH = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):  # else who launched it has gone already
    os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(slots=True)
class NodeProcess:
    """One node: its home, its process, and what it said last."""

    name: str
    home: Home
    config: Path
    command: Sequence[str] = COMMAND
    process: subprocess.Popen[bytes] | None = None
    status: NodeStatus | None = None
    said: list[str] = field(default_factory=list)
    listener: threading.Thread | None = None

    @classmethod
    def create(cls, name: str, directory: Path, config: str) -> Self:
        """A home with a key and `config` as its runtime.toml; an existing home is kept."""
        home = Home(directory.absolute())
        home.create()
        if not (home.security / "node_key.pem").exists():
            create_node_key(home.path)
        home.api_token()
        home.config_path.write_text(config, encoding="utf-8")
        return cls(name, home, home.config_path)

    @property
    def did(self) -> str:
        assert self.status is not None, "a node has a status once it has started"
        return self.status["did"]

    @property
    def address(self) -> str:
        assert self.status is not None, "a node has a status once it has started"
        return self.status["listen"] or ""

    @property
    def client(self) -> Client:
        return Client.at(self.home)

    def launch(self, *, listen: str = "127.0.0.1:0") -> None:
        """Start the process; `wait_ready` says when it can be asked."""
        self.process = subprocess.Popen(
            [*_leash(), *self.command, "run", *self._options(), "--listen", listen, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us, who then stop the nodes in order
        )
        assert self.process.stderr is not None, "asked for"
        self.listener = threading.Thread(
            target=self._listen, args=(self.process.stderr,), daemon=True
        )
        self.listener.start()

    def wait_ready(self) -> NodeStatus:
        """The status that the node printed when it was ready.

        Raises:
            NodeFailed: it ended, or said nothing for READY_S.
        """
        assert self.process is not None, "launched before"
        assert self.process.stdout is not None, "asked for"
        late = threading.Timer(READY_S, self.process.kill)
        late.start()
        try:
            line = self.process.stdout.readline()
        finally:
            late.cancel()
        if not line:
            self.process.wait()
            if self.listener is not None:
                self.listener.join(STOP_S)  # it may still read what was said last
            raise NodeFailed(self.name, said=self.said)
        self.status = json.loads(line)
        return json.loads(line)  # type: ignore[no-any-return]

    def kill(self) -> None:
        """End it without warning, as a crash would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self._reap()

    def terminate(self) -> None:
        """Ask it to end, and do not wait."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def stop(self) -> None:
        """End it in order; what does not end is killed."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        self.kill()

    def _options(self) -> list[str]:
        return ["--home", str(self.home.path), "-c", str(self.config)]

    def _reap(self) -> None:
        if self.process is not None:
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.said.append(line.decode(errors="replace").rstrip())
                del self.said[:-LOG_LINES_KEPT]


class Testnet:
    """Some nodes that all trust each other."""

    __test__ = False  # its name is not pytest's business

    def __init__(self, nodes: Sequence[NodeProcess]) -> None:
        self.nodes = list(nodes)

    @contextlib.contextmanager
    def running(self, told: Callable[[str], None] = lambda _: None) -> Iterator[Self]:
        """All nodes, started and linked; stopped at the end, whatever happened."""
        try:
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.wait_ready()
                told(f"{node.name} is ready")
            self._introduce()
            self.wait_linked()
            told("all nodes are linked")
            yield self
        finally:
            with _undisturbed():
                for node in self.nodes:
                    node.terminate()
                for node in self.nodes:
                    node.stop()

    def wait_linked(self) -> None:
        """Return when every node has a link to every other.

        Raises:
            NotLinked: after LINKED_S.
        """
        until = time.monotonic() + LINKED_S
        for node in self.nodes:
            while (missing := self._missing(node)) and time.monotonic() < until:
                time.sleep(POLL_S)
            if missing:
                raise NotLinked(node.name, missing=missing)

    def counts(self) -> TaskCounts:
        """The accounts of all nodes added up."""
        total: TaskCounts = {"sent": 0, "acknowledged": 0, "queued": 0, "expired": 0, "refused": 0}
        for node in self.nodes:
            tasks = node.client.status()["tasks"]
            for name in total:
                total[name] += tasks[name]  # type: ignore[literal-required]
        return total

    def _introduce(self) -> None:
        for node in self.nodes:
            for other in self.nodes:
                if other is not node:
                    node.client.trust_add(
                        other.did,
                        name=other.name,
                        address=other.address,
                        allow=["a2a:*", "journal:*"],
                        caps=["a2a", "filesystem", "journal"],
                    )

    def _missing(self, node: NodeProcess) -> list[str]:
        linked = {p["did"] for p in node.client.peers() if p["state"] == "linked"}
        return [other.name for other in self.nodes if other is not node and other.did not in linked]


def _leash() -> tuple[str, ...]:
    """What to put before a command so that it does not outlive us."""
    if sys.platform != "linux":
        return ()
    return (sys.executable, "-IS", "-c", _LEASH, str(os.getpid()))


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not leave nodes behind that nobody stops."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
