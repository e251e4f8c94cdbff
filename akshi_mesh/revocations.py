"""Keys that their owners took back: dropped here for good, and passed on to every peer.

Whoever holds a revocation may hand it on, because it proves itself. So each is kept, told
to all links when it is new, and told to every link that comes up later.
"""

from collections.abc import Callable
from typing import Protocol

import structlog

from akshi_mesh.trust_book import TrustBook
from identity.did import Did
from identity.keys import twin
from sync.proto.messages import ENVELOPE
from sync.store.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS revocations (
    author BLOB PRIMARY KEY,
    data BLOB NOT NULL
) STRICT, WITHOUT ROWID
"""
# Who knows of more keys that were lost has other worries.
TOLD_MAX = 1_024  # on one link
HEARSAY_MAX = 256  # told by peers, of keys that are not trusted here: anybody can make those up

log = structlog.get_logger()


class Tell(Protocol):
    """Send a message to a peer; False if it cannot be taken now."""

    def __call__(self, peer: bytes, message_type: int, body: bytes) -> bool: ...


class Revocations:
    """What was revoked, with the proof."""

    def __init__(
        self, database: Database, trust: TrustBook, *, linked: Callable[[], set[bytes]]
    ) -> None:
        self._database = database
        self._trust = trust
        self._linked = linked

    def take(self, author: bytes, data: bytes, tell: Tell) -> None:
        """Drop `author` for good, then pass the news on. A known one changes nothing.

        Proofs cost their maker nothing but fresh keys and are kept for ever, so those of keys that
        mean nothing here are passed over once there are HEARSAY_MAX.
        """
        if not self._matters(author) and len(self._trust.store.revoked) >= HEARSAY_MAX:
            return
        with self._database.transaction(fsync=True):
            self._database.execute(
                "INSERT OR IGNORE INTO revocations VALUES (?, ?)", (author, data)
            )
            is_new = self._database.changes() > 0
        if not self._trust.revoke(author) and not is_new:
            return
        log.warning("trust.revoked", did=str(Did(author)))
        for peer in self._linked() - {author}:
            tell(peer, ENVELOPE, data)

    def _matters(self, author: bytes) -> bool:
        store = self._trust.store
        return author in store.revoked or any(store.get(key) for key in (author, twin(author)))

    def greet(self, peer: bytes, tell: Tell) -> None:
        """Tell a peer whose link came up."""
        for (data,) in self._database.rows("SELECT data FROM revocations LIMIT ?", (TOLD_MAX,)):
            tell(peer, ENVELOPE, data)
