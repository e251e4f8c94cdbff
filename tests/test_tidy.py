"""The shape of the repository: short files, short functions, a docstring for every module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("identity", "sync", "sandbox", "akshi_mesh", "testnet", "bench", "tests", "examples")
TEMPLATES = ROOT / "sandbox" / "sdk" / "templates"  # begun projects of others: data
SOURCES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if TEMPLATES not in path.parents
)
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_concept_that_fits_in_the_head(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= FILE_LINES_MAX
    if tree.body:
        assert ast.get_docstring(tree), "a module says what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"
