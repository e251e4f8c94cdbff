"""An approval desk over a database, with a clock that the test turns."""

from dataclasses import dataclass, field

from akshi_mesh.approvals.desk import ApprovalDesk
from akshi_mesh.approvals.steady_clock import SteadyClock
from akshi_mesh.approvals.table import SCHEMA
from identity import SigningKey
from sandbox.audit import AuditRecord
from sandbox.errors import AuditUnavailable
from sync.clock import Moment
from sync.store.database import Database

START_MS = 1_800_000_000_000
ME = SigningKey.from_seed(b"\1" * 32)
ALICE = SigningKey.from_seed(b"\2" * 32)
BOB = SigningKey.from_seed(b"\3" * 32)
MALLORY = SigningKey.from_seed(b"\4" * 32)


@dataclass
class World:
    """What the desk is told of time, people and the audit log."""

    database: Database = field(default_factory=lambda: Database.open(":memory:", schemas=SCHEMA))
    wall_ms: int = START_MS
    mono_s: float = 0.0
    operators: set[str] = field(default_factory=lambda: {str(ME.did)})
    records: list[AuditRecord] = field(default_factory=list)
    audit_full: bool = False
    drawn: int = 0

    def record(self, record: AuditRecord) -> None:
        if self.audit_full:
            raise AuditUnavailable(why="full")
        AuditRecord.from_cbor(record.to_cbor())  # what cannot be read again is no record
        self.records.append(record)

    def draw(self, size: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(size, "big")

    def moment(self) -> Moment:
        return Moment(self.mono_s, self.wall_ms)

    def pass_ms(self, ms: int) -> None:
        self.wall_ms += ms
        self.mono_s += ms / 1_000

    def desk(self) -> ApprovalDesk:
        """A new run of the node over the same database."""
        desk = ApprovalDesk(
            self.database,
            self,
            clock=SteadyClock(self.moment, stored_ms=self._stored_ms()),
            entitled=self.operators.__contains__,
            draw=self.draw,
        )
        return desk

    def _stored_ms(self) -> int:
        return self.database.value("SELECT MAX(changed_ms) FROM approvals") or 0
