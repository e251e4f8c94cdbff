"""The ruleset names every right that the running kernel knows, and allows none."""

import struct

import pytest

from sandbox.worker import landlock


@pytest.mark.parametrize(
    ("abi", "words"),
    [
        (1, [0x1FFF]),
        (2, [0x3FFF]),
        (3, [0x7FFF]),
        (4, [0x7FFF, 3]),
        (5, [0xFFFF, 3]),
        (6, [0xFFFF, 3, 3]),
        (7, [0xFFFF, 3, 3]),
        (99, [0xFFFF, 3, 3]),
    ],
)
def test_the_rights_of_each_version(abi: int, words: list[int]) -> None:
    """Source: include/uapi/linux/landlock.h, one constant a right."""
    data = landlock.ruleset(abi)
    assert list(struct.unpack(f"={len(words)}Q", data)) == words
