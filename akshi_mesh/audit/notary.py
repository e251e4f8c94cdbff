"""Signs checkpoints of the audit log, and hands one out when the disk holds all it covers."""

from collections.abc import Callable

from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.errors import LogChanged
from akshi_mesh.audit.note import Checkpoint, checkpoint_of, origin_of
from identity.keys import SigningKey
from sync.store.database import Database


class Notary:
    """Holds the node's key for its own log."""

    def __init__(self, database: Database, key: SigningKey, *, wall_ms: Callable[[], int]) -> None:
        self._database = database
        self._book = AuditBook(database)
        self._key = key
        self._wall_ms = wall_ms

    def checkpoint(self) -> bytes:
        """The signed note over all that is in the log now; on the disk, and so are the records.

        Raises:
            LogChanged: the log does not begin as we signed it before; nothing is signed.
            StoreError: the disk takes nothing.

        Cost: the hashes of two tiles, a signature, and an fsync if there is anything new.
        """
        with self._database.transaction(fsync=True):
            size, before = self._book.size, self._book.newest_checkpoint()
            if before is not None:
                signed = checkpoint_of(before)
                if signed.size > size:
                    raise LogChanged(f"{signed.size} records were signed, {size} are left")
                if self._book.root(signed.size) != signed.root:
                    raise LogChanged(f"the first {signed.size} records are not those we signed")
                if signed.size == size:
                    return before
            origin = origin_of(self._key.public_key)
            note = Checkpoint(origin, size, self._book.root(size)).signed(self._key)
            if size:
                self._database.execute(
                    "INSERT INTO audit_checkpoints VALUES (?, ?, ?)", (size, self._wall_ms(), note)
                )
        return note
