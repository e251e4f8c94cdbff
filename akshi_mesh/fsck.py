"""The node's store, checked whole and put right: pages, journals, audit records.

    damaged pages     everything readable is copied into a fresh file, row by row; journals
                      only as far as their signatures prove them; the old file stays beside it
    sound pages       a log that does not hold is cut back to what its signatures prove

Nothing is dropped silently: each finding says how much of what is gone. Journal entries come
back from peers that hold them; tasks whose rows are gone are offered again by their senders.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from akshi_mesh.api.shapes import CheckReport, Finding
from akshi_mesh.approvals.table import ApprovalTable
from akshi_mesh.audit.book import AuditBook
from identity.did import Did
from sync.errors import DatabaseDamaged, StoreError
from sync.store.database import Database
from sync.store.fsck import LogCheck, check_journals, repair_journals, salvage_journals
from sync.store.journals_schema import JOURNALS_SCHEMA

REPAIR = "akshi-node fsck --repair"
PAGES_SHOWN_MAX = 5
# Journals are salvaged by proof; every other table is copied as it is.
_OWN_SCHEMA = """
    SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~'
    AND name NOT LIKE 'journal~_%' ESCAPE '~' ORDER BY rowid
"""


def check_store(path: Path, *, network: str) -> CheckReport:
    """Look at everything, change nothing.

    Raises:
        StoreError: the file cannot be opened, for a reason that is not damage.
    """
    if not path.exists():
        return _report([_good("store", "none yet")])
    try:
        with _opened(path) as database:
            return check_database(database.reader(), network=network)
    except DatabaseDamaged as damage:
        return _report([_bad("store", damage.why)])


def check_database(reader: Database, *, network: str) -> CheckReport:
    """As `check_store`, on a connection of a thread's own."""
    pages = reader.check()
    findings = [_bad("pages", why) for why in pages[:PAGES_SHOWN_MAX]]
    findings = findings or [_good("pages", "every checksum holds")]
    try:
        findings += [_journal(log) for log in check_journals(reader, network=network).logs]
        wrong = _audit(reader)
        # No repair brings a record back, and none may hide that it is gone.
        findings += [_bad("audit", why, remedy="") for why in wrong[:PAGES_SHOWN_MAX]]
        findings += [] if wrong else [_good("audit", "every record holds")]
        # Nobody gets a yes of a row that cannot be read; the agent asks again.
        lost = ApprovalTable(reader).check()
        findings += [_bad("approvals", why, remedy="") for why in lost[:PAGES_SHOWN_MAX]]
    except DatabaseDamaged as damage:
        findings.append(_bad("journals", damage.why))
    return _report(findings)


def repair_store(path: Path, *, network: str, now_ms: int) -> CheckReport:
    """Keep what holds. The caller holds the home's lock; `now_ms` names the file put aside.

    Returns:
        What was found, and what became of it. `ok` is true: what is left now is sound.
    """
    if not path.exists():
        return _report([_good("store", "none yet")])
    try:
        with _opened(path) as database:
            if not database.check():
                with database.transaction(fsync=True):
                    found = repair_journals(database, network=network)
                return _report([_told(log) for log in found.logs] or [_good("store", "sound")])
    except DatabaseDamaged:
        pass  # then only copying helps
    return _salvage(path, network=network, now_ms=now_ms)


def _salvage(path: Path, *, network: str, now_ms: int) -> CheckReport:
    fresh_path = path.with_name(f"{path.name}.fresh")
    for stale in _with_logs(fresh_path):
        stale.unlink(missing_ok=True)
    findings: list[Finding] = []
    with _opened(fresh_path, JOURNALS_SCHEMA) as fresh, fresh.transaction(fsync=True):
        try:
            with _opened(path) as damaged:
                for (statement,) in damaged.rows(_OWN_SCHEMA):
                    fresh.execute(statement)
                findings += [_copied(damaged, fresh, table) for table in _tables(fresh)]
                found = salvage_journals(damaged, fresh, network=network)
                findings += [_told(log) for log in found.logs]
        except DatabaseDamaged as damage:
            findings.append(_good("rest of the store", f"lost: {damage.why}"))
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    for old, kept in zip(_with_logs(path), _with_logs(aside), strict=True):
        if old.exists():
            old.rename(kept)
    for new, place in zip(_with_logs(fresh_path), _with_logs(path), strict=True):
        if new.exists():
            new.rename(place)
    findings.append(_good("damaged file", f"kept as {aside}"))
    return _report(findings)


def _tables(database: Database) -> list[str]:
    """What is copied by row; journals are salvaged by proof instead."""
    names = database.rows("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")
    return [name for (name,) in names if not name.startswith(("journal_", "sqlite_"))]


def _copied(damaged: Database, fresh: Database, table: str) -> Finding:
    """Copy the rows of one table that can be read: from the front, and then from the end."""
    quoted = f'"{table}"'
    columns = fresh.rows(f"PRAGMA table_info({quoted})")
    key = [f'"{column[1]}"' for column in sorted(columns, key=lambda one: one[5]) if column[5]]
    insert = f"INSERT OR IGNORE INTO {quoted} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
    is_whole = False
    for order in ("ASC", "DESC"):
        by = ", ".join(f"{column} {order}" for column in key or ["rowid"])
        try:
            for row in damaged.execute(f"SELECT * FROM {quoted} ORDER BY {by}"):  # noqa: S608
                fresh.execute(insert, row)
        except DatabaseDamaged:
            continue
        is_whole = True
        break
    kept = fresh.value(f"SELECT count(*) FROM {quoted}")  # noqa: S608
    return _good(f"table {table}", f"{kept} rows kept" + ("" if is_whole else ", others are lost"))


def _audit(reader: Database) -> list[str]:
    book = AuditBook(reader)
    return book.check() if book.is_there else []


@contextlib.contextmanager
def _opened(path: Path, schemas: Sequence[str] = ()) -> Iterator[Database]:
    database = Database.open(str(path), schemas=schemas)
    try:
        yield database
    finally:
        with contextlib.suppress(StoreError):
            database.close()


def _with_logs(path: Path) -> list[Path]:
    """The file and what SQLite keeps beside it."""
    return [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]


def _journal(log: LogCheck) -> Finding:
    what = f"journal {log.journal}, log of {Did(log.author)}"
    if log.why is None:
        return _good(what, f"{log.proven} entries proven")
    return _bad(what, f"{log.proven} of {log.size} entries proven: {log.why}")


def _told(log: LogCheck) -> Finding:
    what = f"journal {log.journal}, log of {Did(log.author)}"
    if log.lost:
        return _good(what, f"{log.proven} entries kept, {log.lost} lost here; peers may have them")
    return _good(what, f"{log.proven} entries kept")


def _good(what: str, why: str) -> Finding:
    return {"what": what, "ok": True, "why": why, "remedy": ""}


def _bad(what: str, why: str, *, remedy: str = REPAIR) -> Finding:
    return {"what": what, "ok": False, "why": why, "remedy": remedy}


def _report(findings: list[Finding]) -> CheckReport:
    return {"ok": all(finding["ok"] for finding in findings), "findings": findings}
