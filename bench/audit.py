"""What a record of the audit log costs, and what checking and exporting a large log costs.

Records are appended as a busy node does it: a group of them in one transaction, which waits for
the disk once. Checks read every record, hash it, and rebuild the tree; an export writes all files.
"""

import secrets
import tempfile
import time
from pathlib import Path

from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.export import export_directory
from akshi_mesh.audit.log import SCHEMA, AuditLog
from akshi_mesh.audit.notary import Notary
from bench.figure import Promise, Sample
from identity.keys import SigningKey
from sandbox.audit import AuditRecord, Event
from sync.store.database import Database

RECORDS = 20_000
GROUP = 128  # records that share one commit and one fsync
KEY = SigningKey.from_seed(bytes(32))


def _record(number: int) -> AuditRecord:
    return AuditRecord(
        at_ms=1_700_000_000_000 + number,
        event=Event.ALLOWED,
        agent="reader",
        originator=str(KEY.did),
        task_id=bytes(32),
        number=number,
        function="http-fetch.fetch",
        code="",
        detail="https://api.example.com/v1/things",
        request_hash=bytes(32),
        facts=(("tier", "medium"), ("score", "30"), ("host", "api.example.com")),
    )


def _filled(path: Path) -> tuple[Database, float]:
    """A log of RECORDS records, and the seconds that took."""
    database = Database.open(str(path / "node.db"), schemas=SCHEMA)
    log = AuditLog(database, draw=secrets.token_bytes, wall_ms=lambda: 0)
    began = time.perf_counter()
    for first in range(0, RECORDS, GROUP):
        with database.transaction(fsync=True):
            for number in range(first, min(first + GROUP, RECORDS)):
                log.record(_record(number))
    return database, time.perf_counter() - began


def measure_append() -> Sample:
    """Microseconds a record, the making of the record included."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        database, took_s = _filled(path)
        database.close()
        return Sample(took_s / RECORDS * 1e6)


def measure_verify() -> Sample:
    """Records a second."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        database, _ = _filled(path)
        Notary(database, KEY, wall_ms=lambda: 0).checkpoint()
        began = time.perf_counter()
        wrong = AuditBook(database).check(KEY.public_key)
        took_s = time.perf_counter() - began
        assert wrong == [], wrong
        database.close()
        return Sample(RECORDS / took_s)


def measure_export() -> Sample:
    """Records a second."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        database, _ = _filled(path)
        note = Notary(database, KEY, wall_ms=lambda: 0).checkpoint()
        began = time.perf_counter()
        export_directory(AuditBook(database), note, path / "log")
        took_s = time.perf_counter() - began
        database.close()
        return Sample(RECORDS / took_s)


APPEND = Promise("audit_append_us", "us", 60, 40, measure_append)
VERIFY = Promise(
    "audit_verify_per_s", "1/s", 100_000, 300_000, measure_verify, bigger_is_better=True
)
EXPORT = Promise(
    "audit_export_per_s", "1/s", 100_000, 300_000, measure_export, bigger_is_better=True
)
