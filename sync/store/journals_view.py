"""Reading journals: the merged view, one entry, and what a log amounts to.

Everything here only reads, so it works on the loop's connection and on a `reader()` in a thread.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sync.hybrid_clock import due_until, wall_of
from sync.journal import Cursor, Entry
from sync.proto.journal_store import Staged
from sync.store.database import Database, Row

READ_MAX: Final = 1_000  # entries of one read; who wants more reads on from the last cursor
_COLUMNS: Final = "e.time, l.key, l.author, l.epoch, e.seq, e.data"


@dataclass(frozen=True, slots=True)
class Seen:
    """An entry in its place."""

    cursor: Cursor
    author: bytes
    epoch: bytes
    entry: Entry


@dataclass(frozen=True, slots=True)
class LogReport:
    """One log, for `status` and `why`."""

    log: bytes
    author: bytes
    epoch: bytes
    size: int
    visible: int
    root: bytes
    frozen_at: int | None
    is_own: bool


class View:
    """The journals as people and agents see them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def read(self, journal: str, *, after: str = "", limit: int = 100, now_ms: int) -> list[Seen]:
        """The next entries in order of (time, author, epoch, sequence).

        An entry that arrives late takes its place in that order, so it may lie before a
        cursor that was returned earlier.

        Raises:
            MalformedCursor: `after` is neither empty nor the text of a cursor.
        """
        due = due_until(now_ms)
        limit = max(0, min(limit, READ_MAX))
        start: Sequence[Any] = (0, b"", b"", -1)
        if after:
            cursor = Cursor.parse(after)
            where = self._db.row(
                "SELECT author, epoch FROM journal_logs WHERE key = ?", (cursor.log,)
            )
            # The log may be gone after a repair: then go on from its time.
            start = (cursor.time, *(where or (b"", b"")), cursor.seq if where else -1)
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM journal_entries e JOIN journal_logs l ON l.id = e.log"  # noqa: S608
            " WHERE e.journal = (SELECT id FROM journal_names WHERE name = ?1)"
            " AND e.time >= ?2 AND e.time <= ?6 AND e.seq < l.visible"
            " AND (e.time > ?2 OR (l.author, l.epoch, e.seq) > (?3, ?4, ?5))"
            " ORDER BY e.time, l.author, l.epoch, e.seq LIMIT ?7",
            (journal, *start, due, limit),
        )
        return [_seen(row) for row in rows]

    def last(self, journal: str, *, limit: int, now_ms: int) -> list[Seen]:
        """The newest entries, oldest of them first."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM journal_entries e JOIN journal_logs l ON l.id = e.log"  # noqa: S608
            " WHERE e.journal = (SELECT id FROM journal_names WHERE name = ?)"
            " AND e.time <= ? AND e.seq < l.visible"
            " ORDER BY e.time DESC, l.author DESC, l.epoch DESC, e.seq DESC LIMIT ?",
            (journal, due_until(now_ms), max(0, min(limit, READ_MAX))),
        )
        return [_seen(row) for row in reversed(rows)]

    def at(self, log: int, seq: int) -> Seen | None:
        """The entry of a log's row at a sequence number, if the view has it."""
        row = self._db.row(
            f"SELECT {_COLUMNS} FROM journal_entries e JOIN journal_logs l ON l.id = e.log"  # noqa: S608
            " WHERE e.log = ? AND e.seq = ?",
            (log, seq),
        )
        return None if row is None else _seen(row)

    def staged(self, journal: str, task_id: bytes) -> list[Staged]:
        """What a task has staged in a journal: it comes after all that `read` gives it."""
        rows = self._db.rows(
            "SELECT journal, author, nonce, originator, tag, text FROM journal_staged"
            " WHERE task = ? AND journal = ? ORDER BY number",
            (task_id, journal),
        )
        return [Staged(*row) for row in rows]

    def journals(self) -> list[str]:
        return [name for (name,) in self._db.rows("SELECT name FROM journal_names ORDER BY name")]

    def is_author(self, key: bytes) -> bool:
        """Whether `key` wrote a log that is held here, or vouched for who did."""
        sql = (
            "SELECT 1 FROM journal_logs WHERE author = ?1 UNION ALL"
            " SELECT 1 FROM journal_attestations WHERE node = ?1 LIMIT 1"
        )
        return self._db.value(sql, (key,)) is not None

    def logs(self, journal: str) -> list[LogReport]:
        """Each log of a journal; equal reports on two nodes mean equal content."""
        rows = self._db.rows(
            "SELECT key, author, epoch, size, visible, root, frozen_at, run IS NOT NULL"
            " FROM journal_logs WHERE journal = (SELECT id FROM journal_names WHERE name = ?)"
            " ORDER BY author, epoch",
            (journal,),
        )
        return [
            LogReport(key, author, epoch, size, visible, root, frozen_at, bool(is_own))
            for key, author, epoch, size, visible, root, frozen_at, is_own in rows
        ]

    def counts(self, journal: str) -> dict[str, int]:
        """How many logs, entries, frozen logs and entries out of view a journal has."""
        row = self._db.row(
            "SELECT count(*), coalesce(sum(size), 0), count(frozen_at),"
            " coalesce(sum(size - visible), 0) FROM journal_logs"
            " WHERE journal = (SELECT id FROM journal_names WHERE name = ?)",
            (journal,),
        )
        assert row is not None
        return dict(zip(("logs", "entries", "frozen", "hidden"), row, strict=True))

    def why(self, entry_id: str, *, now_ms: int) -> list[dict[str, object]]:
        """What is known of the entries with this id: usually one, and whether it is shown."""
        try:
            nonce = bytes.fromhex(entry_id)
        except ValueError:
            return []
        facts = []
        for name, log, seq in self._places(nonce):
            found = self._db.row(
                "SELECT author, epoch, size, visible, frozen_at FROM journal_logs WHERE id = ?",
                (log,),
            )
            seen = self.at(log, seq)
            if found is None or seen is None:
                continue
            author, epoch, size, visible, frozen_at = found
            facts.append(
                {
                    "journal": name,
                    "author": author.hex(),
                    "epoch": epoch.hex(),
                    "seq": seq,
                    "time_ms": wall_of(seen.entry.time),
                    "tag": seen.entry.tag,
                    "originator": seen.entry.originator,
                    "task": None if seen.entry.task_id is None else seen.entry.task_id.hex(),
                    "covered": seq < size,
                    "shown": seq < visible and seen.entry.time <= due_until(now_ms),
                    "frozen_at": frozen_at,
                }
            )
        return facts

    def _places(self, nonce: bytes) -> list[tuple[str, int, int]]:
        """Where entries with this nonce are: by the index, and by reading what it lacks yet."""
        rows = self._db.rows("SELECT log, seq FROM journal_ids WHERE nonce = ?", (nonce,))
        fresh = self._db.execute(
            "SELECT e.log, e.seq, e.data FROM journal_logs l JOIN journal_entries e"
            " ON e.log = l.id AND e.seq >= l.indexed AND e.seq < l.size WHERE l.indexed < l.size"
        )
        rows += [(log, seq) for log, seq, data in fresh if Entry.parse(data).nonce == nonce]
        names: dict[int, str] = dict(
            self._db.rows(
                "SELECT l.id, n.name FROM journal_logs l JOIN journal_names n ON n.id = l.journal"
                " WHERE l.id IN (SELECT value FROM json_each(?))",
                (json.dumps([log for log, _ in rows]),),
            )
        )
        return [(names[log], log, seq) for log, seq in rows]


def _seen(row: Row) -> Seen:
    time, key, author, epoch, seq, data = row
    return Seen(Cursor(time, key, seq), author, epoch, Entry.parse(data))
