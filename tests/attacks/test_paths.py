"""The filesystem: a guest reads what lies below its shelf, and no name leads anywhere else.

Each path goes the whole way: the gate of a real attempt, then the shelf and the kernel.
"""

import itertools
import json
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sandbox.agent_spec import AgentSpec
from sandbox.errors import MalformedAgentSpec
from sandbox.fault import Fault, FaultCode
from sandbox.host.attempt import Attempt
from sandbox.hostcall import Call
from tests.sandbox.fakes import FakeNode, spec, task

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="openat2 is Linux only")

SECRET = "the key of the node"
Ask = Callable[..., Awaitable[str | Fault]]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    shelf = tmp_path / "shelf"
    (shelf / "a").mkdir(parents=True)
    (shelf / "note.md").write_text("hello")
    (tmp_path / "secret").write_text(SECRET)
    home = tmp_path / "home"
    home.mkdir()
    (home / "node.key").write_text(SECRET)
    return shelf


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


def guest_of(node: FakeNode, root: Path, *, hidden: tuple[str, ...] = ()) -> Ask:
    agent: AgentSpec = spec()
    # An owner who writes /proc or /dev there is told at once; the shelf stands on its own.
    object.__setattr__(agent, "filesystem_allowed", (str(root),))
    attempts: list[Attempt] = []
    numbers = itertools.count()

    async def ask(path: str, function: str = "filesystem.read-file") -> str | Fault:
        more: tuple[str | int, ...] = ("", 100) if function.endswith("list-files") else ()
        if not attempts:
            attempts.append(Attempt(node.boundary(hidden=hidden).desk(agent), task()))
        return await attempts[0].answer(Call(next(numbers), function, (path, *more)))

    return ask


@pytest.fixture
def ask(node: FakeNode, shelf: Path) -> Ask:
    return guest_of(node, shelf, hidden=(str(shelf.parent / "home"),))


def code(answer: str | Fault) -> FaultCode:
    assert isinstance(answer, Fault), answer
    assert SECRET not in answer.why
    return answer.code


REFUSED = (FaultCode.INVALID, FaultCode.NOT_ALLOWED)


@pytest.mark.parametrize(
    "path",
    [
        "/shelf/../secret",
        "/shelf/a/../../secret",
        "/shelf/./../secret",
        "/../secret",
        "/..",
        "..",
        "shelf/note.md",
        "//secret",
        "/shelf//note.md",
        "/shelf/..%2fsecret",
        "/shelf/%2e%2e/secret",
        "/shelf/..\\secret",
        "/shelf/．．/secret",
        "/shelf/..;/secret",
    ],
)
async def test_path_traversal(ask: Ask, node: FakeNode, path: str) -> None:
    assert code(await ask(path)) in REFUSED
    assert code(await ask(path, "filesystem.list-files")) in REFUSED
    assert {record.event.value for record in node.state.audit} <= {"refused", "allowed", "failed"}


@pytest.mark.parametrize("path", ["/etc/passwd", "/root", "/SHELF/note.md", "/shelf2/x", "/shel/x"])
async def test_an_absolute_path_or_another_shelf(ask: Ask, path: str) -> None:
    assert code(await ask(path)) is FaultCode.NOT_ALLOWED


async def test_what_is_on_the_shelf_is_read(ask: Ask) -> None:
    assert await ask("/shelf/note.md") == '{"text":"hello"}'


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "note.md", "/proc/self/environ"])
async def test_a_symlink(ask: Ask, shelf: Path, target: str) -> None:
    (shelf / "link").symlink_to(target)
    (shelf / "folder").symlink_to("..")
    assert code(await ask("/shelf/link")) is FaultCode.NOT_ALLOWED
    assert code(await ask("/shelf/folder/secret")) is FaultCode.NOT_ALLOWED
    assert code(await ask("/shelf/folder", "filesystem.list-files")) is FaultCode.NOT_ALLOWED


