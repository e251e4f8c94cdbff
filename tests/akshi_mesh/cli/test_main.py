"""Every failure ends in one exit code and at most two lines, and every command starts quickly."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from akshi_mesh.api.errors import ALL
from akshi_mesh.api.told import told
from akshi_mesh.cli import first, output
from akshi_mesh.cli.main import explain, main
from akshi_mesh.cli.output import lasted, plural
from akshi_mesh.home import Home
from identity.errors import MalformedDid, NotTrusted
from sandbox.errors import JailMissing, UnknownAgent
from sync.errors import DatabaseDamaged, QueueFull, StoreFull, UnknownTask

PROGRAM = Path(sys.executable).with_name("akshi-node")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("AKSHI_HOME_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert main(["init"]) == 0
    return Home.find(None, os.environ)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (MalformedDid("x", why="y"), 2),
        (NotTrusted("did:key:z"), 3),
        (UnknownAgent("a"), 2),
        (JailMissing(why="x"), 3),
        (UnknownTask(b"\0"), 2),
        (QueueFull(rows=1, size_bytes=1), 3),
        (StoreFull("node.db", "full"), 3),
        (DatabaseDamaged("node.db", "x"), 5),
    ],
)
def test_whose_turn_it_is_decides_the_exit_code(failure: Exception, code: int) -> None:
    explained = told(failure)  # type: ignore[arg-type]
    assert explained.exit_code == code
    assert str(explained) == str(failure)
    assert explained.hint == (failure.hint or "")  # type: ignore[attr-defined]


def test_each_refusal_of_the_api_has_a_status_of_its_own() -> None:
    assert len({kind.http_status for kind in ALL}) == len(ALL)


def test_a_bug_is_one_line_and_a_way_to_see_more(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(home: Home) -> None:
        raise KeyError("what\nnow")

    monkeypatch.setattr(first, "did_of", broken)
    capsys.readouterr()
    assert main(["whoami"]) == 1
    told_lines = capsys.readouterr().err.splitlines()
    assert told_lines[0].startswith("akshi-node: error: a bug of ours: KeyError: 'what\\nnow' (")
    assert told_lines[1].startswith("akshi-node: hint: ")
    assert len(told_lines) == 2
    assert main(["whoami", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_130(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(home: Home) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(first, "did_of", interrupted)
    assert main(["whoami"]) == 130


@pytest.mark.parametrize(
    ("failures", "code", "words"),
    [
        ([NotTrusted("did:key:z")], 3, "error: not trusted: did:key:z"),
        ([DatabaseDamaged("node.db", "x"), NotTrusted("d")], 5, "error: node.db: x"),
        ([NotTrusted("d"), AssertionError("x")], 1, "error: a bug of ours: AssertionError: x"),
        ([NotTrusted("d"), KeyboardInterrupt()], 130, ""),
        ([OSError(28, "No space left on device", "f")], 2, "error: f: no space left on device"),
    ],
)
def test_what_a_nursery_wrapped_is_told_as_if_it_were_not(
    failures: list[BaseException], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    group = BaseExceptionGroup("outer", [BaseExceptionGroup("inner", failures)])
    assert explain(group, with_traceback=False) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_node_ends_as_it_is_told_by_signal(home: Home, number: signal.Signals) -> None:
    """Ctrl-C is an interrupt, SIGTERM a wish; neither leaves a traceback."""
    command = [str(PROGRAM), "run", "--listen", "off", "--home", str(home.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        while not child.stdout.readline().startswith(b"ready in "):
            pass
        child.send_signal(number)
        _, err = child.communicate(timeout=30)
    assert child.returncode == (130 if number == signal.SIGINT else 0)
    assert b"Traceback" not in err


@pytest.mark.parametrize("words", ["\x1b[2J", "\ud800", "\u202e"])
def test_words_of_strangers_cannot_draw_on_the_terminal(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output.say(words)
    output.say_table([(words, words)])
    output.error(words)
    output.say_json({"text": words})
    captured = capsys.readouterr()
    assert words not in captured.out + captured.err


def test_a_full_pipe_is_nobodys_mistake(home: Home) -> None:
    command = [str(PROGRAM), "trust", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""


def test_who_only_asks_does_not_wait_for_what_it_does_not_need(home: Home) -> None:
    """`whoami` and `--help` load no wasm, no web server, no scheduler."""
    asks = ("whoami", "trust list", "trust --help", "stop", "config check", "approvals list")
    for arguments in map(str.split, (*asks, "spend --help", "secrets --help", "audit tail")):
        program = (
            "import sys; from akshi_mesh.cli.main import main\n"
            f"main({arguments!r})\n"
            "heavy = 'wasmtime starlette hypercorn httpx httpx2 httpcore mcp anyio trio asyncio '\n"
            "heavy += 'structlog rich numpy keyring sqlite_vec'\n"
            "print([name for name in heavy.split() if name in sys.modules], file=sys.stderr)"
        )
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        assert ran.stderr.decode().splitlines()[-1] == "[]", arguments


@pytest.fixture
def deaf(home: Home) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that holds the home's lock and the socket, and answers nothing, as a hung node."""
    program = (
        "import signal, socket, sys, time\n"
        "from pathlib import Path; from akshi_mesh.home import Home\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "home = Home(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "with home.lock():\n"
        "    ear = socket.socket(socket.AF_UNIX); ear.bind(str(home.socket_path)); ear.listen()\n"
        "    print('deaf', flush=True)\n"
        "    while True: time.sleep(60)\n"
    )
    arguments = [sys.executable, "-c", program, str(home.path), str(home.runtime_dir)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"deaf\n"
        yield child
        child.kill()


def test_stop_means_stop_also_for_a_node_that_hangs(
    deaf: "subprocess.Popen[bytes]", capsys: pytest.CaptureFixture[str]
) -> None:
    """One second for the answer, then it is killed."""
    began = time.monotonic()
    assert main(["stop", "--json"]) == 0
    assert time.monotonic() - began < 3
    assert deaf.wait(1) == -signal.SIGKILL
    told_lines = capsys.readouterr().out.splitlines()
    assert json.loads(told_lines[-1]) == {"stopped": True, "killed": True, "note": ""}


def test_a_socket_that_nobody_serves_is_no_node(home: Home) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(home.socket_path))
    stale.close()
    assert main(["status"]) == 4
    assert main(["stop"]) == 0


def test_plain_words_for_numbers() -> None:
    assert [plural(count, "entry") for count in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    spans = [lasted(seconds) for seconds in (0.05, 61, 3_661, 90_000)]
    assert spans == ["0.05 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]
