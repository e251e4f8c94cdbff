"""A bar is for somebody who watches: nothing else on stderr ever sees one."""

import io

import pytest

from akshi_mesh.cli.progress import progress


class Screen(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_nothing_is_drawn_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("reading", steps=2) as advance:
        advance("one")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("steps", [2, None])
def test_a_terminal_sees_what_is_done(monkeypatch: pytest.MonkeyPatch, steps: int | None) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress("reading every page", steps=steps) as advance:
        advance("half of it")
    assert "half of it" in screen.getvalue()
