"""Building when something is not there or not right: one line that says what to do."""

import sys
from pathlib import Path

import pytest

from akshi_mesh.cli.main import main
from akshi_mesh.workshop import build as building
from akshi_mesh.workshop import tools
from akshi_mesh.workshop.errors import BuildFailed, ToolMissing
from akshi_mesh.workshop.project import LANGUAGES, begin

INSTALLS = {
    "python": "pip install componentize-py==",
    "js": "npm install componentize-qjs@",
    "c": "pip install ziglang==",
    "rust": "apt install rustc cargo libstd-rust-dev-wasm32",
}


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which no tool is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "_makes_wasm", lambda _: False)


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_missing_tool_is_one_line_and_what_installs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    project = begin("counter", language, tmp_path / "new")
    assert main(["agents", "build", str(project.directory)]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.endswith("is not on this machine")
    assert INSTALLS[language] in hint
    assert not project.output.exists()


def test_each_language_has_a_recipe() -> None:
    assert set(building._RECIPES) == set(LANGUAGES)


def tool(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(0o700)


def test_a_tool_that_refuses_is_heard_and_leaves_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = begin("counter", "python", tmp_path / "new")
    project.output.write_bytes(b"the last good one")
    tool(tmp_path / "bin" / "componentize-py", "print('line 1: \\x1b[2J what')\nexit(3)")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert main(["agents", "build", str(project.directory)]) == 5
    err = capsys.readouterr().err
    assert "componentize-py: line 1:" in err
    assert "\x1b" not in err
    assert "exit code 3" in err
    assert project.output.read_bytes() == b"the last good one"


def test_what_a_tool_makes_is_not_taken_beyond_what_a_node_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = begin("counter", "python", tmp_path / "new")
    script = "open('component.wasm', 'wb').write(bytes(33 << 20))"
    tool(tmp_path / "bin" / "componentize-py", script)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(BuildFailed, match="a node takes"):
        building.build(project)


def test_a_tool_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "BUILD_S_MAX", 0.2)
    with pytest.raises(BuildFailed, match="not done"):
        tools.run((sys.executable, "-c", "import time; time.sleep(30)"), tmp_path)


def test_the_tool_of_the_project_goes_before_the_one_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    wanted = tools.Tool(("some-tool",), "pip install some-tool")
    with pytest.raises(ToolMissing):
        wanted.find(tmp_path)
    tool(tmp_path / "bin" / "some-tool", "")
    assert wanted.find(tmp_path) == str(tmp_path / "bin" / "some-tool")
    tool(tmp_path / "node_modules" / ".bin" / "some-tool", "")
    assert wanted.find(tmp_path) == str(tmp_path / "node_modules" / ".bin" / "some-tool")


def test_a_rustc_without_the_library_of_wasm_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("first", "second"):
        for name in ("cargo", "rustc"):
            tool(tmp_path / place / name, "")
    monkeypatch.setenv("PATH", f"{tmp_path / 'first'}:{tmp_path / 'second'}")
    monkeypatch.setattr(tools, "_makes_wasm", lambda rustc: "second" in rustc)
    assert tools.rust() == tuple(str(tmp_path / "second" / name) for name in ("cargo", "rustc"))
