"""Roots and proofs of a large Merkle tree (RFC 6962) from stored hashes of its full subtrees.

A tree of a million leaves is kept as its leaf hashes and, for every 256 of a level, the hash
over them one level up: c2sp.org/tlog-tiles. A root then costs a few reads, whatever the size.
"""

from typing import Final, Protocol

from sync.merkle import EMPTY_ROOT, root, split

TILE_BITS: Final = 8
TILE_WIDTH: Final = 1 << TILE_BITS


class Hashes(Protocol):
    """Where the stored hashes are."""

    def hashes(self, level: int, start: int, count: int) -> list[bytes]:
        """Hashes `start` to `start + count` of `level`, each over 256 ** level leaves."""


def tree_root(stored: Hashes, size: int) -> bytes:
    """The root over the first `size` leaves."""
    return range_root(stored, 0, size) if size else EMPTY_ROOT


def range_root(stored: Hashes, low: int, high: int) -> bytes:
    """The hash of a subtree: `low` is a multiple of the power of two that covers the range."""
    size = high - low
    if size & (size - 1):
        middle = low + split(size)
        return root([range_root(stored, low, middle), range_root(stored, middle, high)])
    level = (size.bit_length() - 1) // TILE_BITS
    each = level * TILE_BITS
    return root(stored.hashes(level, low >> each, size >> each))


def inclusion_path(stored: Hashes, index: int, size: int) -> list[bytes]:
    """The audit path of leaf `index` in the tree of `size`, from its sibling up (§2.1.1).

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError(index)
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            path.append(range_root(stored, middle, high))
            high = middle
        else:
            path.append(range_root(stored, low, middle))
            low = middle
    return path[::-1]


def consistency_path(stored: Hashes, old_size: int, size: int) -> list[bytes]:
    """What proves that the tree of `size` begins with the one of `old_size` (§2.1.2).

    Raises:
        IndexError: `old_size` is not between 1 and `size`.
    """
    if not 1 <= old_size <= size:
        raise IndexError(old_size)
    path: list[bytes] = []
    low, high, left, known = 0, size, old_size, True
    while left != high - low:
        middle = low + split(high - low)
        if left <= middle - low:
            path.append(range_root(stored, middle, high))
            high = middle
        else:
            path.append(range_root(stored, low, middle))
            left -= middle - low
            low, known = middle, False
    if not known:
        path.append(range_root(stored, low, high))
    return path[::-1]


class Frontier:
    """A tree that only grows, in memory: the roots of its full subtrees, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        node, at = leaf, self.size
        while at & 1:
            node = root([self._roots.pop(), node])
            at >>= 1
        self._roots.append(node)
        self.size += 1

    @property
    def root(self) -> bytes:
        if not self._roots:
            return EMPTY_ROOT
        node = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            node = root([left, node])
        return node
