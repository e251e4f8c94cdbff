"""Journals, checks and the audit log of a running node. What reads much reads in a thread."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import trio

from akshi_mesh.api.errors import BadRequest
from akshi_mesh.api.shapes import (
    AuditLine,
    CheckReport,
    EntryInfo,
    EntryPage,
    Finding,
    JournalInfo,
    SignedCheckpoint,
)
from akshi_mesh.api.shapes_audit import ReconcileReport
from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.note import checkpoint_of
from akshi_mesh.audit.shown import shown
from akshi_mesh.cli import trust_file
from akshi_mesh.journal_book import JournalBook
from akshi_mesh.parts import Parts
from sandbox.audit import AuditRecord
from sandbox.find import MODES, FindEntries, Mode
from sync.store.database import Database

AnswerT = TypeVar("AnswerT")


def _mode(name: str | None) -> Mode:
    for mode in MODES:
        if mode == (name or "keyword"):
            return mode
    raise BadRequest(f"'mode' wants one of {', '.join(MODES)}")


class JournalControl:
    """`Control`, as far as it is about what is written down."""

    _parts: Parts

    async def journals(self) -> list[JournalInfo]:
        return self._book(self._parts.database, self._parts.clock().wall_ms).journals()

    async def journal_append(self, journal: str, *, tag: str, text: str) -> EntryInfo:
        parts = self._parts
        now = parts.clock()
        with parts.mesh.transaction():
            entry_id = parts.mesh.journals.append(
                journal, parts.me, tag=tag, text=text, originator=str(parts.did), now=now
            )
            parts.mesh.say(parts.mesh.journals.flush(now))
        newest = parts.view.last(journal, limit=16, now_ms=now.wall_ms)
        seen = next(one for one in reversed(newest) if one.entry.nonce.hex() == entry_id)
        return self._book(parts.database, now.wall_ms).entry(journal, seen)

    async def journal_read(self, journal: str, *, after: str | None, limit: int) -> EntryPage:
        return await self._in_thread(
            lambda book: book.journal_read(journal, after=after, limit=limit)
        )

    async def journal_search(
        self, journal: str, *, query: str, limit: int, mode: str | None
    ) -> list[EntryInfo]:
        parts = self._parts
        now_ms, wish = parts.clock().wall_ms, FindEntries(query, _mode(mode), limit)
        hits = await parts.finder.find(journal, wish, now_ms=now_ms)
        book = self._book(parts.database, now_ms)
        return [book.entry(journal, hit.seen, score=hit.score) for hit in hits]

    async def journal_verify(self, journal: str | None) -> CheckReport:
        return await self._in_thread(lambda book: book.journal_verify(journal))

    async def fsck(self) -> CheckReport:
        """Every page, every root, every audit record; and what to do about what is broken."""
        pages = await trio.to_thread.run_sync(partial(_check_pages, self._parts.database))
        journals = await self.journal_verify(None)
        audit = await trio.to_thread.run_sync(partial(_check_audit, self._parts.database))
        findings = [*pages, *journals["findings"], *audit]
        return {"ok": all(finding["ok"] for finding in findings), "findings": findings}

    async def audit_tail(self, *, limit: int, agent: str | None) -> list[AuditLine]:
        # An agent that said nothing has the whole log read for it.
        tail = partial(_audit_tail, self._parts.database, limit=limit, agent=agent)
        return [shown(seq, record) for seq, record in await trio.to_thread.run_sync(tail)]

    async def audit_checkpoint(self) -> SignedCheckpoint:
        note = self._parts.notary.checkpoint()
        return {"size": checkpoint_of(note).size, "note": note.decode()}

    async def audit_reconcile(self, who: str) -> ReconcileReport:
        peer = trust_file.find(self._parts.trust.store, who)
        if peer == self._parts.me:
            raise BadRequest("this is the node itself")
        return await self._parts.reconciler.reconcile(peer)

    async def _in_thread(self, ask: Callable[[JournalBook], AnswerT]) -> AnswerT:
        now_ms = self._parts.clock().wall_ms  # a thread has no clock of the loop's

        def answer() -> AnswerT:
            reader = self._parts.database.reader()
            try:
                return ask(self._book(reader, now_ms))
            finally:
                reader.close()

        return await trio.to_thread.run_sync(answer)

    def _book(self, database: Database, now_ms: int) -> JournalBook:
        config = self._parts.config
        return JournalBook(
            database,
            network=config.mesh.network,
            scopes={journal.name: journal.scope for journal in config.journals},
            now_ms=lambda: now_ms,
            name_of=self._parts.name_of,
        )


def _audit_tail(
    database: Database, *, limit: int, agent: str | None
) -> list[tuple[int, AuditRecord]]:
    reader = database.reader()
    try:
        return AuditBook(reader).tail(limit=limit, agent=agent)
    finally:
        reader.close()


def _check_pages(database: Database) -> list[Finding]:
    reader = database.reader()
    try:
        wrong = reader.check()
    finally:
        reader.close()
    return [_finding("database pages", wrong)]


def _check_audit(database: Database) -> list[Finding]:
    reader = database.reader()
    try:
        wrong = AuditBook(reader).check()
    finally:
        reader.close()
    return [_finding("audit log", wrong)]


def _finding(what: str, wrong: list[str]) -> Finding:
    return {
        "what": what,
        "ok": not wrong,
        "why": "; ".join(wrong) or "sound",
        "remedy": "akshi-node stop, then: akshi-node fsck --repair" if wrong else "",
    }
