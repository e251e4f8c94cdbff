"""A small audit log in memory, for the tests of what is built on one."""

import hashlib
import itertools

from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.export import log_files
from akshi_mesh.audit.log import SCHEMA, AuditLog
from akshi_mesh.audit.notary import Notary
from akshi_mesh.audit.receipts import SCHEMA as RECEIPTS_SCHEMA
from akshi_mesh.audit.receipts import Receipts
from akshi_mesh.audit.retention import Retention
from identity.keys import SigningKey
from sandbox.audit import AuditRecord, Event
from sync.store.database import Database

KEY = SigningKey.from_seed(bytes(range(32)))
NOW_MS = 1_700_000_000_000


def record(number: int, agent: str = "echo", event: Event = Event.ALLOWED) -> AuditRecord:
    return AuditRecord(
        at_ms=1_000 + number,
        event=event,
        agent=agent,
        originator="did:key:z6Mk",
        task_id=bytes(32),
        number=number,
        function="task.now",
        code="",
        detail="",
        request_hash=bytes(32),
    )


class SmallLog:
    """A log, who signs it, and what prunes it; the clock stands until it is moved."""

    def __init__(self, path: str = ":memory:", *, days: int = 30) -> None:
        self.now_ms = NOW_MS
        salts = (hashlib.sha256(b"%d" % n).digest()[:16] for n in itertools.count())
        self.database = Database.open(path, schemas=(*SCHEMA, *RECEIPTS_SCHEMA))
        self.log = AuditLog(self.database, draw=lambda _: next(salts), wall_ms=lambda: self.now_ms)
        self.notary = Notary(self.database, KEY, wall_ms=lambda: self.now_ms)
        self.retention = Retention(self.database, self.log, days=days, wall_ms=lambda: self.now_ms)
        self.book = AuditBook(self.database)
        self.receipts = Receipts(
            self.database, self.log, me=KEY.public_key, wall_ms=lambda: self.now_ms
        )

    def add(self, count: int) -> None:
        with self.database.transaction():
            for number in range(count):
                self.log.record(record(number))

    def note(self, count: int) -> None:
        """Records that carry the clock's time."""
        with self.database.transaction():
            for number in range(count):
                self.log.note(Event.AGENT, subject=f"agent-{number}", code="started")

    def files(self) -> dict[str, bytes]:
        return dict(log_files(self.book, self.notary.checkpoint()))
