"""From a project to its component: the same steps for everybody, in a directory of their own.

The sources are copied to a new temporary directory first, so no path of this machine gets into
the bytes and nothing half built is left among them.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from akshi_mesh.workshop import tools
from akshi_mesh.workshop.errors import BuildFailed
from akshi_mesh.workshop.project import Project
from sandbox.component import COMPONENT_BYTES_MAX

# What is made, or is not ours: never copied.
_LEFT_BEHIND: Final = shutil.ignore_patterns(
    "*.wasm", "__pycache__", "node_modules", "target", ".venv", ".git", "test_agent"
)
_COMPONENT: Final = "component.wasm"
_CORE: Final = "core.wasm"
Recipe = Callable[[Project, Path], None]


def build(project: Project) -> bytes:
    """The component of `project`; nothing is written into it.

    Raises:
        ToolMissing: before anything is done.
        BuildFailed: a tool refused the source, or made more than a node takes.
        OSError: the sources cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="akshi-build-") as place:
        work = Path(place, "agent")
        shutil.copytree(project.directory, work, ignore=_LEFT_BEHIND)
        _RECIPES[project.language.name](project, work)
        component = (work / _COMPONENT).read_bytes()
    if len(component) > COMPONENT_BYTES_MAX:
        raise BuildFailed(
            f"the component has {len(component)} bytes, a node takes {COMPONENT_BYTES_MAX}"
        )
    return component


def _python(project: Project, work: Path) -> None:
    tool = tools.COMPONENTIZE_PY.find(project.directory)
    tools.run(
        (
            tool,
            *("-d", "wit", "-w", "agent", "componentize", "--stub-wasi"),
            *("-p", ".", "-p", "sdk", Path(project.language.main).stem, "-o", _COMPONENT),
        ),
        work,
    )


def _js(project: Project, work: Path) -> None:
    tool = tools.COMPONENTIZE_QJS.find(project.directory)
    node = tools.NODE.find(project.directory)  # which runs the other one
    # The small engine, without what a node does not link: async, and all of WASI.
    tools.run(
        (
            tool,
            *("--wit", "wit/akshi.wit", "--world", "agent", "--js", project.language.main),
            *("--module-root", ".", "--sync", "--opt-size", "--stub-wasi", "--output", _COMPONENT),
        ),
        work,
        PATH=os.pathsep.join((str(Path(node).parent), os.environ.get("PATH", ""))),
    )


def _c(project: Project, work: Path) -> None:
    zig = tools.ZIG.find(project.directory)
    tools.WASM_TOOLS.find(project.directory)
    # `python-zig` hands on to zig what follows it, and zig has clang inside.
    own = sorted(str(path.relative_to(work)) for path in work.rglob("*.c"))
    sources = [path for path in own if not Path(path).name.startswith("test_")]
    tools.run(
        (
            *(zig, "build-exe", "-target", "wasm32-freestanding", "-mcpu=generic"),
            *("-O", "ReleaseSmall", "-fstrip", "-fno-entry", "-fsingle-threaded"),
            # A small stack, first in memory: a guest that overflows it hits address 0 and traps.
            *("--stack", "131072", "-I", "sdk"),
            *("-cflags", "-std=c11", "-Wall", "-Wextra", "-fno-builtin", "--"),
            *(*sources, "--cache-dir", "../cache"),
            f"-femit-bin={_CORE}",
        ),
        work,
    )
    _wrap(project, work)


def _rust(project: Project, work: Path) -> None:
    cargo, rustc = tools.rust()
    linker = tools.WASM_LD.find(project.directory)
    tools.WASM_TOOLS.find(project.directory)
    tools.run(
        (cargo, "build", "--release", "--target", tools.RUST_TARGET, "--target-dir", "../target"),
        work,
        RUSTC=rustc,
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=linker,
        RUSTFLAGS=f"--remap-path-prefix={work}=agent",
    )
    built = sorted((work.parent / "target" / tools.RUST_TARGET / "release").glob("*.wasm"))
    if len(built) != 1:
        raise BuildFailed(f"cargo made {len(built)} wasm modules, want 1: a cdylib")
    shutil.copyfile(built[0], work / _CORE)
    _wrap(project, work)


def _wrap(project: Project, work: Path) -> None:
    """Make a component of a core module that speaks the canonical ABI by itself."""
    wasm_tools = tools.WASM_TOOLS.find(project.directory)
    world = ("wit/akshi.wit", "-w", "agent")
    tools.run((wasm_tools, "component", "embed", *world, _CORE, "-o", "embedded.wasm"), work)
    tools.run((wasm_tools, "component", "new", "embedded.wasm", "-o", _COMPONENT), work)


_RECIPES: Final[dict[str, Recipe]] = {"python": _python, "js": _js, "c": _c, "rust": _rust}
