"""What an agent can read is what lies below its shelf: attacks, one by one."""

import base64
import json
import os
import socket
import sys
import threading
from pathlib import Path

import pytest

from sandbox.acts import filesystem
from sandbox.acts.filesystem import FILE_BYTES_MAX, Shelf, list_shelves
from sandbox.errors import ActFailed, MalformedPath
from sandbox.fault import FaultCode
from sandbox.guest_path import GuestPath

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="openat2 is Linux only")

SECRET = "the key of the node"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "shelf"
    (root / "a" / "b").mkdir(parents=True)
    (root / "note.md").write_text("hällo\n")
    (root / "a" / "b" / "deep.txt").write_text("deep")
    (tmp_path / "secret").write_text(SECRET)
    return root


def read(root: Path, path: str, **options: tuple[str, ...]) -> dict[str, str]:
    answer: dict[str, str] = json.loads(
        Shelf(str(root), **options).read(GuestPath.parse(f"/shelf/{path}"))
    )
    return answer


def refused(root: Path, path: str, **options: tuple[str, ...]) -> FaultCode:
    with pytest.raises(ActFailed) as refusal:
        read(root, path, **options)
    assert SECRET not in str(refusal.value)
    return refusal.value.code


def names(root: Path, path: str = "/shelf", *, after: str = "", limit: int = 100) -> list[str]:
    listed = Shelf(str(root)).list_files(GuestPath.parse(path), after=after, limit=limit)
    return [file["name"] for file in json.loads(listed)["files"]]


def test_text_is_text_and_bytes_are_base64(root: Path) -> None:
    (root / "image").write_bytes(b"\xff\x00")
    assert read(root, "note.md") == {"text": "hällo\n"}
    assert read(root, "image") == {"base64": base64.b64encode(b"\xff\x00").decode()}
    assert read(root, "a/b/deep.txt") == {"text": "deep"}


@pytest.mark.parametrize(
    "path",
    [
        *("../secret", "a/../../secret", "..", "a/..", "./note.md", "a//b", "/etc/passwd"),
        *("note.md\0", "a/b/", "\0", "a" * 256, "/".join("a" * 65)),
    ],
)
def test_a_path_that_climbs_cannot_be_written_down(path: str) -> None:
    with pytest.raises(MalformedPath):
        GuestPath.parse(f"/shelf/{path}")


@pytest.mark.parametrize("path", ["shelf/note.md", "note.md", "..", "~", "/" + "a/" * 2100])
def test_a_path_is_absolute_and_short(path: str) -> None:
    with pytest.raises(MalformedPath):
        GuestPath.parse(path)


def test_even_a_path_that_climbs_stays_below_in_the_kernel(root: Path) -> None:
    """The second lock: were the first open, openat2 would refuse."""
    climbing = object.__new__(GuestPath)
    object.__setattr__(climbing, "parts", ("shelf", "..", "secret"))
    with pytest.raises(ActFailed, match="leads out of its root") as refusal:
        Shelf(str(root)).read(climbing)
    assert refusal.value.code is FaultCode.NOT_ALLOWED


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "note.md", "loop"])
def test_no_symbolic_link_is_followed_wherever_it_leads(root: Path, target: str) -> None:
    (root / "loop").symlink_to(target)
    assert refused(root, "loop") is FaultCode.NOT_ALLOWED
    assert names(root) == ["a", "note.md"]


def test_no_directory_that_is_a_link_is_passed(root: Path, tmp_path: Path) -> None:
    (root / "out").symlink_to(tmp_path)
    assert refused(root, "out/secret") is FaultCode.NOT_ALLOWED
    with pytest.raises(ActFailed):
        names(root, "/shelf/out")


def test_a_link_swapped_in_while_we_look_wins_nothing(root: Path, tmp_path: Path) -> None:
    """A race of a file against a link to the secret: never one byte of the secret."""
    stop = threading.Event()
    good, evil = root / "good", root / "evil"

    def swap() -> None:
        while not stop.is_set():
            good.write_text("mine")
            good.replace(root / "file")
            evil.unlink(missing_ok=True)
            evil.symlink_to(tmp_path / "secret")
            evil.replace(root / "file")

    (root / "file").write_text("mine")
    thread = threading.Thread(target=swap)
    thread.start()
    outcomes = set()
    try:
        for _ in range(1_000):
            try:
                outcomes.add(read(root, "file")["text"])
            except ActFailed as refusal:
                outcomes.add(refusal.code)
    finally:
        stop.set()
        thread.join()
    assert SECRET not in outcomes
    assert outcomes <= {"mine", "", FaultCode.NOT_ALLOWED, FaultCode.INVALID}


