"""The edge of a tree grows as the tree does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import merkle
from sync.frontier import Frontier, peak_ranges
from sync.journal_errors import MalformedProof


@given(st.integers(0, 200), st.integers(0, 200))
def test_extending_gives_the_root_of_the_whole_tree(first: int, more: int) -> None:
    tree = [merkle.leaf_hash(number.to_bytes(2)) for number in range(first + more)]
    edge = Frontier().extended(tree[:first]).extended(tree[first:])
    assert edge == Frontier().extended(tree)
    assert edge.root == merkle.root(tree)
    assert edge.size == len(tree)
    assert Frontier.parse(edge.size, bytes(edge)) == edge
    assert [merkle.root(tree[a : a + n]) for a, n in peak_ranges(len(tree))] == list(edge.peaks)


@given(st.integers(-3, 300), st.binary(max_size=300))
def test_any_bytes_are_a_frontier_or_malformed(size: int, data: bytes) -> None:
    try:
        assert bytes(Frontier.parse(size, data)) == data
    except MalformedProof:
        assert size < 0 or len(data) != 32 * size.bit_count()


def test_it_stays_small() -> None:
    with pytest.raises(MalformedProof):
        Frontier(3, (bytes(32),))
    with pytest.raises(MalformedProof):
        Frontier(1, (bytes(31),))
