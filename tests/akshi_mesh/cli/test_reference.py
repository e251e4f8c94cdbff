"""The reference pages say what the program does: no command, option, key or event is missing."""

import ast
import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from akshi_mesh.cli.commands import app
from akshi_mesh.config.read import read_config
from tests.akshi_mesh.config.test_read import Beside

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"
EVERYWHERE = {"--home", "-c", "--config", "--json", "--debug", "-h", "--help", "--version"}


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_every_command_and_option_is_in_the_reference() -> None:
    page = (REFERENCE / "cli.md").read_text()
    for path, command in commands(get_command(app), "akshi-node"):
        assert f"`{path}" in page, path
        for parameter in command.params:
            options = [text for text in parameter.opts if text.startswith("--")]
            for option in set(options) - EVERYWHERE:
                assert f"`{option}" in page, f"{path} {option}"


def test_every_command_that_the_reference_names_exists() -> None:
    page = (REFERENCE / "cli.md").read_text()
    known = {path for path, _ in commands(get_command(app), "akshi-node")}
    for named in re.findall(r"\*\*`(akshi-node [^`]*)`\*\*", page):
        words = [word for word in named.split() if word[:1] not in "[" and not word.isupper()]
        assert " ".join(words) in known or words[1] == "testnet", named


def test_the_example_of_runtime_toml_is_understood_and_holds_every_key() -> None:
    page = (REFERENCE / "runtime-toml.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert read_config(example, file="runtime.toml", files=Beside()).notes == ()
    (agent,) = tomllib.loads(example)["agents"]
    # Each key read anywhere is written in the example or named in the page.
    for source in ("read.py", "read_agent.py"):
        tree = ast.parse((ROOT / "akshi_mesh" / "config" / source).read_text())
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            getters = ("text", "texts", "flag", "whole", "number", "word", "table", "tables")
            if call.func.attr in getters and isinstance(call.args[0], ast.Constant):
                key = str(call.args[0].value)
                assert key in page or key == "timeout_secs", key
    assert agent["capabilities"].keys() == {
        *("inference", "journal", "database", "http_fetch"),
        *("a2a", "mcp", "filesystem", "spend"),
    }


@pytest.mark.parametrize("package", ["akshi_mesh", "sandbox", "sync"])
def test_every_event_is_in_the_reference(package: str) -> None:
    page = (REFERENCE / "events.md").read_text()
    methods = {"debug", "info", "warning", "error", "exception", "note", "_note"}
    for path in (ROOT / package).rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in methods
                and call.args
                and isinstance(call.args[0], ast.Constant)
                and re.fullmatch(r"[a-z]+\.[a-z_]+", str(call.args[0].value))
            ):
                assert f"`{call.args[0].value}`" in page, f"{path.name}: {call.args[0].value}"


def test_every_dependency_has_its_reason() -> None:
    page = (REFERENCE / "dependencies.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    for requirement in chain.from_iterable(groups):
        name = re.split(r"[><=]", requirement)[0]
        assert name in page, name
