"""A purse over a database in memory, and a clock that a test sets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import trio

from akshi_mesh.audit.log import SCHEMA as AUDIT_SCHEMA
from akshi_mesh.audit.log import AuditLog
from akshi_mesh.spend.purse import SCHEMA as SPEND_SCHEMA
from akshi_mesh.spend.purse import Purse
from akshi_mesh.spend.rails import Payable, Rail
from sandbox.audit import AuditRecord, Event
from sandbox.charge import Charge
from sandbox.errors import PortRefused
from sandbox.fault import FaultCode
from sandbox.reservation import DAY_MS
from sandbox.spend import LEDGER, Cost, Money, SpendPolicy
from sync.store.database import MEMORY, Database

SCHEMAS = (*AUDIT_SCHEMA, *SPEND_SCHEMA)
DAY = 20_000
AGENT = "buyer"
TASK = b"t" * 32


def money(text: str) -> Money:
    return Money.parse(text)


def euro_cents(cents: int) -> Money:
    return Money(cents * 10_000, "EUR")


POLICY = SpendPolicy(money("2.00EUR"), money("1.00EUR"), (LEDGER, "card"))
COST = Cost(money("0.50EUR"), LEDGER, "shop")
CHARGE = Charge(COST, "a map", None)
CARD = Charge(replace(COST, rail="card"), "", None)


class CardRail:
    """Pays at once, or waits until somebody opens it."""

    def __init__(self) -> None:
        self.paid: list[Payable] = []
        self.may_end = trio.Event()
        self.failure: PortRefused | None = None

    async def pay(self, payable: Payable, *, still_allowed: Callable[[], str | None]) -> str:
        if self.failure is not None:
            raise self.failure
        await self.may_end.wait()
        why = still_allowed()
        if why is not None:
            raise PortRefused(FaultCode.NOT_ALLOWED, why)
        self.paid.append(payable)
        return "receipt-1"


@dataclass
class Desk:
    """A node's money, to be crashed and started again."""

    policies: dict[str, SpendPolicy] = field(default_factory=lambda: {AGENT: POLICY})
    rails: Mapping[str, Rail] = field(default_factory=dict)
    node_cap: Money | None = None
    forced: bool = False
    path: str = MEMORY
    now_ms: int = DAY * DAY_MS

    def __post_init__(self) -> None:
        self.database = Database.open(self.path, schemas=SCHEMAS)
        self.start()

    def start(self) -> None:
        """A new life on the same disk."""
        audit = AuditLog(self.database, draw=bytes, wall_ms=lambda: self.now_ms)
        self.purse = Purse(
            self.database,
            audit,
            policy_of=self.policies.get,
            wall_ms=lambda: self.now_ms,
            rails=self.rails,
            node_cap=self.node_cap,
            forced=self.forced,
        )

    def reserve(self, number: int, cost: Cost = COST, *, whose: tuple[str, ...] = ()) -> None:
        with self.database.transaction(fsync=True):
            self.purse.reserve(task_id=TASK, number=number, agent=AGENT, whose=whose, cost=cost)

    def commit(self, number: int, actual: Money | None = None) -> None:
        with self.database.transaction(fsync=True):
            self.purse.commit(task_id=TASK, number=number, actual=actual)

    def release(self, number: int) -> None:
        with self.database.transaction(fsync=True):
            self.purse.release(task_id=TASK, number=number)

    def lose(self, number: int) -> None:
        with self.database.transaction(fsync=True):
            self.purse.lose(task_id=TASK, number=number)

    async def pay(self, number: int, charge: Charge = CHARGE) -> str:
        return await self.purse.pay(task_id=TASK, number=number, agent=AGENT, charge=charge)

    def spent(self, agent: str = AGENT) -> str:
        counted = self.purse.account(agent, ()).agent
        return ", ".join(map(str, counted)) or "0"

    def events(self, *wanted: Event) -> list[AuditRecord]:
        rows = self.database.rows("SELECT record FROM audit ORDER BY seq")
        records = [AuditRecord.from_cbor(row[0]) for row in rows]
        return [record for record in records if not wanted or record.event in wanted]
