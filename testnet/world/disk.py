"""A database in memory whose power can be cut, and whose node can die at any commit.

    commit ──▶ in the page cache ──fsync, or written back by chance──▶ on the platter
                     └── power cut: gone                                └── stays

SQLite's log is read back only as far as its frames are whole, so a cut leaves the state after
some earlier commit, never a mixture. A crash of the process alone loses no commit.
"""

import contextlib
from collections.abc import Callable, Iterator

import apsw

from sync.store.database import Database, Durability


class Crashed(Exception):
    """The process is gone, at the very point where this is raised."""


def _nothing(_point: str) -> None:
    """Most of the time nothing happens."""


class Disk(Database):
    """`Database.open(":memory:", …)`, with a platter below it."""

    def __init__(self, connection: apsw.Connection, path: str, durability: Durability) -> None:
        super().__init__(connection, path, durability)
        self.point: Callable[[str], None] = _nothing
        self.is_written_back: Callable[[], bool] = bool
        self._platter: bytes | None = None

    @contextlib.contextmanager
    def transaction(self, *, fsync: bool = False) -> Iterator[None]:
        if self._depth:
            with super().transaction(fsync=fsync):
                yield
            return
        with super().transaction(fsync=fsync):
            yield
            self.point("before the commit")
        # `syncs` was raised within, so it tells whether this commit had to reach the platter.
        if self._sync_wanted or self.is_written_back():
            self.settle()
        self.point("after the commit")

    def settle(self) -> None:
        """All that was committed is on the platter."""
        if self._durability == "normal":
            self._platter = self.image()

    def cut_power(self) -> None:
        """Lose the commits that were not on the platter yet; with "power" there are none."""
        if self._durability == "normal":
            assert self._platter is not None, "settled when it was made"
            self.restore(self._platter)
