"""The files of a tiled log have the names and the sizes of the specification."""

import contextlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.audit.errors import MalformedBundle
from akshi_mesh.audit.tiles import Tile, entry_bundle, read_bundle, tiles_of
from tests.vectors.load import vectors


def test_numbers_become_the_paths_of_the_specification() -> None:
    for number, path in vectors("tlog")["tile_paths"].items():
        assert Tile(0, int(number), 256).name == f"tile/0/{path}"
        assert Tile(0, int(number), 256).entries_name == f"tile/entries/{path}"
        assert Tile(3, int(number), 7).name == f"tile/3/{path}.p/7"


def test_a_tree_of_70000_has_the_tiles_of_the_specification() -> None:
    """273 full ones of level 0 and one of 112; one full of level 1 and one of 17; one of 1."""
    widths = Counter((tile.level, tile.width) for tile in tiles_of(70_000))
    assert widths == {(0, 256): 273, (0, 112): 1, (1, 256): 1, (1, 17): 1, (2, 1): 1}
    assert [(t.level, t.width) for t in tiles_of(256)] == [(0, 256), (1, 1)]
    assert list(tiles_of(0)) == []


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_entries_come_back_from_their_bundle(entries: list[bytes]) -> None:
    assert read_bundle(entry_bundle(entries)) == entries


@given(st.binary(max_size=100))
def test_any_bytes_are_entries_or_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedBundle):
        assert entry_bundle(read_bundle(data)) == data


def test_a_bundle_that_ends_within_an_entry_is_malformed() -> None:
    with pytest.raises(MalformedBundle):
        read_bundle(b"\x00\x05abc")
