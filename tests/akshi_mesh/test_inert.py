"""Nothing a stranger writes moves a cursor, turns a line around, or ends a log line early."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.inert import inert


@given(st.text(st.characters(exclude_categories=())))
def test_what_comes_out_is_only_text(text: str) -> None:
    shown = inert(text)
    for character in shown:
        assert character in "\u200c\u200d" or unicodedata.category(character) not in (
            *("Cc", "Cf", "Cs", "Zl", "Zp"),
        )
    shown.encode()


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs", "M"))))
def test_plain_text_of_any_script_stays_as_it_is(text: str) -> None:
    assert inert(text) == text


def test_harmful_characters_are_shown_as_their_escape() -> None:
    assert inert("a\x1b[2Jb\nc\u202ed\ud800e\x9b") == "a\\x1b[2Jb\\nc\\u202ed\\ud800e\\x9b"
    assert inert("a\nb\tc\r", lines=True) == "a\nb\tc\\r"
