"""Paths of guests: absolute, plain, one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import MalformedPath
from sandbox.guest_path import GuestPath


@given(st.text() | st.text("/.a\0", max_size=12).map(lambda text: f"/{text}"))
def test_any_text_is_a_plain_path_or_malformed(text: str) -> None:
    try:
        path = GuestPath.parse(text)
    except MalformedPath:
        return
    assert str(path) == (text or "/")
    assert not {"", ".", ".."} & set(path.parts)
    assert "\0" not in str(path)


def test_a_path_is_a_shelf_and_what_is_below() -> None:
    path = GuestPath.parse("/shelf/a/b")
    assert (path.shelf, path.below) == ("shelf", "a/b")
    assert GuestPath.parse("/shelf").below == "."
    assert GuestPath.parse("/").shelf is GuestPath.parse("").shelf is None


@pytest.mark.parametrize("parts", [("a/b",), ("a\0",), ("\udcff",), ("a" * 256,), ("a",) * 65])
def test_a_part_is_a_name(parts: tuple[str, ...]) -> None:
    with pytest.raises(MalformedPath):
        GuestPath(parts)


def test_a_path_is_as_long_as_the_kernel_takes() -> None:
    assert GuestPath.parse("/" + "/".join(["a" * 250] * 16)).parts
    with pytest.raises(MalformedPath, match="4096 bytes"):
        GuestPath.parse("/" + "/".join(["a" * 255] * 16) + "/ä")
