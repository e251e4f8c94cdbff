r"""The command line, as people see it: each *.txt here is typed and compared.

    # a comment                         | a line for the file that `@ write FILE` began
    $ akshi-node whoami                 > a line on stdout      ! a line on stderr
    (a reader.wasm holds the first bytes of a component, whatever is written)
    = 3 (the exit code; left out: 0)    @ node (from here on a node runs in this home)

`…` stands for any characters, `DIR` for the directory in which everything happens.
"""

import contextlib
import io
import os
import re
import shlex
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from akshi_mesh.api.server import Api
from akshi_mesh.cli.config_check import COMPONENT
from akshi_mesh.cli.main import main
from akshi_mesh.home import Home
from tests.akshi_mesh.api.fakes import FakeControl

TRANSCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@dataclass
class Step:
    """One command, and what must come of it."""

    line: int
    typed: str
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    code: int = 0
    files: list[tuple[str, list[str]]] = field(default_factory=list)
    needs_node: bool = False


def parse(text: str) -> list[Step]:
    steps: list[Step] = []
    files: list[tuple[str, list[str]]] = []
    needs_node = False
    for number, line in enumerate(text.splitlines(), 1):
        mark, rest = line[:1], line[2:]
        match mark:
            case "" | "#":
                continue
            case "@" if rest.startswith("write "):
                files.append((rest.removeprefix("write "), []))
            case "@" if rest == "node":
                needs_node = True
            case "|":
                files[-1][1].append(rest)
            case "$":
                steps.append(Step(number, rest, files=files, needs_node=needs_node))
                files, needs_node = [], False
            case ">":
                steps[-1].stdout.append(rest)
            case "!":
                steps[-1].stderr.append(rest)
            case "=":
                steps[-1].code = int(rest)
            case _:
                raise AssertionError(f"line {number}: {line!r}")
    return steps


@contextlib.contextmanager
def running_node(home: Home) -> Iterator[None]:
    """A node with fixed answers in a thread of its own, under the home's lock."""
    ready = threading.Event()
    token: list[trio.lowlevel.TrioToken] = []
    scope = trio.CancelScope()

    async def serve() -> None:
        token.append(trio.lowlevel.current_trio_token())
        shown = home.api_token()
        api = Api(
            FakeControl(),
            token=shown,
            version="0.1.0",
            ended=scope.cancel,
            damaged=lambda _: None,
        )
        with scope, home.lock():
            async with trio.open_nursery() as nursery:
                await nursery.start(api.run, home.socket_path)
                ready.set()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        with contextlib.suppress(trio.RunFinishedError):
            trio.from_thread.run_sync(scope.cancel, trio_token=token[0])
        thread.join(10)


def run(typed: str) -> tuple[int, str, str]:
    program, *arguments = shlex.split(typed)
    assert program in ("akshi-node", "akshi")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()


def fits(expected: list[str], actual: str, directory: Path) -> bool:
    lines = actual.replace(str(directory), "DIR").splitlines()
    if len(lines) != len(expected):
        return False
    return all(
        re.fullmatch(".*".join(map(re.escape, want.split("…"))), got.rstrip())
        for want, got in zip(expected, lines, strict=True)
    )


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed there answers as written there, to the letter."""
    import tempfile

    # Not tmp_path: pytest's names are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="akshi") as name, contextlib.ExitStack() as stack:
        directory = Path(name).resolve()
        monkeypatch.chdir(directory)
        monkeypatch.setenv("AKSHI_HOME_DIR", "home")
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        monkeypatch.setenv("TZ", "UTC")
        for step in parse(path.read_text()):
            for file, lines in step.files:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
                text = "".join(f"{line}\n" for line in lines)
                Path(file).write_bytes(COMPONENT if file.endswith("reader.wasm") else text.encode())
            if step.needs_node:
                stack.enter_context(running_node(Home.find(None, os.environ)))
            code, out, err = run(step.typed)
            told = f"{path.name} line {step.line}: $ {step.typed}\n{out}{err}= {code}"
            assert code == step.code, told
            assert fits(step.stdout, out, directory), told
            assert fits(step.stderr, err, directory), told
