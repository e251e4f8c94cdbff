"""An approval desk over a database, with a clock that the test turns."""

from dataclasses import dataclass, field

import trio
import trio.testing

from akshi_mesh.approvals.desk import ApprovalDesk
from akshi_mesh.approvals.steady_clock import SteadyClock
from akshi_mesh.approvals.table import SCHEMA
from identity import SigningKey
from sandbox.approval_life import Approval
from sandbox.approvals import Decision, Question
from sandbox.audit import AuditRecord
from sandbox.errors import AuditUnavailable
from sync.clock import Moment
from sync.store.database import Database

START_MS = 1_800_000_000_000
ME = SigningKey.from_seed(b"\1" * 32)
ALICE = SigningKey.from_seed(b"\2" * 32)
BOB = SigningKey.from_seed(b"\3" * 32)
MALLORY = SigningKey.from_seed(b"\4" * 32)
HERE = str(ME.did)


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


class Asking:
    """A guest that waits, in a task of its own."""

    def __init__(self, desk: ApprovalDesk, asked: Question, nursery: trio.Nursery) -> None:
        self.decision: Decision | None = None
        self._scope = trio.CancelScope()
        nursery.start_soon(self._ask, desk, asked)

    async def _ask(self, desk: ApprovalDesk, asked: Question) -> None:
        with self._scope:
            self.decision = await desk.ask(asked)

    def cancel(self) -> None:
        self._scope.cancel()


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


def only(desk: ApprovalDesk) -> Approval:
    (row,) = desk.table.open()
    return row


def yes(desk: ApprovalDesk, row: Approval, who: str = HERE) -> Approval:
    return desk.vote(row.id, who, approves=True, subject=row.subject.hash)
