"""docs/explanation/attacks.md names every attack and the test that tries it, and no other."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
INDEX = TESTS.parent / "docs" / "explanation" / "attacks.md"
_NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
_DEFINED = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
HERE = Path(__file__).parent


def _named() -> set[tuple[Path, str]]:
    """Every test that the page names; those of this folder without their folder."""
    text = INDEX.read_text()
    found = _NAMED.findall(text)
    return {(HERE / file if "/" not in file else TESTS / file, test) for file, test in found}


def test_every_test_of_the_index_is_there() -> None:
    gone = [
        f"{file}::{test}"
        for file, test in _named()
        if not file.exists() or test not in _DEFINED.findall(file.read_text())
    ]
    assert gone == []


def test_every_attack_is_in_the_index() -> None:
    named = _named()
    missing = [
        f"{file.name}::{test}"
        for file in sorted(HERE.glob("test_*.py"))
        if file.name != "test_index.py"
        for test in _DEFINED.findall(file.read_text())
        if (file, test) not in named
    ]
    assert missing == []
