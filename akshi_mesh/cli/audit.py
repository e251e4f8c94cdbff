"""`audit tail|verify|export|bundle|verify-bundle|prove|reconcile`: what was done and refused.

All but `tail` and `reconcile` read the node's store themselves, so they cost a running node
nothing and work without one. Of a running node they only ask for a fresh checkpoint.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command
from akshi_mesh.errors import BadNews, UsageError

if TYPE_CHECKING:
    from akshi_mesh.audit.book import AuditBook

CheckpointFile = Annotated[
    Path | None,
    typer.Option("--checkpoint", metavar="FILE", help="One that was kept earlier."),
]
Bundle = Annotated[Path, typer.Argument(metavar="FILE", help="A bundle, or an exported directory.")]
ExpectedDid = Annotated[str | None, typer.Option("--did", metavar="DID", help="Whose it must be.")]
CHECKPOINT_BYTES_MAX = 16_384


def register(app: typer.Typer) -> None:
    command(app, "tail")(tail)
    command(app, "verify")(verify)
    command(app, "export")(export)
    command(app, "bundle")(bundle)
    command(app, "verify-bundle")(verify_bundle)
    command(app, "prove")(prove)
    command(app, "reconcile")(reconcile)
    app.callback()(_group)


def _group() -> None:
    """The record of what was done, refused, approved, spent and trusted."""


def tail(
    session: Session,
    *,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=10_000)] = 20,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="Only this one's.")] = None,
) -> None:
    """Print the newest records of the audit log, oldest first."""
    node = session.node()
    records = node.audit_tail(limit=limit, agent=agent)
    if agent is not None and not records and all(agent != one["name"] for one in node.agents()):
        from akshi_mesh.api.errors import NotKnown

        raise NotKnown(f"no agent {agent!r} here", hint="akshi-node agents list")
    session.rows(
        records,
        lambda record: (
            output.when(record["at_ms"]),
            record["agent"] or "-",
            record["event"],
            record["function"] or "-",
            record["code"] or "-",
            f"{record['count']}×" if record["count"] > 1 else "",
            record["detail"] or _subject(record["facts"]),
        ),
        empty="the audit log is empty",
    )


def verify(
    session: Session,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="An export or a bundle; else this node's own log."),
    ] = None,
    *,
    did: ExpectedDid = None,
    checkpoint: CheckpointFile = None,
) -> None:
    """Check every record, every hash of the tree and every signature over it."""
    if path is not None:
        verify_bundle(session, path, did=did, checkpoint=checkpoint)
        return
    from akshi_mesh.cli.first import did_of
    from akshi_mesh.cli.report import tell_report

    if did is not None:
        raise UsageError("--did is for an export or a bundle", hint="akshi-node audit verify PATH")
    with _book(session) as book:
        against = None if checkpoint is None else _read(checkpoint)
        wrong = book.check(did_of(session.home).public_key, against=against)
        why = f"{book.size} records, {len(book.checkpoints())} checkpoints"
    found = wrong or [why]
    tell_report(
        session,
        {
            "ok": not wrong,
            "findings": [
                {"what": "audit log", "ok": not wrong, "why": line, "remedy": ""} for line in found
            ],
        },
        what="the check of the audit log",
    )


def export(
    session: Session,
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIRECTORY]", help="For --format tiles.")
    ] = None,
    *,
    form: Annotated[
        Literal["tiles", "json"] | None,
        typer.Option("--format", help="tiles into DIRECTORY, or json lines to stdout."),
    ] = None,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="json: only this.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="json: not older: 7d or 2026-01-31.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="json: up to this point or day.")
    ] = None,
) -> None:
    """Write the log out: a tiled log for other people's tools, or records to stdout."""
    from akshi_mesh.audit.export import export_directory
    from akshi_mesh.audit.note import checkpoint_of
    from akshi_mesh.audit.shown import exported
    from akshi_mesh.cli.spans import past_ms

    is_json = form == "json" or (form is None and directory is None)
    if is_json != (directory is None) or (not is_json and (agent or since or until)):
        raise UsageError(
            "a tiled log is whole and goes into a directory, json goes to stdout",
            hint="akshi-node audit export DIRECTORY",
        )
    now_ms = time.time_ns() // 1_000_000
    since_ms = None if since is None else past_ms(since, now_ms=now_ms)
    until_ms = None if until is None else past_ms(until, now_ms=now_ms, ends=True)
    note = None if is_json else _checkpoint(session)
    with _book(session) as book:
        if note is None:
            lines = exported(
                book, size=book.size, agent=agent, since_ms=since_ms, until_ms=until_ms
            )
            for line in lines:
                output.say_json(line)
            return
        assert directory is not None, "tiles have a directory"
        files, size = export_directory(book, note, directory), checkpoint_of(note).size
    session.answer(
        {"directory": str(directory), "files": files, "records": size},
        text=f"{size} records in {files} files",
    )


