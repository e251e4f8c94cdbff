"""The files of a tiled log (c2sp.org/tlog-tiles): their names, and what is in them."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from akshi_mesh.audit.errors import MalformedBundle
from akshi_mesh.audit.tree import TILE_BITS, TILE_WIDTH

LENGTH_BYTES: Final = 2
CHECKPOINT: Final = "checkpoint"


class Tile(NamedTuple):
    """`width` hashes of `level`, or entries, that begin at `number` * 256."""

    level: int
    number: int
    width: int

    @property
    def name(self) -> str:
        """Where its hashes lie."""
        return f"tile/{self.level}/{self._place}"

    @property
    def entries_name(self) -> str:
        """Where the entries lie of which a tile of level 0 has the hashes."""
        return f"tile/entries/{self._place}"

    @property
    def remaining_name(self) -> str:
        """Where they lie if some were pruned: those are then empty. No part of the standard."""
        return f"tile/remaining/{self._place}"

    @property
    def _place(self) -> str:
        digits = f"{self.number:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        place = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        return place if self.width == TILE_WIDTH else f"{place}.p/{self.width}"


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile of a tree of `size` leaves, from the leaves up."""
    level = 0
    while size >> (level * TILE_BITS):
        hashes = size >> (level * TILE_BITS)
        for number in range(-(-hashes // TILE_WIDTH)):
            yield Tile(level, number, min(TILE_WIDTH, hashes - number * TILE_WIDTH))
        level += 1


def entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries, each behind its length."""
    return b"".join(len(entry).to_bytes(LENGTH_BYTES, "big") + entry for entry in entries)


def read_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle.

    Raises:
        MalformedBundle: it ends within one.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
        at += LENGTH_BYTES + length
        if at > len(data):
            raise MalformedBundle
        entries.append(data[at - length : at])
    return entries
