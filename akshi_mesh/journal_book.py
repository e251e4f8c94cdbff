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
from akshi_mesh.finder import look
from identity.attestation import open_attestation
from identity.did import Did
from identity.errors import IdentityError
from sandbox.find import FindEntries, Mode
from sync.embedding import HashingEmbedder
from sync.hybrid_clock import wall_of
from sync.proto.task_bodies import AGENT
from sync.store.database import Database
from sync.store.fsck import LogCheck, check_journals
from sync.store.journals import Journals as JournalTables
from sync.store.journals_schema import JOURNALS_SCHEMA
from sync.store.journals_view import Seen, View


class JournalBook:
    """All journals of one database, read only."""

    def __init__(
        self,
        database: Database,
        *,
        network: str,
        scopes: Mapping[str, Scope],
        now_ms: Callable[[], int],
        name_of: Callable[[bytes], str] = lambda key: str(Did(key)),
    ) -> None:
        """`name_of` is how people here call a node."""
        self._database = database
        self._network = network
        self._scopes = scopes
        self._now_ms = now_ms
        self._name_of = name_of
        self._writers: dict[bytes, str] = {}

    @classmethod
    @contextmanager
    def at(
        cls,
        path: Path,
        *,
        network: str,
        scopes: Mapping[str, Scope],
        now_ms: Callable[[], int],
        name_of: Callable[[bytes], str],
    ) -> Iterator[Self]:
        """The journals in the store at `path`; none if no node ever ran there."""
        database = Database.read_only(str(path)) if path.exists() else None
        if database is not None and not _has_table(database, "journal_names"):
            # A command without a node keeps its own rows there, and no journals.
            database.close()
            database = None
        database = database or Database.open(":memory:", schemas=JOURNALS_SCHEMA)
        try:
            yield cls(database, network=network, scopes=scopes, now_ms=now_ms, name_of=name_of)
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
        return {"entries": [self.entry(journal, one) for one in seen], "after": more}

    def journal_search(
        self, journal: str, *, query: str, limit: int, mode: Mode = "keyword"
    ) -> list[EntryInfo]:
        """What had been indexed when the node stopped; vectors, of the built-in embedder's."""
        wish, embedder = FindEntries(query, mode, limit), HashingEmbedder()
        hits = look(self._database, embedder, journal, wish, now_ms=self._now_ms())
        return [self.entry(journal, hit.seen, score=hit.score) for hit in hits]

    def journal_verify(self, journal: str | None) -> CheckReport:
        """One finding for each log.

        Raises:
            NotKnown: nothing is here of `journal`.
        """
        check = check_journals(self._database, network=self._network, journal=journal)
        if journal is not None and not check.logs:
            raise NotKnown(f"no journal {journal!r} here", hint="akshi-node journal list")
        return {"ok": check.is_sound, "findings": [_finding(log) for log in check.logs]}

    def entry(self, journal: str, seen: Seen, *, score: float | None = None) -> EntryInfo:
        """One entry in its place."""
        return {
            "id": seen.entry.nonce.hex(),
            "journal": journal,
            "author": str(Did(seen.author)),
            "writer": self._writer(seen.author),
            "epoch": seen.epoch.hex(),
            "seq": seen.cursor.seq,
            "at_ms": wall_of(seen.entry.time),
            "tag": seen.entry.tag,
            "text": seen.entry.text,
            "originator": seen.entry.originator,
            "originator_name": self._claimed(seen.entry.originator),
            "task_id": None if seen.entry.task_id is None else seen.entry.task_id.hex(),
            "score": score,
        }

    def _writer(self, author: bytes) -> str:
        """How people call who signed: a node, or an agent that a node vouches for."""
        if author not in self._writers:
            self._writers[author] = self._attested(author) or self._name_of(author)
        return self._writers[author]

    def _claimed(self, originator: str) -> str:
        """How people call who is named there. What is no DID is quoted: it is nobody's name."""
        try:
            return self._name_of(Did.parse(originator).public_key)
        except IdentityError:
            return repr(originator)

    def _attested(self, author: bytes) -> str | None:
        data = JournalTables(self._database, network=self._network).attestation(author)
        if data is None:
            return None
        try:
            word = open_attestation(data, network=self._network, now_ms=self._now_ms())
        except IdentityError:  # out of its time; it was checked when it came
            return None
        return f"{self._name_of(word.node)}/{word.name}" if AGENT.fullmatch(word.name) else None

    def _info(self, view: View, name: str) -> JournalInfo:
        counts = view.counts(name)
        return {
            "name": name,
            "scope": self._scopes.get(name, "local"),
            "entries": counts["entries"],
            "logs": counts["logs"],
            "frozen": counts["frozen"],
        }


def has_forked(database: Database, author: bytes) -> bool:
    """Whether the store holds proof that `author` signed two versions of a log."""
    if not _has_table(database, "journal_forks"):  # no node ever ran on this store
        return False
    found = "SELECT 1 FROM journal_forks WHERE author = ? LIMIT 1"
    return database.execute(found, (author,)).fetchone() is not None


def _has_table(database: Database, name: str) -> bool:
    found = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,))
    return found.fetchone() is not None


def has_forked_in(path: Path, author: bytes) -> bool:
    """As `has_forked`, on the store of a node that does not run."""
    if not path.exists():
        return False
    database = Database.read_only(str(path))
    try:
        return has_forked(database, author)
    finally:
        database.close()


def _finding(log: LogCheck) -> Finding:
    whole = f"{log.proven} of {log.size} entries proven"
    return {
        "what": f"journal {log.journal}, log of {Did(log.author)} epoch {log.epoch.hex()}",
        "ok": log.is_sound,
        "why": whole if log.why is None else f"{whole}: {log.why}",
        "remedy": "" if log.is_sound else "akshi-node fsck",
    }
