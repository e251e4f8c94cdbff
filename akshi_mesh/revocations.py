"""Keys that their owners took back: dropped here for good, and passed on to every peer.

Whoever holds a revocation may hand it on, because it proves itself. So each of a key that means
something here is kept, told to all links when it is new, and told to every link that comes up
later. Proofs for keys made up for the purpose cost nothing, so those are passed over.
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
HEARSAY_MAX = 256  # told by peers, of keys that are not trusted here: whoever attests makes those
PAGE = 64  # proofs read at once for a peer that is told all of them

log = structlog.get_logger()


class Tell(Protocol):
    """Send a message to a peer; False if it cannot be taken now."""

    def __call__(self, peer: bytes, message_type: int, body: bytes) -> bool: ...


class Revocations:
    """What was revoked, with the proof."""

    def __init__(
        self,
        database: Database,
        trust: TrustBook,
        *,
        linked: Callable[[], set[bytes]],
        is_author: Callable[[bytes], bool],
    ) -> None:
        self._database = database
        self._trust = trust
        self._linked = linked
        self._is_author = is_author
        self._told: dict[bytes, bytes] = {}  # by peer, up to which key, until it was told all

    def take(self, author: bytes, data: bytes, tell: Tell) -> bool:
        """Drop `author` for good, then pass the news on; False if it means nothing here."""
        if not self._matters(author):
            return False
        # The trust file first: what a crash leaves out is then only the news, which comes again.
        is_dropped = self._trust.revoke(author)
        if not is_dropped and self._holds(author):
            return True
        keep(self._database, author, data)
        log.warning("trust.revoked", did=str(Did(author)))
        for peer in self._linked() - {author}:
            if not tell(peer, ENVELOPE, data):
                self._told.setdefault(peer, b"")  # from the start, when it has room
        return True

    def greet(self, peer: bytes, tell: Tell) -> None:
        """Tell a peer whose link came up."""
        self._told[peer] = b""
        self.go_on(peer, tell)

    def go_on(self, peer: bytes, tell: Tell) -> None:
        """Tell a peer whose link has room again what it was not told yet."""
        while peer in self._told:
            page = self._database.rows(
                "SELECT author, data FROM revocations WHERE author > ? ORDER BY author LIMIT ?",
                (self._told[peer], PAGE),
            )
            for author, data in page:
                if not tell(peer, ENVELOPE, data):
                    return
                self._told[peer] = author
            if len(page) < PAGE:
                del self._told[peer]

    def part(self, peer: bytes) -> None:
        """Its link has ended."""
        self._told.pop(peer, None)

    def _matters(self, author: bytes) -> bool:
        store = self._trust.store
        if author in store.revoked or any(store.get(key) for key in (author, twin(author))):
            return True
        if self._trust.grants is not None and self._trust.grants.knows(author):
            return True  # it was given something here, or handed it on
        return len(store.revoked) < HEARSAY_MAX and self._is_author(author)

    def _holds(self, author: bytes) -> bool:
        found = self._database.value("SELECT 1 FROM revocations WHERE author = ?", (author,))
        return found is not None


def keep(database: Database, author: bytes, data: bytes) -> None:
    """Keep a proof, to be passed on; durable when it returns."""
    with database.transaction(fsync=True):
        database.execute("INSERT OR IGNORE INTO revocations VALUES (?, ?)", (author, data))
