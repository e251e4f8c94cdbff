"""The SDKs of C, JavaScript and Rust, each by cases in its own language, built for this machine."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from akshi_mesh.workshop import tools
from akshi_mesh.workshop.errors import ToolMissing

ROOT = Path(__file__).parents[2]
SDK = ROOT / "sandbox" / "sdk"
CASES = Path(__file__).parent / "sdk"


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    here = ROOT / ".venv-agents" / "bin"
    monkeypatch.setenv("PATH", f"{here}{os.pathsep}{os.environ['PATH']}")


def missing(why: ToolMissing) -> None:
    if os.environ.get("AKSHI_TOOLCHAINS"):
        pytest.fail(f"{why}: {why.hint}")
    pytest.skip(f"{why}: {why.hint}")


def passes(*command: str, directory: Path, **more: str) -> None:
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_c(tmp_path: Path) -> None:
    try:
        zig = tools.ZIG.find(tmp_path)
    except ToolMissing as why:
        missing(why)
    checks: Sequence[str] = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined")
    sources = [str(CASES / "cases.c"), *map(str, sorted(SDK.glob("akshi*.c")))]
    passes(zig, "cc", *checks, f"-I{SDK}", "-o", "cases", *sources, directory=tmp_path)
    passes(str(tmp_path / "cases"), directory=tmp_path)


def test_javascript(tmp_path: Path) -> None:
    try:
        node = tools.NODE.find(tmp_path)
    except ToolMissing as why:
        missing(why)
    for name in ("akshi.js", "akshi_testing.js"):
        shutil.copyfile(SDK / name, tmp_path / name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    passes(
        node,
        "--test",
        str(CASES / "cases.test.mjs"),
        directory=tmp_path,
        AKSHI_SDK=str(tmp_path),
    )


def test_rust(tmp_path: Path) -> None:
    try:
        _, rustc = tools.rust()
    except ToolMissing as why:
        missing(why)
    shutil.copyfile(CASES / "cases.rs", tmp_path / "cases.rs")
    for name in ("akshi.rs", "border.rs", "json.rs", "outside.rs"):
        shutil.copyfile(SDK / name, tmp_path / name)
    passes(rustc, "--edition=2021", "--test", "-o", "cases", "cases.rs", directory=tmp_path)
    passes(str(tmp_path / "cases"), directory=tmp_path)
