"""Each capability has a page that keeps its word: its files are written, its commands are typed,
and what they print is what the page says."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.capability import Capability
from tests.howto.elision import Elision
from tests.howto.model import model
from tests.howto.page import Page
from tests.howto.workbench import ROOT, TOOL, Built, Workbench, build, ports_for, warmed_home

HOWTOS = ROOT / "docs" / "howto"
PAGES = {
    capability.value: Page.read(HOWTOS / f"{capability.value}.md") for capability in Capability
}
MODEL_PORT = "11434"
MISSING = "the tools that build agents are not here: make agents"


@dataclass(frozen=True, slots=True)
class Workshop:
    """What is made once for all pages."""

    built: Built
    home: Path
    ports: Mapping[str, str]


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    if not TOOL.is_file():
        if os.environ.get("CI") or os.environ.get("AKSHI_TOOLCHAINS"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with ExitStack() as stack:
        ports, keepers = ports_for(PAGES.values())
        for keeper in keepers:
            stack.enter_context(keeper)
        stack.enter_context(model(int(ports[MODEL_PORT])))
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="akshi"))).resolve()
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("PATH", f"{TOOL.parent}{os.pathsep}{os.environ['PATH']}")
        built = build(PAGES.values(), ports, work)
        yield Workshop(built, warmed_home(built.component, work), ports)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_does_what_it_says(
    name: str, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = PAGES[name]
    # Not tmp_path: pytest's names are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="akshi") as short:
        directory = Path(short).resolve()
        directory.chmod(0o755)  # a server of tools is nobody
        shutil.copytree(workshop.home, directory / "home")
        monkeypatch.chdir(directory)
        monkeypatch.setenv("AKSHI_HOME_DIR", str(directory / "home"))
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")
        monkeypatch.setenv("PATH", os.pathsep.join([str(ROOT / ".venv/bin"), os.environ["PATH"]]))
        bench = Workbench(page, directory, built=workshop.built, ports=workshop.ports)
        try:
            for step in page.steps:
                bench.do(step)
        finally:
            bench.close()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_pages_have_one_form(name: str) -> None:
    """The same parts in the same order, one whole configuration that grants as little as it can,
    one agent of at most 40 lines, one refusal with its line in the audit log."""
    page = PAGES[name]
    granted = {on for agent in page.config["agents"] for on in agent.get("capabilities", ())}
    assert granted == {name}
    assert len(page.agent.splitlines()) <= 40
    parts = [
        "Begin",
        "Configure",
        "Write the agent",
        "Build it",
        "Try it",
        "What is refused",
        "Limits",
    ]
    at = [page.text.index(f"\n## {part}\n") for part in parts]
    assert at == sorted(at)
    refusal = page.text[at[5] : at[6]]
    assert "akshi-node audit tail" in refusal


def test_the_index_names_every_page() -> None:
    index = (HOWTOS / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in HOWTOS.glob("*.md")} - {"README.md"}
    assert [page for page in sorted(pages) if f"]({page})" not in index] == []


def test_what_is_not_as_the_page_says_is_noticed() -> None:
    elision = Elision()
    shown = ("2026-11-22 08:30:00  apr-3f0c9a1e5b7d2468  9b1c02de…  wasm … may", "…", "end 0.31 s")
    told = "2027-01-02 03:04:05  apr-{0}  {1}  wasm b40c may\n{2}end 12.5 s\n"
    assert not elision.fits(shown, told.format("00", "aa" * 8, ""))
    assert not elision.fits(shown, told.format("00" * 8, "aa" * 8, "x\n").replace("may", "may not"))
    assert elision.fits(shown, told.format("00" * 8, "aa" * 8, "x\ny\n"))
    assert (
        elision.typed("approve apr-3f0c9a1e5b7d2468 9b1c02de") == f"approve apr-{'00' * 8} aaaaaaaa"
    )
    assert not elision.fits(shown, told.format("11" * 8, "aa" * 8, ""))  # another one than before
