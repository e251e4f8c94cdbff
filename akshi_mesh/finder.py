"""Finding journal entries by their words, by what they mean, or by both at once.

    keyword   BM25 over the words                          sync.store.search
    vector    nearest by the angle between embeddings      sync.store.vectors
    hybrid    both rankings joined by rank                 sync.fusion

Feeding writes on the loop, in slices; embedding and searching happen in threads, each search on
a connection of its own. Two who feed at once do the same work twice, and agree.
"""

from functools import partial
from typing import Final

import trio

from sandbox.find import FindEntries, Mode
from sync.embedding import Embedder
from sync.fusion import fused
from sync.journal_errors import MalformedQuery
from sync.mesh import Mesh
from sync.store.database import Database
from sync.store.search import Hit, Search
from sync.store.vectors import Vectors

POOL: Final = 50  # of each ranking that are joined, or as many as are wanted


class Finder:
    """Both indexes of one node, and the questions to them."""

    def __init__(self, mesh: Mesh, database: Database, embedder: Embedder) -> None:
        self._mesh = mesh
        self._database = database
        self._embedder = embedder
        self._search = Search(database)
        self._vectors = Vectors(database, embedder)

    @property
    def is_behind(self) -> bool:
        return self._search.is_behind or self._vectors.is_behind

    async def feed(self) -> None:
        """One slice of what is not indexed yet."""
        if self._search.is_behind:
            with self._mesh.transaction():
                self._search.feed()
        if self._vectors.is_behind:
            pending = self._vectors.pending()
            made = await trio.to_thread.run_sync(partial(self._vectors.embed, pending))
            with self._mesh.transaction():
                self._vectors.put(pending, made)

    async def find(self, journal: str, wish: FindEntries, *, now_ms: int) -> list[Hit]:
        """The best entries; all that is in the view by now is looked at.

        Raises:
            MalformedQuery: no word in it, where only words count.
            StoreError: the store is in trouble, or sqlite-vec is missing.
        """
        while self._search.is_behind or (wish.mode != "keyword" and self._vectors.is_behind):
            await self.feed()
            await trio.lowlevel.checkpoint()
        return await trio.to_thread.run_sync(partial(self._look, journal, wish, now_ms))

    def _look(self, journal: str, wish: FindEntries, now_ms: int) -> list[Hit]:
        reader = self._database.reader()
        try:
            return look(reader, self._embedder, journal, wish, now_ms=now_ms)
        finally:
            reader.close()


def look(
    database: Database, embedder: Embedder, journal: str, wish: FindEntries, *, now_ms: int
) -> list[Hit]:
    """What the indexes of `database` hold, as far as they have been fed. Blocks."""
    mode: Mode = wish.mode
    count = wish.limit if mode != "hybrid" else max(POOL, wish.limit)
    by_words: list[Hit] = []
    if mode != "vector":
        try:
            by_words = Search(database).find(journal, wish.query, limit=count, now_ms=now_ms)
        except MalformedQuery:
            if mode == "keyword":
                raise
    if mode == "keyword":
        return by_words
    near = Vectors(database, embedder).find(journal, wish.query, limit=count, now_ms=now_ms)
    if mode == "vector":
        return near
    seen = {hit.seen.cursor: hit.seen for hit in [*by_words, *near]}
    joined = fused([[hit.seen.cursor for hit in ranking] for ranking in (by_words, near)])
    return [Hit(score, seen[cursor]) for cursor, score in joined[: wish.limit]]
