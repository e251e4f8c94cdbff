"""Room on the disk for what must be written when there is none: stop, revocation, removed trust.

A file of 16 MiB that nobody needs. When the disk is full it is given up for the length of one
urgent write, on the loop, so that nothing else of ours takes the room; what is left of it is
taken back at once, and the rest when the disk has room again.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

RESERVED_BYTES = 16 << 20
_STEP_BYTES = 1 << 20
_PAGE_BYTES = 4_096


class Reserve:
    """The file at `path`."""

    def __init__(self, path: Path, *, size: int = RESERVED_BYTES) -> None:
        self._path = path
        self._size = size

    @property
    def held_bytes(self) -> int:
        """How much room is kept now."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def fill(self) -> None:
        """Take what is missing if the disk has twice that; of a small disk, at first a quarter."""
        missing = self._size - self.held_bytes
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return  # whoever needs the disk next says what is wrong with it
        free = disk.f_bavail * disk.f_frsize
        if free >= 2 * missing:
            self._take(self._size)
        elif not self.held_bytes:
            self._take(free // 4)

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Give the room up for the block, then take back what is left of it."""
        held = self.held_bytes
        with contextlib.suppress(OSError):
            os.truncate(self._path, 0)
        try:
            yield
        finally:
            self._take(held)

    def _take(self, size: int) -> None:
        """Hold `size` bytes, or as many as there are."""
        held = self.held_bytes
        with contextlib.suppress(OSError):  # a full disk is why it exists
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path, flags, 0o600)
            try:
                step = _STEP_BYTES
                while held < size and step >= _PAGE_BYTES:
                    step = min(step, size - held)
                    try:
                        os.posix_fallocate(descriptor, held, step)
                        held += step
                    except OSError:
                        step //= 2  # to the last page: what is left over others would take
            finally:
                os.close(descriptor)
