"""A project that is begun is whole, opens again, and never lies over something else."""

import json
import tomllib
from pathlib import Path

import pytest

from akshi_mesh.config.load import load_config
from akshi_mesh.workshop import tools
from akshi_mesh.workshop.errors import ProjectRefused
from akshi_mesh.workshop.project import LANGUAGES, MANIFEST, begin, open_project
from sandbox.capability import Capability

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_whole_and_opens_again(tmp_path: Path, language: str) -> None:
    project = begin("word-count.2", language, tmp_path / "deep" / "agent")
    assert open_project(project.directory) == project
    for path in (project.language.main, "README.md", "runtime.toml", ".gitignore", MANIFEST):
        assert (project.directory / path).is_file(), path
    for file in project.directory.rglob("*"):
        if file.is_file():
            assert "@NAME@" not in file.read_text(), file
    wit = (project.directory / "wit" / "akshi.wit").read_text()
    assert wit == (ROOT / "sandbox" / "wit" / "akshi.wit").read_text()


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_readme_is_short_and_says_the_name(tmp_path: Path, language: str) -> None:
    directory = begin("counter", language, tmp_path).directory
    lines = (directory / "README.md").read_text().splitlines()
    assert lines[0] == "# counter"
    assert len(lines) <= 22


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_configuration_grants_the_journal_and_nothing_else(
    tmp_path: Path, language: str
) -> None:
    project = begin("counter", language, tmp_path)
    project.output.touch()
    config = load_config(tmp_path / "runtime.toml", home=tmp_path)
    [agent] = config.agents
    assert agent.capabilities == {Capability.JOURNAL}
    assert agent.wasm_path == str(project.output)
    assert agent.memory_mb == project.language.memory_mb


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "-rf", ".hidden", "a b", "ä", "a\nb", "x" * 65, "a\0b"]
)
def test_a_name_that_no_agent_can_have_makes_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProjectRefused, match="agent name"):
        begin(name, "python", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_unknown_language_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ProjectRefused, match="want one of"):
        begin("counter", "cobol", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_existing_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ProjectRefused, match="there already"):
        begin("counter", "python", tmp_path)
    with pytest.raises(ProjectRefused, match="there already"):
        begin("counter", "python", tmp_path / "mine")
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_link_is_not_followed_to_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ProjectRefused, match="there already"):
        begin("counter", "python", tmp_path / "link")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_an_empty_directory_is_as_good_as_none(tmp_path: Path) -> None:
    assert begin("counter", "python", tmp_path).directory == tmp_path


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ("name =", "Invalid value|at line"),
        ('name = "a"', "want two texts"),
        ('name = "a"\nlang = "python"\nrun = "rm"', "want two texts"),
        ('name = 7\nlang = "python"', "want two texts"),
        ('name = "../a"\nlang = "python"', "want that of an agent"),
        ('name = "a"\nlang = "cobol"', "want one of"),
        ("# " + "x" * 5_000, "more than 4096 bytes"),
    ],
)
def test_a_manifest_that_means_nothing_is_refused(tmp_path: Path, manifest: str, why: str) -> None:
    (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(ProjectRefused, match=why):
        open_project(tmp_path)


def test_a_directory_without_a_manifest_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectRefused, match="no agent project") as refused:
        open_project(tmp_path)
    assert refused.value.hint.startswith("akshi-node agents new")


def test_the_tools_named_are_the_ones_that_are_pinned() -> None:
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["agents"]
    chain = (tools.COMPONENTIZE_PY, tools.ZIG, tools.WASM_TOOLS, tools.NODE)
    assert {tool.install for tool in chain} == {f"pip install {line}" for line in pinned}
    template = ROOT / "sandbox" / "sdk" / "templates" / "js" / "package.json"
    [(name, version)] = json.loads(template.read_text())["devDependencies"].items()
    assert tools.COMPONENTIZE_QJS.install == f"npm install {name}@{version}"
    packages = tools.RUST_PACKAGES.removeprefix("apt install ")
    assert f"RUST_PACKAGES := {packages}\n" in (ROOT / "Makefile").read_text()
