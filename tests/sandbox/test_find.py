"""What may be asked of a journal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import MalformedJson, MalformedRequest
from sandbox.find import MODES, QUERY_CHARS_MAX, FindEntries, read_find


@given(st.text())
def test_any_text_gives_a_question_or_a_reason(text: str) -> None:
    with pytest.raises((MalformedRequest, MalformedJson)):
        read_find(text)


def test_hybrid_unless_said_otherwise() -> None:
    assert read_find('{"query": "epoch"}') == FindEntries("epoch", "hybrid", 10)


@pytest.mark.parametrize("mode", MODES)
def test_everything_said(mode: str) -> None:
    text = json.dumps({"query": "epoch", "mode": mode, "limit": 100})
    assert read_find(text) == FindEntries("epoch", mode, 100)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "table",
    [
        [],
        {},
        {"query": ""},
        {"query": "  "},
        {"query": 1},
        {"query": "a" * (QUERY_CHARS_MAX + 1)},
        {"query": "a", "mode": "sql"},
        {"query": "a", "mode": ["vector"]},
        {"query": "a", "limit": 0},
        {"query": "a", "limit": 101},
        {"query": "a", "limit": True},
        {"query": "a", "journal": "other"},
    ],
)
def test_nothing_else(table: object) -> None:
    with pytest.raises((MalformedRequest, MalformedJson)):
        read_find(json.dumps(table))
