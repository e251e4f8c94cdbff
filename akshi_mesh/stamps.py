"""Handshake stamps on disk: rising per peer, in both directions.

Two columns per peer: the last stamp we sent, and the highest we accepted. Both rise
before they are used: a replayed first message of a handshake is then stale whatever
happens to us.
"""

from collections.abc import Callable

from sync.store.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS stamps (
    peer BLOB PRIMARY KEY,
    sent INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID
"""


class Stamps:
    """The transport's `StampStore`, one small transaction a call."""

    def __init__(self, database: Database, *, clock_us: Callable[[], int]) -> None:
        self._database = database
        self._clock_us = clock_us

    def next_stamp(self, peer: bytes, *, above: int) -> int:
        """A stamp to send to `peer`, higher than any sent before and than `above`."""
        with self._database.transaction():
            sent = self._read(peer, "sent")
            stamp = max(self._clock_us(), sent + 1, above + 1)
            self._database.execute(
                "INSERT INTO stamps (peer, sent) VALUES (?, ?)"
                " ON CONFLICT (peer) DO UPDATE SET sent = excluded.sent",
                (peer, stamp),
            )
        return stamp

    def accept(self, peer: bytes, stamp: int) -> bool:
        """Store `stamp` as the highest accepted of `peer`; False if it does not rise."""
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
