"""What trust allows beyond connecting: `a2a:GLOB` tasks agents, `journal:GLOB` shares journals."""

import re
from dataclasses import dataclass
from typing import Final, Self

from identity.errors import MalformedRight

ACTS: Final = ("a2a", "journal")
TARGET_LENGTH_MAX: Final = 255
# Letters, digits, "._-", and "*" for any run of characters. Nothing else means anything.
_GLOB: Final = re.compile(r"[A-Za-z0-9._*-]+")


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """Permission to task agents, or to read and feed journals, whose names match a glob.

    `*` stands for any run of characters, also an empty one; every other character for itself. There
    is no other sign, and case matters.

    >>> Right.parse("a2a:read*").covers("a2a", "reader")
    True
    >>> Right.parse("a2a:*").covers("journal", "notes")
    False
    """

    act: str
    glob: str

    def __post_init__(self) -> None:
        if self.act not in ACTS:
            raise MalformedRight(str(self), why=f"want one of {', '.join(ACTS)} before the colon")
        if len(self.glob) > TARGET_LENGTH_MAX:
            raise MalformedRight(str(self), why=f"at most {TARGET_LENGTH_MAX} characters")
        if not _GLOB.fullmatch(self.glob):
            raise MalformedRight(str(self), why="want letters, digits and ._-* after the colon")

    @classmethod
    def parse(cls, text: str) -> Self:
        act, _, glob = text.partition(":")
        return cls(act, glob)

    def __str__(self) -> str:
        return f"{self.act}:{self.glob}"

    def covers(self, act: str, target: str) -> bool:
        """Whether this right allows `act` on exactly `target`."""
        return act == self.act and matches(self.glob, target)


def matches(glob: str, text: str) -> bool:
    """Whether `text` is what `glob` says, in time linear in both; no regular expression runs."""
    first, *rest = glob.split("*")
    if not rest:
        return text == glob
    *middle, last = rest
    if len(text) < len(first) + len(last):
        return False
    if not text.startswith(first) or not text.endswith(last):
        return False
    # The leftmost place for each piece leaves the most room for those after it.
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True
