"""Where a page is done: a directory with a home, and a terminal.

What is built here is one component with the agents of all pages, since a Python component takes ten
seconds to build and ten more to compile. It is what `agents build` makes on each page, and tells by
the words of a task which agent is meant: no two pages send the same words.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from akshi_mesh.cli.main import main
from tests.howto.elision import Elision
from tests.howto.page import File, Page, Step

ROOT = Path(__file__).parents[2]
TOOL = ROOT / ".venv-agents" / "bin" / "componentize-py"
PROJECT = "howtos"
READER = "/home/you"  # where a page takes place
WAIT_S = 90.0  # until something is there on a busy machine; a test that needs it has failed
POLL_S = 0.05
# These only look; what they are to show may need a moment, which a reader takes anyway.
LOOKING = re.compile(
    r"akshi-node (approvals list|task get|audit tail|journal read|peers|spend show|mcp list|status)"
)
_SHELL = re.compile(r"[|<>$;&*`]")


def ports_for(pages: Iterable[Page]) -> tuple[dict[str, str], list[socket.socket]]:
    """A free port for each one that a page names. The sockets keep them from anybody else."""
    ports, held = {}, []
    for port in sorted({port for page in pages for port in page.ports}):
        keeper = socket.socket()
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        ports[port] = str(keeper.getsockname()[1])
        held.append(keeper)
    return ports, held


def _exchange(text: str, ports: Mapping[str, str]) -> str:
    for port, other in ports.items():
        text = re.sub(rf"\b{port}\b", other, text)
    return text


@dataclass(frozen=True, slots=True)
class Built:
    """The component of all agents, and what building it printed."""

    component: Path
    printed: str


def words_sent(page: Page) -> set[str]:
    """What is sent to the agents of this page."""
    ours = {agent["name"] for agent in page.config["agents"]}
    sent = set()
    for step in page.commands:
        words = shlex.split(step.typed) if "task send self/" in step.typed else []
        at = words.index("send") if words else 0
        if words and words[at + 1].removeprefix("self/") in ours:
            sent.add(words[at + 2])
    return sent


def build(pages: Iterable[Page], ports: Mapping[str, str], work: Path) -> Built:
    """One project of all agents, begun and built as the pages say."""
    project = work / PROJECT
    _akshi("agents", "new", PROJECT, "--lang", "python", "--dir", str(project))
    meant: dict[str, str] = {}
    for page in pages:
        (project / f"{page.name}_page.py").write_text(_exchange(page.agent, ports))
        for words in words_sent(page):
            assert words not in meant, f"{page.name} and {meant[words]} both send {words!r}"
            meant[words] = page.name
    imports = "".join(f"import {name}_page\n" for name in sorted(set(meant.values())))
    table = "".join(
        f"    {_exchange(words, ports)!r}: {name}_page.answer,\n" for words, name in meant.items()
    )
    (project / "agent.py").write_text(
        f"import akshi\n{imports}\nMEANT = {{\n{table}}}\n"
        "WitWorld = akshi.agent(lambda task: MEANT[task.text](task))\n"
    )
    printed = _akshi("agents", "build", str(project)).replace(f"{project}/", "")
    return Built(project / f"{PROJECT}.wasm", printed)


def _akshi(*arguments: str) -> str:
    """A command that has to end well, and what it printed."""
    code, printed = _typed(arguments)
    assert code == 0, f"{arguments}\n{printed}"
    return printed


def _typed(arguments: Sequence[str]) -> tuple[int, str]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = main(list(arguments))
    return code, printed.getvalue()


def warmed_home(component: Path, work: Path) -> Path:
    """A home after `init`, but that `component` is compiled in it, and in copies of it."""
    home, made = work / "home", work / "made"
    config = work / "warm.toml"
    config.write_text(
        '[mesh]\nlisten = "off"\n[[agents]]\nname = "warm"\n'
        f'wasm_path = "{component}"\n[agents.limits]\nmemory_mb = 64\n'
    )
    environment = {**os.environ, "AKSHI_HOME_DIR": str(home)}
    node = [sys.executable, "-m", "akshi_mesh"]
    subprocess.run([*node, "init"], env=environment, capture_output=True, check=True)
    shutil.copytree(home, made)
    with (work / "warm.log").open("wb") as log:
        running = subprocess.Popen(
            [*node, "run", "-c", str(config)], env=environment, stdout=log, stderr=log
        )
    try:
        made_code = (home / "cache" / "aot").glob
        wait_until(lambda: any(made_code("*.aot")), "a compiled agent", work / "warm.log")
    finally:
        subprocess.run([*node, "stop"], env=environment, capture_output=True, check=False)
        running.wait(10)
    shutil.copytree(home / "cache", made / "cache", dirs_exist_ok=True)
    return made


def wait_until(claim: Callable[[], bool], what: str, log: Path) -> None:
    end = time.monotonic() + WAIT_S
    while not claim():
        assert time.monotonic() < end, f"in vain: {what}\n{log.read_text()}"
        time.sleep(POLL_S)


class Workbench:
    """One page at work. What is typed is typed with its ports and ids exchanged for real ones."""

    def __init__(
        self, page: Page, directory: Path, *, built: Built, ports: Mapping[str, str]
    ) -> None:
        self._page = page
        self._directory = directory
        self._built = built
        self._here = directory
        self._ports = ports
        self._back = {other: port for port, other in ports.items()}
        self._elision = Elision()
        self._running: list[subprocess.Popen[bytes]] = []
        (directory / "examples").symlink_to(ROOT / "examples")

    def do(self, step: File | Step) -> None:
        if isinstance(step, File):
            path = self._here / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._real(step.text))
        elif step.stays:
            self._stay(step)
        else:
            self._type(step)

    def _type(self, step: Step) -> None:
        typed = self._real(self._elision.typed(step.typed))
        end = time.monotonic() + (WAIT_S if LOOKING.match(typed) else 0)
        while True:
            code, printed = self._ran(typed)
            printed = self._shown(printed)
            if self._elision.fits(step.printed, printed):
                break
            told = f"docs/howto/{self._page.name}.md: $ {step.typed}\n{printed}= {code}"
            assert time.monotonic() < end, told
            time.sleep(POLL_S)
        if typed.startswith("akshi-node "):
            assert (code != 0) == ("akshi-node: error: " in printed), f"{typed}: {code}"

    def _ran(self, typed: str) -> tuple[int, str]:
        if typed.startswith("cd "):
            self._here /= typed.removeprefix("cd ")
            os.chdir(self._here)
            (self._here / ".venv").symlink_to(ROOT / ".venv")  # instead of making one
            return 0, ""
        if typed == "akshi-node agents build":
            name = self._here.name
            shutil.copyfile(self._built.component, self._here / f"{name}.wasm")
            return 0, self._built.printed.replace(PROJECT, name)
        if typed.startswith("akshi-node ") and not _SHELL.search(typed):
            return _typed(shlex.split(typed)[1:])
        done = subprocess.run(
            ["bash", "-c", typed],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=WAIT_S,
            check=False,
        )
        return done.returncode, done.stdout.decode()

    def _stay(self, step: Step) -> None:
        typed = self._real(step.typed.removesuffix(" &"))
        output = self._directory / f"{len(self._running)}.out"
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {typed}"],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(process)
        wait_until(
            lambda: self._elision.fits(step.printed, self._shown(output.read_text())),
            f"docs/howto/{self._page.name}.md: $ {step.typed}",
            output,
        )

    def _real(self, text: str) -> str:
        return _exchange(text, self._ports).replace(READER, str(self._directory))

    def _shown(self, printed: str) -> str:
        printed = printed.replace(str(ROOT / ".venv"), str(self._here / ".venv"))
        return _exchange(printed.replace(str(self._directory), READER), self._back)

    def close(self) -> None:
        """End what still runs, and only that."""
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
