r"""A growing Merkle tree remembered by its edge: one hash for each complete subtree, at most 64.

size 7 = 4 + 2 + 1:     a        b     c        appending one more leaf folds
                      / | | \   / \    |        c with it, then b, then a
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from sync.journal_errors import MalformedProof
from sync.merkle import EMPTY_ROOT, HASH_BYTES, node_hash


@dataclass(frozen=True, slots=True)
class Frontier:
    """The heads of the complete subtrees of a tree of `size` leaves, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise MalformedProof(f"{len(self.peaks)} peaks for {self.size} leaves")
        if not all(len(peak) == HASH_BYTES for peak in self.peaks):
            raise MalformedProof("a hash is not 32 bytes")

    @classmethod
    def parse(cls, size: int, data: bytes) -> Self:
        """The inverse of `bytes(frontier)`; the size is stored beside it."""
        if len(data) % HASH_BYTES:
            raise MalformedProof("a hash is not 32 bytes")
        return cls(size, tuple(data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)))

    def __bytes__(self) -> bytes:
        return b"".join(self.peaks)

    @property
    def root(self) -> bytes:
        """The head of the whole tree."""
        if not self.peaks:
            return EMPTY_ROOT
        *rest, node = self.peaks
        for peak in reversed(rest):
            node = node_hash(peak, node)
        return node

    def extended(self, leaves: Iterable[bytes]) -> Self:
        """The frontier after these leaf hashes too."""
        size, peaks = self.size, list(self.peaks)
        for leaf in leaves:
            node, carry = leaf, size
            while carry & 1:
                node = sha256(b"\x01" + peaks.pop() + node).digest()
                carry >>= 1
            peaks.append(node)
            size += 1
        return type(self)(size, tuple(peaks))


def peak_ranges(size: int) -> Sequence[tuple[int, int]]:
    """Where each peak of a tree of `size` leaves begins, and how many leaves it covers."""
    ranges = []
    start = 0
    for bit in reversed(range(size.bit_length())):
        if size >> bit & 1:
            ranges.append((start, 1 << bit))
            start += 1 << bit
    return ranges
