"""Keyword search over journals (SQLite's FTS5, ranked by BM25), fed behind the receive path.

Receiving an entry costs no word of indexing. `Search.feed` takes some hundred entries at a time,
from where the watermark of each log stands, in a transaction of its own: the loop calls it when
it is idle. A search sees what has been fed; `is_behind` says whether that is all.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sync.hybrid_clock import due_until
from sync.journal import Entry
from sync.journal_errors import MalformedQuery
from sync.store.database import Database
from sync.store.journals_view import Seen, View

SLICE: Final = 256  # entries fed at a time: about 8 ms (measured), so the loop is not held up
RESULTS_MAX: Final = 200
WORDS_MAX: Final = 32  # of a query; the rest is ignored
_SEQ_BITS: Final = 40  # a row id holds a log's row and a sequence number
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that matches; a higher score is a better match."""

    score: float
    seen: Seen


class Search:
    """The index and its questions. Feeding writes; `find` only reads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @property
    def is_behind(self) -> bool:
        """Whether there are entries that a search does not see yet."""
        found = self._db.value("SELECT 1 FROM journal_logs WHERE indexed < size LIMIT 1")
        return found is not None

    def feed(self, limit: int = SLICE) -> bool:
        """Index up to `limit` entries; True if there are more. Call it in a transaction."""
        left = limit
        rows = self._db.rows(
            "SELECT id, indexed, size FROM journal_logs WHERE indexed < size ORDER BY id LIMIT ?",
            (limit,),
        )
        for log, indexed, size in rows:
            end = min(size, indexed + left)
            for seq, data in self._entries(log, indexed, end):
                self._put(log, seq, Entry.parse(data))
            self._db.execute("UPDATE journal_logs SET indexed = ? WHERE id = ?", (end, log))
            left -= end - indexed
            if left <= 0:
                break
        return self.is_behind

    def find(self, journal: str, query: str, *, limit: int = 20, now_ms: int) -> list[Hit]:
        """Entries with any word of `query`, best first; more and rarer words score higher.

        Raises:
            MalformedQuery: no word in it.
        """
        words = _WORD.findall(query)[:WORDS_MAX]
        if not words:
            raise MalformedQuery(query)
        # Quoted, so that nothing in a query is an operator of FTS5.
        matching = " OR ".join(f'"{word}"' for word in words)
        rows = self._db.rows(
            "SELECT f.rowid, bm25(journal_text) AS score FROM journal_text f"  # noqa: S608 - numbers
            f" JOIN journal_entries e ON e.log = f.rowid >> {_SEQ_BITS}"
            f" AND e.seq = f.rowid & {(1 << _SEQ_BITS) - 1}"
            " JOIN journal_logs l ON l.id = e.log"
            " WHERE journal_text MATCH ? AND e.time <= ? AND e.seq < l.visible"
            " AND e.journal = (SELECT id FROM journal_names WHERE name = ?)"
            " ORDER BY score, e.time, l.author, l.epoch, e.seq LIMIT ?",
            (matching, due_until(now_ms), journal, max(0, min(limit, RESULTS_MAX))),
        )
        view = View(self._db)
        hits = []
        for row_id, score in rows:
            seen = view.at(row_id >> _SEQ_BITS, row_id & ((1 << _SEQ_BITS) - 1))
            assert seen is not None, "it was joined a moment ago"
            hits.append(Hit(-score, seen))
        return hits

    def forget(self) -> None:
        """Empty the index; `feed` builds it anew. Call it in a transaction."""
        self._db.execute("INSERT INTO journal_text (journal_text) VALUES ('delete-all')")
        self._db.execute("DELETE FROM journal_ids")
        self._db.execute("UPDATE journal_logs SET indexed = 0")

    def _entries(self, log: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        rows = self._db.execute(
            "SELECT seq, data FROM journal_entries WHERE log = ? AND seq >= ? AND seq < ?",
            (log, start, end),
        )
        return ((seq, data) for seq, data in rows)

    def _put(self, log: int, seq: int, entry: Entry) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO journal_text (rowid, tag, text) VALUES (?, ?, ?)",
            (log << _SEQ_BITS | seq, entry.tag, entry.text),
        )
        self._db.execute(
            "INSERT OR IGNORE INTO journal_ids VALUES (?, ?, ?)", (entry.nonce, log, seq)
        )
