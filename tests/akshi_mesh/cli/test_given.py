"""What comes on stdin is text, or is refused in words."""

import io

import pytest

from akshi_mesh.cli.given import STDIN_BYTES_MAX, given_text
from akshi_mesh.cli.task import _message
from akshi_mesh.errors import UsageError


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"ab\xff", "not utf-8: byte 3"), (b"a" * (STDIN_BYTES_MAX + 1), "more than 1048576 bytes")],
)
def test_what_is_no_text_is_refused(
    data: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(UsageError, match=words):
        given_text("-")


def test_stdin_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("ä\r\n".encode())))
    assert given_text("-") == "ä\r\n"


def test_an_argument_is_text_too() -> None:
    assert given_text("ä") == "ä"
    with pytest.raises(UsageError, match="not utf-8: byte 2"):
        given_text("a\udcff")


def test_what_no_task_can_hold_is_refused_before_the_node_is_asked() -> None:
    with pytest.raises(UsageError, match="has 70002 bytes as json, a task holds 59392"):
        _message("x" * 70_000)
