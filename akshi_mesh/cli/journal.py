"""`journal append|read|search|verify|list`: what agents and people wrote down.

All but `append` work without a running node, too, on the node's store, which they only read.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.given import given_text
from akshi_mesh.cli.progress import progress
from akshi_mesh.cli.report import tell_report
from akshi_mesh.cli.session import Session, command

if TYPE_CHECKING:
    from akshi_mesh.api.shapes import CheckReport, EntryInfo, EntryPage, JournalInfo
    from sandbox.find import Mode

PAGE = 1_000  # entries that are asked for at once on the way to the newest

Name = Annotated[str, typer.Argument(metavar="JOURNAL")]
Ids = Annotated[bool, typer.Option("--ids", help="Begin each line with the id of the entry.")]
Limit = Annotated[int, typer.Option("-n", "--limit", min=1, max=1_000, help="At most so many.")]


class Way(StrEnum):
    """What a search goes by."""

    KEYWORD = "keyword"
    VECTOR = "vector"
    HYBRID = "hybrid"


def register(app: typer.Typer) -> None:
    command(app, "append")(append)
    command(app, "read")(read)
    command(app, "search")(search)
    command(app, "verify")(verify)
    command(app, "list")(list_journals)


def append(
    session: Session,
    journal: Name,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The entry; - reads it here.")],
    *,
    tag: Annotated[str, typer.Option(help="A word to find it by.")] = "",
) -> None:
    """Write one entry, as this node."""
    entry = session.node().journal_append(journal, tag=tag, text=given_text(text))
    session.answer(entry, text=entry["id"])


def read(
    session: Session,
    journal: Name,
    *,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on where the last page ended.")
    ] = None,
    limit: Limit = 100,
    last: Annotated[
        int | None, typer.Option("--last", min=1, max=PAGE, help="The newest so many, in order.")
    ] = None,
    ids: Ids = False,
) -> None:
    """Print the entries of a journal in their order."""
    with _reading(session) as journals:
        if last is None:
            page = journals.journal_read(journal, after=after, limit=limit)
        else:
            page = _newest(journals, journal, after=after, count=last)
    _print(session, page["entries"], empty=f"journal {journal!r} has no entries here", ids=ids)
    if page["after"] is not None and not session.as_json:
        output.hint(f"akshi-node journal read {journal} --after {page['after']}")


def search(
    session: Session,
    journal: Name,
    query: Annotated[str, typer.Argument(metavar="QUERY")],
    *,
    mode: Annotated[
        Way, typer.Option(help="By words, by what they mean, or by both.")
    ] = Way.KEYWORD,
    limit: Limit = 20,
    ids: Ids = False,
) -> None:
    """Find entries by their words or by what they mean, the best first."""
    with _reading(session) as journals:
        found = journals.journal_search(journal, query=query, limit=limit, mode=mode.value)
    _print(session, found, empty=f"nothing in journal {journal!r} is like this", ids=ids)


def verify(
    session: Session, journal: Annotated[str | None, typer.Argument(metavar="[JOURNAL]")] = None
) -> None:
    """Recompute every root and check every signature, of one journal or all."""
    with _reading(session) as journals, progress("recomputing every root"):
        report = journals.journal_verify(journal)
    tell_report(session, report, what="verify")


def list_journals(session: Session) -> None:
    """List the journals of which something is here."""
    with _reading(session) as journals:
        found = journals.journals()
    session.rows(
        found,
        lambda journal: (
            journal["name"],
            journal["scope"],
            output.plural(journal["entries"], "entry"),
            output.plural(journal["logs"], "log"),
            f"{journal['frozen']} frozen" if journal["frozen"] else "",
        ),
        empty="no journals",
    )


class Journals(Protocol):
    """What a running node and the store of one that does not run both answer."""

    def journals(self) -> "list[JournalInfo]": ...

    def journal_read(self, journal: str, *, after: str | None, limit: int) -> "EntryPage": ...

    def journal_search(
        self, journal: str, *, query: str, limit: int, mode: "Mode"
    ) -> "list[EntryInfo]": ...

    def journal_verify(self, journal: str | None) -> "CheckReport": ...


@contextmanager
def _reading(session: Session) -> Iterator[Journals]:
    from akshi_mesh.api.client import NoNode

    try:
        node = session.node()
        node.whoami()
    except NoNode:
        from akshi_mesh.journal_book import JournalBook
        from identity.files import load_trust

        config = session.last_config()
        with JournalBook.at(
            session.home.database_path,
            network=config.mesh.network,
            scopes={journal.name: journal.scope for journal in config.journals},
            now_ms=lambda: time.time_ns() // 1_000_000,
            name_of=load_trust(session.home.path).name_of,
        ) as book:
            yield book
    else:
        yield node


def _newest(journals: Journals, journal: str, *, after: str | None, count: int) -> "EntryPage":
    """The last `count` entries; the way there leads through all of them."""
    newest: deque[EntryInfo] = deque(maxlen=count)
    while True:
        page = journals.journal_read(journal, after=after, limit=PAGE)
        newest.extend(page["entries"])
        if page["after"] is None:
            return {"entries": list(newest), "after": None}
        after = page["after"]


def _print(session: Session, entries: "list[EntryInfo]", *, empty: str, ids: bool) -> None:
    session.rows(
        entries,
        lambda entry: (
            *((entry["id"],) if ids else ()),
            output.when(entry["at_ms"]),
            entry["writer"],
            _claim(entry),
            entry["tag"] or "-",
            entry["text"],
        ),
        empty=empty,
    )


def _claim(entry: "EntryInfo") -> str:
    """For whom it was written, as its author says; nobody else has signed that."""
    if entry["originator"] in ("", entry["author"]):
        return "-"
    return f"for {entry['originator_name']}"
