"""Handshake stamps on disk: rising per peer, in both directions.

Two columns per peer: the last stamp we sent, and the highest we accepted. Both rise
before they are used: a replayed first message of a handshake is then stale whatever
happens to us.
"""

from collections.abc import Callable

import structlog

from akshi_mesh.transport.errors import DialFailed
from akshi_mesh.transport.handshake import STAMP_MAX
from sync.errors import StoreBusy, StoreError, StoreFull, StoreReadOnly
from sync.store.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS stamps (
    peer BLOB PRIMARY KEY,
    sent INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID
"""


log = structlog.get_logger()


class StampUnsaved(DialFailed):
    """A stamp leaves only when it is stored, and the disk takes nothing now."""

    def __init__(self, trouble: StoreError) -> None:
        super().__init__(str(trouble))
        self.hint = trouble.hint


class Stamps:
    """The transport's `StampStore`, one small transaction a call."""

    def __init__(self, database: Database, *, clock_us: Callable[[], int]) -> None:
        self._database = database
        self._clock_us = clock_us

    def next_stamp(self, peer: bytes, *, above: int) -> int:
        """A stamp to send to `peer`, higher than any sent before and than `above`.

        Raises:
            StampUnsaved: the disk takes nothing now, so none may leave.
        """
        try:
            return self._raise_sent(peer, above)
        except (StoreFull, StoreReadOnly, StoreBusy) as trouble:
            raise StampUnsaved(trouble) from trouble

    def _raise_sent(self, peer: bytes, above: int) -> int:
        with self._database.transaction():
            sent = self._read(peer, "sent")
            # Above the last integer there is nothing: what is used up begins again at the clock.
            least = (last + 1 for last in (sent, above) if last < STAMP_MAX)
            stamp = max(self._clock_us(), *least)
            self._database.execute(
                "INSERT INTO stamps (peer, sent) VALUES (?, ?)"
                " ON CONFLICT (peer) DO UPDATE SET sent = excluded.sent",
                (peer, stamp),
            )
        return stamp

    def accept(self, peer: bytes, stamp: int) -> bool:
        """Store `stamp` as the highest accepted of `peer`; False if it does not rise.

        Nor is it accepted while the disk takes nothing: after a crash it could come again.
        """
        try:
            return self._raise_accepted(peer, stamp)
        except (StoreFull, StoreReadOnly, StoreBusy) as trouble:
            log.error("store.trouble", why=str(trouble), hint=trouble.hint)
            return False

    def _raise_accepted(self, peer: bytes, stamp: int) -> bool:
        with self._database.transaction():
            if stamp <= self._read(peer, "accepted"):
                return False
            self._database.execute(
                "INSERT INTO stamps (peer, accepted) VALUES (?, ?)"
                " ON CONFLICT (peer) DO UPDATE SET accepted = excluded.accepted",
                (peer, stamp),
            )
        return True

    def highest(self, peer: bytes) -> int:
        """The highest stamp accepted of `peer`; 0 if none."""
        return self._read(peer, "accepted")

    def _read(self, peer: bytes, column: str) -> int:
        found = self._database.value(f"SELECT {column} FROM stamps WHERE peer = ?", (peer,))  # noqa: S608 - our own two names
        return int(found or 0)