def bundle(
    session: Session,
    *,
    out: Annotated[Path, typer.Option("--output", metavar="FILE", help="A new .tar.gz.")],
    task: Annotated[
        str | None, typer.Option("--task", metavar="ID", help="Only the records of this task.")
    ] = None,
) -> None:
    """Pack the log, its proofs, the DID and a program that checks them into one file."""
    from akshi_mesh.audit.bundle import task_files
    from akshi_mesh.audit.export import File, log_files, write_bundle
    from akshi_mesh.cli.first import did_of

    note = _checkpoint(session)
    with _book(session) as book:
        if task is None:
            files: Iterable[File] = log_files(book, note)
        else:
            network = session.last_config().mesh.network
            files = task_files(book, note, task, network=network)
        size = write_bundle(
            out, files, public_key=did_of(session.home).public_key, at_s=int(time.time())
        )
    session.answer({"file": str(out), "bytes": size}, text=f"{out}: {size} bytes")


def verify_bundle(
    session: Session,
    path: Bundle,
    *,
    did: ExpectedDid = None,
    checkpoint: CheckpointFile = None,
) -> None:
    """Check a bundle or an export as an outsider would, with nothing of this node."""
    from akshi_mesh.audit import verify_audit

    kept = None if checkpoint is None else _read(checkpoint)
    try:
        proved = verify_audit.verify(verify_audit.read(path), did or "", kept)
    except verify_audit.MALFORMED as failure:
        raise BadNews(f"not verified: {failure}") from failure
    except OSError as failure:
        why = (failure.strerror or str(failure)).lower()
        raise UsageError(f"{path}: {why}") from failure
    session.answer({"ok": True, "proved": proved}, text=proved)


def prove(
    session: Session,
    seq: Annotated[int | None, typer.Argument(metavar="[SEQ]", min=1, help="A record.")] = None,
    *,
    old: Annotated[
        int | None, typer.Option("--from", min=1, metavar="SIZE", help="Of an earlier checkpoint.")
    ] = None,
) -> None:
    """Prove that one record is in the log, or that the log only grew since a checkpoint."""
    from akshi_mesh.audit.export import growth, proof
    from akshi_mesh.audit.note import checkpoint_of

    if (seq is None) == (old is None):
        raise UsageError("name a record or --from SIZE", hint="akshi-node audit tail")
    note = _checkpoint(session)
    size = checkpoint_of(note).size
    with _book(session) as book:
        if seq is not None:
            proved = proof(book, seq, size)
        else:
            assert old is not None, "one of the two is given"
            proved = growth(book, old, size)
    output.say_json({**proved, "checkpoint": note.decode()})


def reconcile(
    session: Session,
    *,
    other: Annotated[str, typer.Option("--with", metavar="WHO", help="A DID, or its name here.")],
) -> None:
    """Compare with another node what both have signed about the tasks between you."""
    report = session.node().audit_reconcile(other)
    if session.as_json:
        output.say_json(report)
    else:
        sums = [f"{report['agreed']} agreed", f"{report['one_sided']} one-sided"]
        output.say(", ".join([*sums, f"{report['contradictory']} contradictory"]))
        if report["findings"]:
            output.say_table(
                (output.when(one["at_ms"]), one["verdict"], one["task_id"], one["why"])
                for one in report["findings"]
            )
    first = report["first"]
    if first is not None:
        raise BadNews(
            f"the logs do not agree, first about task {first['task_id']}",
            hint=f"akshi-node audit bundle --task {first['task_id']} --output FILE.tar.gz",
        )


def _subject(facts: dict[str, str]) -> str:
    return facts.get("subject") or facts.get("peer", "")


@contextmanager
def _book(session: Session) -> Iterator["AuditBook"]:
    from akshi_mesh.audit.book import AuditBook
    from akshi_mesh.audit.errors import NothingSigned
    from sync.store.database import Database

    session.require_home()
    if not session.home.database_path.exists():
        raise NothingSigned
    reader = Database.read_only(str(session.home.database_path))
    try:
        book = AuditBook(reader)
        if not book.is_there:
            raise NothingSigned
        yield book
    finally:
        reader.close()


def _checkpoint(session: Session) -> bytes:
    """A fresh one of the running node; else the last that was signed."""
    from akshi_mesh.api.client import NoNode
    from akshi_mesh.audit.errors import NothingSigned
    from akshi_mesh.audit.note import checkpoint_of

    try:
        return session.node().audit_checkpoint()["note"].encode()
    except NoNode:
        with _book(session) as book:
            note, size = book.newest_checkpoint(), book.size
    if note is None:
        raise NothingSigned
    if (newer := size - checkpoint_of(note).size) > 0:
        records = output.plural(newer, "newer record")
        output.note(f"{records} not signed yet: only a running node signs")
    return note


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(CHECKPOINT_BYTES_MAX + 1)
    except OSError as failure:
        why = (failure.strerror or str(failure)).lower()
        raise UsageError(f"{path}: {why}") from failure
