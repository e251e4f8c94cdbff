"""Real nodes for the promises: started once a module, asked through the command line.

A node is a process of its own, with a home in a short temporary directory (pytest's names
are too long for a socket). Commands run through `main`, as a terminal would run them.
"""

import contextlib
import io
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akshi_mesh.cli.main import main
from testnet import processes
from testnet.processes import NodeProcess

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "agents"
HOSTILE = ROOT / "tests" / "agents"
ALL_CAPABILITIES = (
    "inference",
    "journal",
    "database",
    "http_fetch",
    "a2a",
    "mcp",
    "filesystem",
    "spend",
)
JSON_LOGS = '[telemetry]\nlog_format = "json"\n'
LOG_LINES = 20_000  # these tests read what nodes say; an operator's terminal keeps less
WAIT_S = 20.0  # until something is noticed on a busy machine; a test that needs it has failed
CAPS = ("a2a", "filesystem", "journal")  # what the agents of these tests use for peers
POLL_S = 0.02

# One command at a time: the output of a process has one place to be caught.
_terminal = threading.Lock()


@dataclass(frozen=True, slots=True)
class Typed:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def typed(home: Path, *arguments: str) -> Typed:
    """Type `akshi-node ARGUMENTS --home HOME`."""
    out, err = io.StringIO(), io.StringIO()
    with _terminal, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([*arguments, "--home", str(home)])
    # Hints name the home that was typed; what they say else is what tests compare.
    hints = err.getvalue().replace(f"akshi-node --home {home} ", "akshi-node ")
    return Typed(code, out.getvalue(), hints)


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="akshi") as name:
        yield Path(name).resolve()


@dataclass(slots=True)
class Node:
    """A running node, its command line and its log."""

    process: NodeProcess

    @property
    def did(self) -> str:
        return self.process.did

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def address(self) -> str:
        return self.process.address

    @property
    def home(self) -> Path:
        return self.process.home.path

    @property
    def pid(self) -> int:
        assert self.process.process is not None, "it was started"
        return self.process.process.pid

    def type(self, *arguments: str) -> Typed:
        return typed(self.home, *arguments)

    def must(self, *arguments: str) -> Typed:
        """Type a command that has to end well."""
        done = self.type(*arguments)
        assert done.code == 0, done
        return done

    def ask(self, target: str, text: str) -> dict[str, Any]:
        """A task, sent and waited for; the whole of how it ended."""
        client = self.process.client
        task = client.task_send(target, text)
        return dict(task if task["final"] else client.task_wait(task["id"], timeout_s=WAIT_S))

    def trust(
        self, other: "Node", *rights: str, address: bool = True, caps: tuple[str, ...] = CAPS
    ) -> None:
        at = ["--address", other.address] if address else []
        allow = [word for right in rights for word in ("--allow", right)]
        if any(right.startswith("a2a:") for right in rights):
            allow += [word for cap in caps for word in ("--cap", cap)]
        self.must("trust", "add", other.did, "--name", other.name, *at, *allow)

    def peer(self, did: str) -> dict[str, Any] | None:
        found = self.type("peers", "--json").objects
        return next((peer for peer in found if peer["did"] == did), None)

    def is_linked(self, did: str) -> bool:
        peer = self.peer(did)
        return peer is not None and peer["state"] == "linked"

    def events(self, name: str, **facts: object) -> list[dict[str, Any]]:
        """What its log says under this name, with these facts."""
        lines = [json.loads(line) for line in list(self.process.said) if line.startswith("{")]
        return [
            line
            for line in lines
            if line["event"] == name and all(line.get(k) == v for k, v in facts.items())
        ]

    def wait_event(self, name: str, **facts: object) -> dict[str, Any]:
        wait_until(lambda: bool(self.events(name, **facts)), f"{name} {facts} of {self.name}")
        return self.events(name, **facts)[-1]

    def workers(self) -> list[int]:
        """Processes of guests: children of the zygote, which is the node's only child."""
        return [worker for zygote in children(self.pid) for worker in children(zygote)]

    def start(self, *, listen: str = "127.0.0.1:0") -> None:
        """Run it again; what ran before has ended, or is ended."""
        self.process.stop()
        self.process.launch(listen=listen)
        self.process.wait_ready()


@contextlib.contextmanager
def running(*nodes: Node) -> Iterator[None]:
    """These nodes, started; stopped at the end, whatever happened."""
    processes.LOG_LINES_KEPT = LOG_LINES
    try:
        for node in nodes:
            node.process.launch()
        for node in nodes:
            node.process.wait_ready()
        yield
    finally:
        for node in nodes:
            node.process.terminate()
        for node in nodes:
            node.process.stop()


def node(parent: Path, name: str, config: str = "") -> Node:
    """A node with a fresh home, not yet running."""
    return Node(NodeProcess.create(name, parent / name, JSON_LOGS + config))


def agent(
    name: str,
    component: str | Path,
    *,
    capabilities: Sequence[str] = (),
    peers: Sequence[str] | None = None,
    files: Sequence[str] | None = None,
    limits: str = "",
    settings: str = "",
) -> str:
    """One `[[agents]]` entry; `component` is an example's name or a path."""
    path = EXAMPLES / f"{component}.wasm" if isinstance(component, str) else component
    lines = ["[[agents]]", f'name = "{name}"', f'wasm_path = "{path}"', settings]
    if capabilities:
        lines += ["[agents.capabilities]", *(f"{capability} = true" for capability in capabilities)]
    if peers is not None:
        lines += ["[agents.peers]", f"allowed = {json.dumps(list(peers))}"]
    if files is not None:
        lines += ["[agents.filesystem]", f"allowed = {json.dumps(list(files))}"]
    if limits:
        lines += ["[agents.limits]", limits]
    return "\n".join(lines) + "\n"


def wait_until(claim: Callable[[], object], what: str) -> None:
    """Return when `claim` holds; fail if that takes longer than WAIT_S."""
    until = time.monotonic() + WAIT_S
    while not claim():
        assert time.monotonic() < until, f"no {what} within {WAIT_S:g} s"
        time.sleep(POLL_S)


def children(pid: int) -> list[int]:
    """The processes that `pid` has begotten and that live."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (thread / "children").read_text().split())
    return found


def proc_status(pid: int) -> dict[str, str]:
    """/proc/PID/status by field."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
