"""In every language: begun, tested, built, looked at, run by a real node, and it answers.

Needs the tools of each language (`make agents`). Without them a test is skipped here, and fails
where AKSHI_TOOLCHAINS says that they are to be there.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from akshi_mesh.workshop import tools
from akshi_mesh.workshop.errors import ToolMissing
from akshi_mesh.workshop.project import LANGUAGES

ROOT = Path(__file__).parents[3]
AGENTS = ROOT / ".venv-agents"
TOOLS = (AGENTS / "bin", AGENTS / "js" / "node_modules" / ".bin")
AKSHI = (sys.executable, "-m", "akshi_mesh")
NAME = "counter"
WAIT_S = 120.0  # a Python component is compiled in 10 s on an idle machine
NEEDS: dict[str, tuple[tools.Tool, ...]] = {
    "python": (tools.COMPONENTIZE_PY,),
    "js": (tools.NODE, tools.COMPONENTIZE_QJS),
    "c": (tools.ZIG, tools.WASM_TOOLS),
    "rust": (tools.CARGO, tools.WASM_LD, tools.WASM_TOOLS),
}
TESTS = {
    "python": ("python", "-m", "unittest"),
    "js": ("node", "--test"),
    "c": ("make", "test", "CC=python-zig cc"),
    "rust": ("cargo", "test", "--offline"),
}
SIZE_MAX = {"python": 20 << 20, "js": 2 << 20, "c": 16 << 10, "rust": 128 << 10}
# An interpreter brings the whole world; a linker drops what is not called.
IMPORTS_ONLY_WHAT_IT_CALLS = {"c", "rust"}
BUILDS_THE_SAME_TWICE = {"c", "rust"}


@dataclass(frozen=True, slots=True)
class Built:
    language: str
    directory: Path
    said: dict[str, Any]

    @property
    def component(self) -> Path:
        return self.directory / f"{NAME}.wasm"


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join((*map(str, TOOLS), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path, **more}


def akshi(*typed: object, **more: str) -> str:
    command = (*AKSHI, *map(str, typed))
    done = subprocess.run(
        command, env=environment(**more), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, f"{typed}\n{done.stdout}{done.stderr}"
    return done.stdout


def require(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", environment()["PATH"])
    try:
        for tool in NEEDS[language]:
            tool.find(ROOT)
        if language == "rust":
            tools.rust()
    except ToolMissing as missing:
        why = f"{missing}: {missing.hint}"
        if os.environ.get("AKSHI_TOOLCHAINS"):
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture(scope="module", params=sorted(LANGUAGES))
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        require(request.param, monkeypatch)
        directory = tmp_path_factory.mktemp(request.param) / "project"
        akshi("agents", "new", NAME, "--lang", request.param, "--dir", directory)
        said = json.loads(akshi("agents", "build", directory, "--json"))
        yield Built(request.param, directory, said)


def own_test(language: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """The agent's test as its README says it is run."""
    more = {}
    if language == "rust":
        cargo, rustc = tools.rust()
        more = {"RUSTC": rustc, "PATH": f"{Path(cargo).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        TESTS[language],
        cwd=directory,
        env=environment() | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_its_own_test_passes_without_a_node(built: Built, tmp_path: Path) -> None:
    here = tmp_path / "copy"
    shutil.copytree(built.directory, here, ignore=shutil.ignore_patterns("*.wasm"))
    done = own_test(built.language, here)
    assert done.returncode == 0, done.stdout + done.stderr
    # And it notices: an agent that says something else fails its own test.
    main = here / LANGUAGES[built.language].main
    main.write_text(main.read_text().replace("noted as", "kept as", 1))
    shutil.rmtree(here / "__pycache__", ignore_errors=True)
    assert own_test(built.language, here).returncode != 0


def test_what_was_built_is_what_is_said_of_it(built: Built) -> None:
    assert built.said["size_bytes"] == built.component.stat().st_size <= SIZE_MAX[built.language]
    assert built.said["foreign"] == []
    assert "journal" in built.said["capabilities"]
    if built.language in IMPORTS_ONLY_WHAT_IT_CALLS:
        assert built.said["imports"] == ["journal.append"]


def test_a_node_would_run_it_with_what_its_configuration_grants(built: Built) -> None:
    config = built.directory / "runtime.toml"
    # What a compiler would say of Python's 19 MB takes 15 s, and a real node says it below.
    quick = ("--quick",) if built.language == "python" else ()
    said = json.loads(akshi("agents", "inspect", built.component, *quick, "-c", config, "--json"))
    assert said["accepted"] is (None if quick else True)
    assert said["cid"] == built.said["cid"]
    granted = {one["function"] for one in said["functions"] if one["granted"]}
    assert {name for name in granted if not name.startswith("task.")} <= {
        "journal.append",
        "journal.read",
        "journal.search",
        "journal.find",
    }


def test_building_twice_makes_the_same_bytes_where_the_tools_do(
    built: Built, tmp_path: Path
) -> None:
    assert built.said["sha256"] == hashlib.sha256(built.component.read_bytes()).hexdigest()
    if built.language not in BUILDS_THE_SAME_TWICE:
        # Its interpreter is frozen with addresses and seeds of the build in it: the guide says so.
        return
    other = tmp_path / "another" / "place"
    shutil.copytree(built.directory, other, ignore=shutil.ignore_patterns("*.wasm"))
    again = json.loads(akshi("agents", "build", other, "--json"))
    assert again["sha256"] == built.said["sha256"]


@contextmanager
def node(config: Path) -> Iterator[str]:
    """A real node with this configuration; yields its home."""
    # Not tmp_path: pytest's names are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="akshi") as short:
        home = str(Path(short, "home"))
        akshi("init", AKSHI_HOME_DIR=home)
        log = Path(short, "log")
        with log.open("wb") as out:
            running = subprocess.Popen(
                (*AKSHI, "run", "-c", str(config), "--listen", "127.0.0.1:0"),
                env=environment(AKSHI_HOME_DIR=home),
                stdout=out,
                stderr=out,
            )
        try:
            wait_for_agents(home, log)
            yield home
        finally:
            running.terminate()
            running.wait(20)


def wait_for_agents(home: str, log: Path) -> None:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        asked = subprocess.run(
            (*AKSHI, "agents", "list", "--json"),
            env=environment(AKSHI_HOME_DIR=home),
            capture_output=True,
            text=True,
            check=False,
        )
        states = [json.loads(line)["state"] for line in asked.stdout.splitlines()]
        if asked.returncode == 0 and set(states) == {"ready"}:
            return
        time.sleep(0.2)
    pytest.fail(f"the agents are not ready\n{asked.stdout}{asked.stderr}\n{log.read_text()}")


def test_a_real_node_runs_it_and_it_answers(built: Built) -> None:
    config = built.directory.parent / "both.toml"
    begun = (built.directory / "runtime.toml").read_text()
    begun = begun.replace(f'"{NAME}.wasm"', f'"{built.component}"')
    mute = begun.replace(f'name = "{NAME}"', 'name = "mute"').replace("= true", "= false")
    config.write_text(begun + mute)
    config.chmod(0o600)
    with node(config) as home:
        said = akshi("task", "send", f"self/{NAME}", 'to be or "not" ü', AKSHI_HOME_DIR=home)
        assert said.startswith("5 words, noted as ")
        entries = akshi("journal", "read", NAME, AKSHI_HOME_DIR=home)
        assert 'to be or "not" ü' in entries
        said = akshi("task", "send", "self/mute", "to be", AKSHI_HOME_DIR=home)
        assert said.strip() == "2 words, not noted: capability-denied"
