"""Journals as people see them: the store's rows in the shapes of the API.

It only reads, so it serves the running node on a thread's connection and `akshi-node journal
read` on the file of a node that does not run.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from akshi_mesh.api.errors import NotKnown
from akshi_mesh.api.shapes import CheckReport, EntryInfo, EntryPage, Finding, JournalInfo
from akshi_mesh.config.model import Scope
from identity.did import Did
from sync.hybrid_clock import wall_of
from sync.store.database import Database
from sync.store.fsck import LogCheck, check_journals
from sync.store.journals_schema import JOURNALS_SCHEMA
from sync.store.journals_view import Seen, View
from sync.store.search import Search


class JournalBook:
    """All journals of one database, read only."""

    def __init__(
        self,
        database: Database,
        *,
        network: str,
        scopes: Mapping[str, Scope],
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._network = network
        self._scopes = scopes
        self._now_ms = now_ms

    @classmethod
    @contextmanager
    def at(
        cls, path: Path, *, network: str, scopes: Mapping[str, Scope], now_ms: Callable[[], int]
    ) -> Iterator[Self]:
        """The journals in the store at `path`; none if no node ever ran there."""
        if path.exists():
            database = Database.read_only(str(path))
        else:
            database = Database.open(":memory:", schemas=JOURNALS_SCHEMA)
        try:
            yield cls(database, network=network, scopes=scopes, now_ms=now_ms)
        finally:
            database.close()

    def journals(self) -> list[JournalInfo]:
        view = View(self._database)
        return [self._info(view, name) for name in view.journals()]

    def journal_read(self, journal: str, *, after: str | None, limit: int) -> EntryPage:
        seen = View(self._database).read(
            journal, after=after or "", limit=limit, now_ms=self._now_ms()
        )
        more = str(seen[-1].cursor) if len(seen) == limit else None
        return {"entries": [entry_info(journal, one) for one in seen], "after": more}

    def journal_search(self, journal: str, *, query: str, limit: int) -> list[EntryInfo]:
        hits = Search(self._database).find(journal, query, limit=limit, now_ms=self._now_ms())
        return [entry_info(journal, hit.seen, score=hit.score) for hit in hits]

    def journal_verify(self, journal: str | None) -> CheckReport:
        """One finding for each log.

        Raises:
            NotKnown: nothing is here of `journal`.
        """
        check = check_journals(self._database, network=self._network, journal=journal)
        if journal is not None and not check.logs:
            raise NotKnown(f"no journal {journal!r} here", hint="akshi-node journal list")
        return {"ok": check.is_sound, "findings": [_finding(log) for log in check.logs]}

    def _info(self, view: View, name: str) -> JournalInfo:
        counts = view.counts(name)
        return {
            "name": name,
            "scope": self._scopes.get(name, "local"),
            "entries": counts["entries"],
            "logs": counts["logs"],
            "frozen": counts["frozen"],
        }


def entry_info(journal: str, seen: Seen, *, score: float | None = None) -> EntryInfo:
    """One entry in its place."""
    return {
        "id": seen.entry.nonce.hex(),
        "journal": journal,
        "author": str(Did(seen.author)),
        "epoch": seen.epoch.hex(),
        "seq": seen.cursor.seq,
        "at_ms": wall_of(seen.entry.time),
        "tag": seen.entry.tag,
        "text": seen.entry.text,
        "originator": seen.entry.originator,
        "task_id": None if seen.entry.task_id is None else seen.entry.task_id.hex(),
        "score": score,
    }


def _finding(log: LogCheck) -> Finding:
    whole = f"{log.proven} of {log.size} entries proven"
    return {
        "what": f"journal {log.journal}, log of {Did(log.author)} epoch {log.epoch.hex()}",
        "ok": log.is_sound,
        "why": whole if log.why is None else f"{whole}: {log.why}",
        "remedy": "" if log.is_sound else "akshi-node fsck",
    }
