"""How an agent names a file: `/shelf/part/part`.

The first part is the last component of one of `[agents.filesystem] allowed`; the
rest lies below it. `/` alone, or the empty text, is the list of shelves. Nothing is left to be
resolved: no empty part, no `.` or `..`, no NUL.
"""

from dataclasses import dataclass
from typing import Self

from sandbox.errors import MalformedPath

PATH_BYTES_MAX = 4_096  # PATH_MAX of Linux
PART_BYTES_MAX = 255  # NAME_MAX of every file system we know
PARTS_MAX = 64  # deeper trees exist by accident or malice


@dataclass(frozen=True, slots=True)
class GuestPath:
    """A file or directory below an allowed root, or the list of roots (no parts).

    >>> GuestPath.parse("/shelf/a/b.txt").parts
    ('shelf', 'a', 'b.txt')
    >>> str(GuestPath.parse("/"))
    '/'
    """

    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.parts) > PARTS_MAX:
            raise MalformedPath(str(self), why=f"more than {PARTS_MAX} parts")
        for part in self.parts:
            if part in ("", ".", ".."):
                raise MalformedPath(str(self), why="an empty, . or .. part")
            if "/" in part or "\0" in part:
                raise MalformedPath(str(self), why="a character that no file name has")
            if any("\ud800" <= character <= "\udfff" for character in part):
                raise MalformedPath(str(self), why="text that is no unicode")
            if len(part.encode()) > PART_BYTES_MAX:
                raise MalformedPath(str(self), why=f"a part over {PART_BYTES_MAX} bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        if text == "":
            return cls(())
        if not text.startswith("/"):
            raise MalformedPath(text, why="want /shelf/path")
        if len(text.encode("utf-8", "surrogatepass")) > PATH_BYTES_MAX:
            raise MalformedPath(text, why=f"over {PATH_BYTES_MAX} bytes")
        return cls(() if text == "/" else tuple(text[1:].split("/")))

    def __str__(self) -> str:
        return "/" + "/".join(self.parts)

    @property
    def shelf(self) -> str | None:
        """The name of the allowed root this lies below; None for `/`."""
        return self.parts[0] if self.parts else None

    @property
    def below(self) -> str:
        """The path relative to its root, `.` for the root itself."""
        return "/".join(self.parts[1:]) or "."
