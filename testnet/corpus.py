"""The files of a question, and how they are dealt to shelves.

A file counts if it is regular, at most 1 MiB and UTF-8; everything else below the
directory that is not a directory is counted as skipped. Dealing is round-robin over
the sorted paths, so the same directory always gives the same shelves.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

FILE_BYTES_MAX = 1024 * 1024  # one answer of the filesystem capability holds it


@dataclass(frozen=True, slots=True)
class Corpus:
    """The readable files below `root`, as sorted relative paths."""

    root: Path
    files: tuple[str, ...]
    skipped: int

    def shelf(self, number: int, shelves: int) -> tuple[str, ...]:
        """What shelf `number` of `shelves` holds."""
        return self.files[number::shelves]


def survey(root: Path) -> Corpus:
    """Walk `root` without following links, and read each candidate once.

    Raises:
        OSError: `root` or a directory below it cannot be listed.
    """
    files: list[str] = []
    skipped = 0

    def stop(error: OSError) -> None:
        raise error

    for folder, _, names in os.walk(root, onerror=stop):
        for name in names:
            path = Path(folder, name)
            if _is_readable_text(path):
                files.append(path.relative_to(root).as_posix())
            else:
                skipped += 1
    return Corpus(root, tuple(sorted(files)), skipped)


def put_on_shelf(corpus: Corpus, names: tuple[str, ...], shelf: Path) -> None:
    """Copy `names` below `shelf`, keeping their relative paths."""
    shelf.mkdir(parents=True, exist_ok=True)
    for name in names:
        copy = shelf / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((corpus.root / name).read_bytes())


def _is_readable_text(path: Path) -> bool:
    try:
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > FILE_BYTES_MAX:
            return False
        path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return True
