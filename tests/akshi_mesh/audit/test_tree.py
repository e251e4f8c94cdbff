"""Roots and proofs from stored hashes are those of RFC 6962, computed from the leaves."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.audit.tree import (
    TILE_WIDTH,
    Frontier,
    consistency_path,
    inclusion_path,
    tree_root,
)
from sync import merkle

LEAVES = [hashlib.sha256(b"%d" % n).digest() for n in range(70_000)]


class Stored:
    """Hashes of full subtrees, as the database has them."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.levels = [leaves]
        while len(self.levels[-1]) >= TILE_WIDTH:
            below = self.levels[-1]
            self.levels.append(
                [
                    merkle.root(below[at : at + TILE_WIDTH])
                    for at in range(0, len(below) - TILE_WIDTH + 1, TILE_WIDTH)
                ]
            )

    def hashes(self, level: int, start: int, count: int) -> list[bytes]:
        found = self.levels[level][start : start + count]
        assert len(found) == count, "only what is there is asked for"
        return found


STORED = Stored(LEAVES)
sizes = st.integers(1, 1_200) | st.sampled_from([65_535, 65_536, 65_537, 70_000])


@given(sizes)
def test_the_root_is_the_one_over_the_leaves(size: int) -> None:
    assert tree_root(STORED, size) == merkle.root(LEAVES[:size])


def test_the_root_of_nothing() -> None:
    assert tree_root(STORED, 0) == merkle.EMPTY_ROOT == Frontier().root


@given(sizes, st.data())
def test_every_path_leads_to_the_root(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(STORED, index, size)
    assert merkle.verify_inclusion(
        LEAVES[index], path, index=index, size=size, root=tree_root(STORED, size)
    )


@given(sizes, st.data())
def test_every_growth_is_proved(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    assert merkle.verify_consistency(
        consistency_path(STORED, old, size),
        old_size=old,
        new_size=size,
        old_root=tree_root(STORED, old),
        new_root=tree_root(STORED, size),
    )


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_there_is_no_path_to_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(IndexError):
        inclusion_path(STORED, index, size)


@pytest.mark.parametrize("old", [0, 4])
def test_there_is_no_growth_from_nothing_or_backwards(old: int) -> None:
    with pytest.raises(IndexError):
        consistency_path(STORED, old, 3)


def test_a_frontier_has_every_root_on_its_way() -> None:
    frontier = Frontier()
    for size, leaf in enumerate(LEAVES[:600], 1):
        frontier.add(leaf)
        assert (frontier.size, frontier.root) == (size, merkle.root(LEAVES[:size]))