async def test_symlink_swap_race(ask: Ask, shelf: Path) -> None:
    """A file and a folder trade places with links to the secret as fast as they can."""
    stop = threading.Event()
    (shelf / "file").write_text("mine")
    (shelf / "way").mkdir()
    (shelf / "way" / "secret").write_text("mine")

    def swap() -> None:
        link = shelf / "evil"
        while not stop.is_set():
            link.symlink_to("../secret")
            link.replace(shelf / "file")
            (shelf / "good").write_text("mine")
            (shelf / "good").replace(shelf / "file")
            (shelf / "way").rename(shelf / "away")
            (shelf / "way").symlink_to("..")
            (shelf / "way").unlink()
            (shelf / "away").rename(shelf / "way")

    thread = threading.Thread(target=swap)
    thread.start()
    answers = []
    try:
        for path in ["/shelf/file", "/shelf/way/secret"] * 300:
            answers.append(await ask(path))
    finally:
        stop.set()
        thread.join()
    assert not [answer for answer in answers if isinstance(answer, str) and SECRET in answer]
    assert all(code(answer) in REFUSED for answer in answers if isinstance(answer, Fault))
    assert '{"text":"mine"}' in answers


async def test_hard_link(ask: Ask, shelf: Path, tmp_path: Path) -> None:
    """Whoever may write into a shelf may put a file there; the node's own are never told."""
    (shelf / "theirs").hardlink_to(tmp_path / "secret")
    (shelf / "ours").hardlink_to(tmp_path / "home" / "node.key")
    assert await ask("/shelf/theirs") == json.dumps({"text": SECRET}, separators=(",", ":"))
    assert code(await ask("/shelf/ours")) is FaultCode.NOT_ALLOWED


async def test_the_home_below_a_shelf(node: FakeNode, shelf: Path, tmp_path: Path) -> None:
    ask = guest_of(node, tmp_path, hidden=(str(tmp_path / "home"),))
    name = tmp_path.name
    assert code(await ask(f"/{name}/home/node.key")) is FaultCode.NOT_ALLOWED
    assert code(await ask(f"/{name}/home", "filesystem.list-files")) is FaultCode.NOT_ALLOWED
    listed = await ask(f"/{name}", "filesystem.list-files")
    assert isinstance(listed, str)
    assert "home" not in [file["name"] for file in json.loads(listed)["files"]]


@pytest.mark.parametrize("root", ["/proc", "/dev", "/sys", "/proc/self", "/dev/shm"])
def test_proc_and_devices_are_no_shelf(root: str) -> None:
    with pytest.raises(MalformedAgentSpec):
        spec(filesystem_allowed=(root,))


@pytest.mark.parametrize(
    "path", ["self/environ", "self/root/etc/passwd", "self/fd/0", "self/cwd/x", "thread-self/maps"]
)
async def test_proc(node: FakeNode, path: str) -> None:
    """Even for an owner who allows /proc: the node's own memory and open files are links there."""
    assert code(await guest_of(node, Path("/proc"))(f"/proc/{path}")) is FaultCode.NOT_ALLOWED


async def test_proc_from_another_shelf(ask: Ask, shelf: Path) -> None:
    (shelf / "proc").symlink_to("/proc/self/root")
    assert code(await ask("/shelf/proc/etc/passwd")) is FaultCode.NOT_ALLOWED
    assert code(await ask("/proc/self/environ")) is FaultCode.NOT_ALLOWED


async def test_fifo(ask: Ask, shelf: Path) -> None:
    """Opening a pipe for reading would wait for a writer for ever."""
    os.mkfifo(shelf / "pipe")
    assert code(await ask("/shelf/pipe")) is FaultCode.INVALID
    assert "pipe" not in str(await ask("/shelf", "filesystem.list-files"))


async def test_socket(ask: Ask, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shelf)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        assert code(await ask("/shelf/s")) is FaultCode.INVALID


@pytest.mark.parametrize("name", ["null", "zero", "random", "tty"])
async def test_device(node: FakeNode, name: str) -> None:
    """Even for an owner who allows /dev: nothing is opened that could do something."""
    assert code(await guest_of(node, Path("/dev"))(f"/dev/{name}")) is FaultCode.INVALID


@pytest.mark.parametrize(
    "path", ["/shelf/note.md\0", "/shelf/\0/../secret", "/shelf\0/note.md", "\0"]
)
async def test_nul(ask: Ask, node: FakeNode, path: str) -> None:
    assert code(await ask(path)) is FaultCode.INVALID


async def test_a_file_that_grows_beyond_an_answer(ask: Ask, shelf: Path) -> None:
    with (shelf / "large").open("wb") as file:
        file.truncate(1 << 40)  # sparse: it takes no room, and would fill all memory
    assert code(await ask("/shelf/large")) is FaultCode.INVALID


@pytest.mark.parametrize("path", ["/shelf/" + "x" * 256, "/shelf/" + "a/" * 70 + "b", "/" * 5_000])
async def test_a_name_that_no_file_has(ask: Ask, path: str) -> None:
    assert code(await ask(path)) in REFUSED
