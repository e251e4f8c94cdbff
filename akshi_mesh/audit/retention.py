"""Drops what old records say; that they were there stays provable.

Salt and record are blotted out, the leaf hash stays. That it was done is a record itself.
"""

from collections.abc import Callable

from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.log import AuditLog
from sandbox.audit import Event
from sync.store.database import Database

DAY_MS = 24 * 3600 * 1000
ROWS_A_TURN = 2_000  # read and blotted out in one transaction, about 20 ms


class Retention:
    """Asked now and then; does a little each time."""

    def __init__(
        self, database: Database, log: AuditLog, *, days: int, wall_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._book = AuditBook(database)
        self._log = log
        self._days = days
        self._wall_ms = wall_ms

    @property
    def before_ms(self) -> int:
        """What is older says nothing any more."""
        return self._wall_ms() - self._days * DAY_MS

    def turn(self) -> bool:
        """Prune some of what is too old; whether there may be more.

        Raises:
            StoreError, AuditUnavailable: the disk takes nothing; nothing was pruned.
        """
        before_ms = self.before_ms
        through = first = self._book.pruned_through
        for kept in self._book.kept(first + 1, first + ROWS_A_TURN):
            if kept.record is None or kept.record.until_ms >= before_ms:
                break
            through = kept.seq
        if through == first:
            return False
        # Pages that get free are cleared as well, while this is on.
        self._database.execute("PRAGMA secure_delete = ON").fetchall()
        try:
            with self._database.transaction(fsync=True):
                self._log.note(Event.PRUNED, subject=f"{first + 1}-{through}")
                self._database.execute(
                    "UPDATE audit SET salt = x'', record = x'' WHERE seq BETWEEN ? AND ?",
                    (first + 1, through),
                )
                self._database.execute(
                    "INSERT OR REPLACE INTO audit_pruned VALUES (1, ?)", (through,)
                )
        finally:
            self._database.execute("PRAGMA secure_delete = FAST").fetchall()
        return through - first == ROWS_A_TURN
