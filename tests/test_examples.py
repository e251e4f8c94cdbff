"""The committed agents are those that their committed sources make, by the lock's word."""

import hashlib
import json
from pathlib import Path

import pytest

from examples import build

ROOT = build.ROOT
LOCK = json.loads(build.LOCK.read_text())


def sha256(path: str) -> str:
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


@pytest.mark.parametrize("path", sorted(LOCK["sources"]))
def test_a_source_is_the_one_that_was_built(path: str) -> None:
    """Whoever changes a source rebuilds: `make agents` proves it, this notices it."""
    assert sha256(path) == LOCK["sources"][path], "remedy: python -m examples.build"


@pytest.mark.parametrize("path", sorted(LOCK["components"]))
def test_a_component_is_the_one_that_was_built(path: str) -> None:
    component = LOCK["components"][path]
    assert sha256(path) == component["sha256"], "remedy: python -m examples.build"
    assert (ROOT / path).stat().st_size == component["bytes"] <= build.COMPONENT_BYTES_MAX


def test_the_lock_names_every_recipe_and_nothing_else() -> None:
    recipes = {
        recipe.component: list(recipe.sources) for recipe in build.RECIPES if recipe.committed
    }
    assert recipes == {path: entry["sources"] for path, entry in LOCK["components"].items()}
    assert set(LOCK["sources"]) == {path for recipe in build.RECIPES for path in recipe.sources}


def test_no_component_is_committed_that_the_lock_does_not_know() -> None:
    built = {recipe.component for recipe in build.RECIPES}
    found = [*ROOT.glob("examples/**/*.wasm"), *ROOT.glob("tests/agents/**/*.wasm")]
    assert {str(path.relative_to(ROOT)) for path in found} <= built


def test_the_lock_was_made_with_the_pinned_tools() -> None:
    pins = Path(ROOT, "requirements-agents.lock").read_text()
    for tool, version in LOCK["tools"].items():
        assert f"{tool}=={version} " in pins


def test_no_path_of_a_builder_is_in_a_component() -> None:
    for path in LOCK["components"]:
        data = (ROOT / path).read_bytes()
        assert not any(trace in data for trace in (b".zig", b"/home/", b"akshi-agents-"))
