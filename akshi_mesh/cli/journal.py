"""`journal append|read|search|verify|list`: what agents and people wrote down.

All but `append` work without a running node, too, on the node's store, which they only read.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.progress import progress
from akshi_mesh.cli.report import tell_report
from akshi_mesh.cli.session import Session, command

if TYPE_CHECKING:
    from akshi_mesh.api.shapes import CheckReport, EntryInfo, EntryPage, JournalInfo

TEXT_CHARS_MAX = 64 * 1024  # an entry is smaller; the node says by how much

Name = Annotated[str, typer.Argument(metavar="JOURNAL")]
Limit = Annotated[int, typer.Option("-n", "--limit", min=1, max=1_000, help="At most so many.")]


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
    words = sys.stdin.read(TEXT_CHARS_MAX) if text == "-" else text
    entry = session.node().journal_append(journal, tag=tag, text=words)
    session.answer(entry, text=entry["id"])


def read(
    session: Session,
    journal: Name,
    *,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on where the last page ended.")
    ] = None,
    limit: Limit = 100,
) -> None:
    """Print the entries of a journal in their order."""
    with _reading(session) as journals:
        page = journals.journal_read(journal, after=after, limit=limit)
    _print(session, page["entries"], empty=f"journal {journal!r} has no entries here")
    if page["after"] is not None and not session.as_json:
        output.hint(f"akshi-node journal read {journal} --after {page['after']}")


def search(
    session: Session,
    journal: Name,
    query: Annotated[str, typer.Argument(metavar="QUERY")],
    *,
    limit: Limit = 20,
) -> None:
    """Find entries by their words, the best first."""
    with _reading(session) as journals:
        found = journals.journal_search(journal, query=query, limit=limit)
    _print(session, found, empty=f"nothing in journal {journal!r} holds these words")


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

    def journal_search(self, journal: str, *, query: str, limit: int) -> "list[EntryInfo]": ...

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

        config = session.config()
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


def _print(session: Session, entries: "list[EntryInfo]", *, empty: str) -> None:
    session.rows(
        entries,
        lambda entry: (
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
    originator = entry["originator"]
    return f"for {originator}" if originator not in ("", entry["author"]) else "-"
