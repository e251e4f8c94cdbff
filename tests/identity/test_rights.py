"""Rights: what a glob covers, and nothing beside it."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import Right
from identity.errors import MalformedRight
from identity.rights import TARGET_LENGTH_MAX, matches
from tests.strategies import rights


@given(rights)
def test_parse_and_str_are_inverse(right: Right) -> None:
    assert Right.parse(str(right)) == right


@given(st.text() | st.text("*a:.2-j").map("a2a:".__add__))
def test_any_text_gives_a_right_or_malformed(text: str) -> None:
    try:
        right = Right.parse(text)
    except MalformedRight:
        return
    assert str(right) == text


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_a_glob_matches_as_a_shell_would(glob: str, text: str) -> None:
    assert matches(glob, text) == fnmatch.fnmatchcase(text, glob)


@pytest.mark.parametrize(
    ("glob", "text", "covered"),
    [
        ("reader", "reader", True),
        ("reader", "Reader", False),
        ("reader", "reader2", False),
        ("*", "", True),
        ("read*", "read", True),
        ("read*", "reed", False),
        ("*er", "reader", True),
        ("a*a", "a", False),  # the two ends may not overlap
        ("a*b*c", "axbxc", True),
        ("a*b*c", "axc", False),
        ("*ab*ba*", "aba", False),  # nor may two pieces
        ("*a*a*", "a", False),
        ("a*bc*c", "abcc", True),
        ("a*bc*c", "abc", False),
        (".*", "x", False),  # a dot is a dot
    ],
)
def test_examples(glob: str, text: str, covered: bool) -> None:
    assert Right("a2a", glob).covers("a2a", text) is covered
    assert not Right("a2a", glob).covers("journal", text)


def test_a_hostile_glob_costs_no_more_than_its_length() -> None:
    """A backtracking matcher would need longer than the universe for this."""
    assert not matches("*a" * 120 + "b", "a" * 100_000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a2a",
        "a2a:",
        ":x",
        "A2A:x",
        "http:x",
        "a2a:a b",
        "a2a:a/b",
        "a2a:[a]",
        "a2a:?",
        "a2a:x\n",
    ],
)
def test_what_is_no_right_is_refused_with_the_form_to_type(text: str) -> None:
    with pytest.raises(MalformedRight) as refused:
        Right.parse(text)
    assert refused.value.hint is not None
    assert "--allow" in refused.value.hint


def test_a_right_has_a_longest_form() -> None:
    Right.parse("a2a:" + "x" * TARGET_LENGTH_MAX)
    with pytest.raises(MalformedRight, match="at most 255"):
        Right.parse("a2a:" + "x" * (TARGET_LENGTH_MAX + 1))
