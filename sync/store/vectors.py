"""Search by meaning: a vector for each entry, fed behind the receive path like the words.

    pending ──▶ embed, perhaps in a thread ──▶ put      each a transaction of its own
    find      in a thread, on a connection of its own: sqlite-vec measures every vector of one
              journal (exact, no index; measured: 100,000 in 0.2 s on a busy machine)

A vector stands with the model that made it, and is compared with that model's only: when the
model changes, the old ones are dropped and all is embedded anew. Vectors say nothing that the
entries do not: `forget` and feeding rebuild them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sync.embedding import Embedder
from sync.hybrid_clock import due_until
from sync.journal import Entry
from sync.store.database import Database
from sync.store.journals_view import View
from sync.store.search import RESULTS_MAX, Hit

SLICE: Final = 32  # entries at a time: 10 to 30 ms with the built-in embedder (measured)
DROPPED: Final = 4_096  # vectors of another model that are dropped at a time


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry without a vector."""

    journal: int
    log: int
    seq: int
    text: str


class Vectors:
    """The vectors of one model."""

    def __init__(self, database: Database, embedder: Embedder) -> None:
        self._db = database
        self._embedder = embedder

    @property
    def is_behind(self) -> bool:
        """Whether there are entries that `find` does not see yet."""
        return bool(self._behind(1)) or self._has_others()

    def pending(self, limit: int = SLICE) -> list[Pending]:
        """Entries to embed next, at most `limit`."""
        found: list[Pending] = []
        for log, journal, start, size in self._behind(limit):
            rows = self._db.rows(
                "SELECT seq, data FROM journal_entries WHERE log = ? AND seq >= ? AND seq < ?",
                (log, start, min(size, start + limit - len(found))),
            )
            for seq, data in rows:
                entry = Entry.parse(data)
                found.append(Pending(journal, log, seq, f"{entry.tag} {entry.text}"))
            if len(found) >= limit:
                break
        return found

    def embed(self, pending: Sequence[Pending]) -> list[bytes]:
        """Their vectors. Touches no store: for a thread, where the model is slow."""
        return self._embedder.embed([one.text for one in pending])

    def put(self, pending: Sequence[Pending], vectors: Sequence[bytes]) -> None:
        """Keep them. Call it in a transaction."""
        model = self._model()
        self._drop_others(model)
        for one, vector in zip(pending, vectors, strict=True):
            assert len(vector) == self._embedder.dimension, "a vector has its model's dimension"
            self._db.execute(
                "INSERT OR REPLACE INTO journal_vectors VALUES (?, ?, ?, ?, ?)",
                (model, one.journal, one.log, one.seq, vector),
            )
        for log, size in {one.log: one.seq + 1 for one in pending}.items():
            self._db.execute(
                "INSERT OR REPLACE INTO journal_embedded VALUES (?, ?, ?)", (model, log, size)
            )

    def find(self, journal: str, query: str, *, limit: int = 20, now_ms: int) -> list[Hit]:
        """Entries that lie nearest to `query`; the score is the cosine of the angle, above 0."""
        (vector,) = self._embedder.embed([query])
        if not any(vector):
            return []
        self._db.load_vectors()
        rows = self._db.rows(
            "SELECT v.log, v.seq,"
            " 1 - vec_distance_cosine(vec_int8(v.vector), vec_int8(?)) AS score"
            " FROM journal_vectors v"
            " JOIN journal_entries e ON e.log = v.log AND e.seq = v.seq"
            " JOIN journal_logs l ON l.id = v.log"
            " WHERE v.model = (SELECT id FROM journal_models WHERE name = ?)"
            " AND v.journal = (SELECT id FROM journal_names WHERE name = ?)"
            " AND e.time <= ? AND v.seq < l.visible"
            " ORDER BY score DESC, e.time, l.author, l.epoch, v.seq LIMIT ?",
            (
                vector,
                self._embedder.model,
                journal,
                due_until(now_ms),
                max(0, min(limit, RESULTS_MAX)),
            ),
        )
        view, hits = View(self._db), list[Hit]()
        for log, seq, score in rows:
            if score is None or score <= 0:  # of nothing but zeros, or not near at all
                continue
            seen = view.at(log, seq)
            assert seen is not None, "it was joined a moment ago"
            hits.append(Hit(score, seen))
        return hits

    def forget(self) -> None:
        """Drop all vectors; feeding builds them anew. Call it in a transaction."""
        forget_vectors(self._db)

    def _model(self) -> int:
        name = self._embedder.model
        self._db.execute("INSERT OR IGNORE INTO journal_models (name) VALUES (?)", (name,))
        found = self._db.value("SELECT id FROM journal_models WHERE name = ?", (name,))
        return int(found)

    def _behind(self, limit: int) -> list[tuple[int, int, int, int]]:
        return self._db.rows(
            "SELECT l.id, l.journal, coalesce(d.size, 0), l.size FROM journal_logs l"
            " LEFT JOIN journal_embedded d ON d.log = l.id"
            " AND d.model = (SELECT id FROM journal_models WHERE name = ?)"
            " WHERE coalesce(d.size, 0) < l.size ORDER BY l.id LIMIT ?",
            (self._embedder.model, limit),
        )

    def _has_others(self) -> bool:
        sql = "SELECT 1 FROM journal_models WHERE name <> ? LIMIT 1"
        return self._db.value(sql, (self._embedder.model,)) is not None

    def _drop_others(self, model: int) -> None:
        """Some of what other models have made; the model itself when nothing of it is left."""
        for (other,) in self._db.rows("SELECT id FROM journal_models WHERE id <> ?", (model,)):
            self._db.execute("DELETE FROM journal_embedded WHERE model = ?", (other,))
            self._db.execute(
                "DELETE FROM journal_vectors WHERE (model, journal, log, seq) IN"
                " (SELECT model, journal, log, seq FROM journal_vectors WHERE model = ? LIMIT ?)",
                (other, DROPPED),
            )
            if self._db.changes() < DROPPED:
                self._db.execute("DELETE FROM journal_models WHERE id = ?", (other,))


def forget_vectors(database: Database) -> None:
    """As `Vectors.forget`, for whoever does not know the model."""
    for table in ("journal_vectors", "journal_embedded"):
        database.execute(f"DELETE FROM {table}")  # noqa: S608 - one of two names