def test_a_hard_link_is_the_file_itself(root: Path) -> None:
    """Whoever may write into a shelf has put it there; documented, not prevented."""
    (root / "hard").hardlink_to(root / "note.md")
    assert read(root, "hard") == {"text": "hällo\n"}


def test_a_pipe_does_not_hang_and_is_not_listed(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert refused(root, "pipe") is FaultCode.INVALID
    assert "pipe" not in names(root)


def test_a_socket_is_no_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # a socket's path is short or refused
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert refused(root, "socket") is FaultCode.INVALID
    assert "socket" not in names(root)


def test_a_device_is_not_even_opened() -> None:
    assert refused(Path("/dev"), "null") is FaultCode.INVALID


def test_a_magic_link_of_proc_is_not_followed() -> None:
    for path in ("self/environ", "self/root/etc/passwd", "self/cwd/setup.py", "thread-self/status"):
        assert refused(Path("/proc"), path) is FaultCode.NOT_ALLOWED


def test_another_mount_below_the_root_is_not_entered() -> None:
    assert refused(Path("/"), "proc/version") is FaultCode.NOT_ALLOWED


def test_a_directory_is_no_file_and_a_file_no_directory(root: Path) -> None:
    assert refused(root, "a") is FaultCode.INVALID
    with pytest.raises(ActFailed, match="no directory"):
        names(root, "/shelf/note.md")


def test_what_is_not_there_is_invalid(root: Path) -> None:
    assert refused(root, "absent") is FaultCode.INVALID
    assert refused(root, "note.md/below") is FaultCode.INVALID
    assert refused(root / "gone", "absent") is FaultCode.INVALID


def test_a_file_is_read_up_to_the_limit_and_not_beyond(root: Path) -> None:
    (root / "small").write_bytes(b"x" * 1_000_000)
    assert len(read(root, "small")["text"]) == 1_000_000
    (root / "large").write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    assert refused(root, "large") is FaultCode.INVALID
    (root / "escapes").write_bytes(b"\n" * (FILE_BYTES_MAX // 2 + 1))
    assert refused(root, "escapes") is FaultCode.INVALID


def test_the_home_of_the_node_is_hidden_even_below_an_allowed_root(root: Path) -> None:
    home = root / "akshi"
    (home / "security").mkdir(parents=True)
    (home / "security" / "node_key.pem").write_text(SECRET)
    hidden = (str(home),)
    assert refused(root, "akshi/security/node_key.pem", hidden=hidden) is FaultCode.NOT_ALLOWED
    shelf = Shelf(str(root), hidden)
    listed = json.loads(shelf.list_files(GuestPath.parse("/shelf"), after="", limit=9))
    assert [file["name"] for file in listed["files"]] == ["a", "note.md"]
    with pytest.raises(ActFailed, match="belongs to the node"):
        shelf.list_files(GuestPath.parse("/shelf/akshi"), after="", limit=9)


def test_a_listing_comes_in_pages_in_order_of_name(root: Path) -> None:
    for number in range(3):
        (root / f"f{number}").touch()
    shelf = Shelf(str(root))
    top = GuestPath.parse("/shelf")
    first = json.loads(shelf.list_files(top, after="", limit=3))
    assert [file["name"] for file in first["files"]] == ["a", "f0", "f1"]
    assert first["files"][0] == {"name": "a", "kind": "directory", "bytes": 0}
    assert first["next"] == "f1"
    second = json.loads(shelf.list_files(top, after=first["next"], limit=2))
    assert second == {
        "files": [
            {"name": "f2", "kind": "file", "bytes": 0},
            {"name": "note.md", "kind": "file", "bytes": 7},
        ],
        "next": None,
    }


def test_the_list_of_shelves_comes_in_pages_too() -> None:
    first = json.loads(list_shelves(["b", "a", "c"], after="", limit=2))
    assert [file["name"] for file in first["files"]] == ["a", "b"]
    assert first["next"] == "b"
    rest = json.loads(list_shelves(["b", "a", "c"], after="b", limit=2))
    assert rest == {"files": [{"name": "c", "kind": "directory", "bytes": 0}], "next": None}


def test_a_name_that_is_no_text_is_left_out(root: Path) -> None:
    os.close(os.open(bytes(root) + b"/\xff", os.O_CREAT | os.O_WRONLY))
    assert names(root) == ["a", "note.md"]


def test_what_one_listing_costs_has_a_limit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "ENTRIES_SCANNED_MAX", 10)
    assert len(names(root)) == 2
    for number in range(10):
        (root / f"f{number}").touch()
    with pytest.raises(ActFailed, match="more than 10"):
        names(root)


def test_a_kernel_without_openat2_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "_OPENAT2", 100_000)
    assert refused(root, "note.md") is FaultCode.UNAVAILABLE
