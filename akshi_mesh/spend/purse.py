"""The purse of a node: what agents may spend, do spend, and have spent.

    reserve ─▶ pay ─▶ commit       in the transactions of the host call
                 │      release    provably nothing left the node
                 └────▶ lose       it may have been paid: counted for good

A crash leaves what was reserved, and the next start takes it for lost.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog
import trio

from akshi_mesh.reserve import Reserve
from akshi_mesh.spend import answers, book, ledger, payments
from akshi_mesh.spend.book import KEPT_DAYS, NODE_SCOPE, Book, Payment, agent_scope, whose_scope
from akshi_mesh.spend.ledger import LedgerRail
from akshi_mesh.spend.payments import Payments
from akshi_mesh.spend.rails import Payable, Rails
from akshi_mesh.spend.switch import HALTED, KillSwitch
from sandbox.audit import AuditRecord, Event
from sandbox.challenge import Challenge
from sandbox.charge import Charge
from sandbox.errors import PortRefused
from sandbox.fault import FaultCode
from sandbox.ports import AuditPort
from sandbox.reservation import DAY_MS, Reservation, Standing
from sandbox.spend import (
    LEDGER,
    MICRO_MAX,
    Account,
    Allowance,
    Cost,
    Money,
    SpendPolicy,
    refusal,
    spent_in,
)
from sync.errors import StoreBusy, StoreFull, StoreReadOnly
from sync.store.database import Database

SCHEMA = (*book.SCHEMA, *ledger.SCHEMA, *payments.SCHEMA)
_DOMAIN = b"akshi-mesh/payment/1\0"

Grants = tuple[tuple[str, Money | None], ...]

log = structlog.get_logger()


@contextmanager
def _store_refuses(code: FaultCode = FaultCode.UNAVAILABLE) -> Iterator[None]:
    """A disk that takes nothing is the guest's to hear of; nobody else's task ends of it."""
    try:
        yield
    except (StoreFull, StoreReadOnly, StoreBusy) as trouble:
        log.error("store.trouble", why=str(trouble), hint=trouble.hint)
        raise PortRefused(code, "the node's disk takes nothing now") from trouble


def payment_id(task_id: bytes, number: int) -> bytes:
    """16 bytes: the same call of a later attempt is the same payment."""
    data = _DOMAIN + task_id + number.to_bytes(8, "big")
    return hashlib.blake2b(data, digest_size=16).digest()


class Purse:
    """Money, as `PursePort`, `SpendPort` and `PaymentsPort`.

    Args:
        policy_of: an agent's budget as it is now; None: it has none.
        rails: by name; the ledger is built in.
        node_cap: `[spend] daily`.
        forced: the environment's switch was on when the node started.
        reserve: room for the switch on a full disk.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditPort,
        *,
        policy_of: Callable[[str], SpendPolicy | None],
        wall_ms: Callable[[], int],
        rails: Rails | None = None,
        node_cap: Money | None = None,
        forced: bool = False,
        reserve: Reserve | None = None,
    ) -> None:
        self.book = Book(database)
        self.ledger = LedgerRail(database)
        self.payments = Payments(database)
        self.node_cap = node_cap
        self.switch = KillSwitch(
            database,
            self.book,
            wall_ms=wall_ms,
            turned=self._turned,
            forced=forced,
            reserve=reserve,
        )
        self._database = database
        self._audit = audit
        self._policy_of = policy_of
        self._wall_ms = wall_ms
        self._rails: Rails = rails or {}
        self._tidied_on = -1  # the day on which old rows were dropped last
        self._uncertain: set[bytes] = set()  # cut off while being paid, not settled yet
        self._recover()

    def _recover(self) -> None:
        """What was in flight when the node ended has an unknown end."""
        if self.book.open(Standing.RESERVED):
            with self._database.transaction(fsync=True):
                self._lose_all("the node ended while it was being paid")

    @property
    def halted(self) -> bool:
        """Whether paid actions are halted."""
        return self.switch.is_on

    # What counts.

    def account(self, agent: str, grants: Grants) -> Account:
        """What counts against the caps today, the agent's, the node's and those of `grants`."""
        day = self.book.today(self._wall_ms())
        return Account(
            agent=self.book.counted(day, agent_scope(agent)),
            node=self.book.counted(day, NODE_SCOPE),
            node_cap=self.node_cap,
            others=tuple(
                Allowance(who, cap, self.book.counted(day, whose_scope(who))) for who, cap in grants
            ),
        )

    @_store_refuses()
    def reserve(
        self, *, task_id: bytes, number: int, agent: str, whose: tuple[str, ...], cost: Cost
    ) -> None:
        """Count `cost` as spent, inside the open transaction, which is fsynced.

        Raises:
            PortRefused: the caps of the agent or the node have been reached since they were
                looked at, the switch went on, or this call has been paid before.
        """
        refused = refusal(self._policy_of(agent), self.account(agent, ()), cost, self.halted)
        if refused is not None:
            raise PortRefused(*refused)
        id, now_ms = payment_id(task_id, number), self._wall_ms()
        if self.book.payment(id) is not None:
            raise PortRefused(FaultCode.UNKNOWN, "this payment was begun before; not repeated")
        one = Reservation(self.book.today(now_ms), cost.money)
        payment = Payment(id, now_ms, agent, cost.rail, cost.payee, one)
        with self._database.transaction(fsync=True):
            self.book.add(payment, whose)
            if one.day != self._tidied_on:
                self._tidied_on = one.day
                self.book.forget_before(one.day - KEPT_DAYS)
                self.ledger.forget_before((one.day - KEPT_DAYS) * DAY_MS)
            self._record(Event.RESERVED, payment)

    @contextmanager
    def paying(self, *, task_id: bytes, number: int) -> Iterator[None]:
        """Around every act that costs money: the kill switch cancels what is in the block.

        If anybody else cancels it (the task, the node), what was reserved for the call is never
        given back: a byte may have left.

        Raises:
            PortRefused: the switch is on; or it was cut off, and nobody knows how far it came.
        """
        try:
            with self.switch.paying():
                yield
        except trio.Cancelled:
            self._uncertain.add(payment_id(task_id, number))
            raise

    def holds(self, *, task_id: bytes, number: int) -> bool:
        """Whether something was reserved for this call."""
        return self.book.payment(payment_id(task_id, number)) is not None

    @_store_refuses()
    def commit(self, *, task_id: bytes, number: int, actual: Money | None) -> None:
        """It happened, and did cost `actual` (None: what was reserved), in the transaction."""
        payment = self._found(task_id, number)
        one = payment.reservation
        changed, by_micro = one.commit(actual if actual is not None else one.money)
        self._settle(payment, changed, by_micro, Event.SPENT)

    @_store_refuses()
    def release(self, *, task_id: bytes, number: int) -> None:
        """Provably nothing was paid, in the transaction. Nothing is ever given back twice."""
        payment = self._found(task_id, number)
        if payment.id in self._uncertain:
            self._uncertain.discard(payment.id)
            return self.lose(task_id=task_id, number=number)
        changed, by_micro = payment.reservation.release()
        self._settle(payment, changed, by_micro, Event.RELEASED)

    @_store_refuses()
    def lose(self, *, task_id: bytes, number: int) -> None:
        """Nobody knows whether it was paid, in the transaction: it stays counted."""
        payment = self._found(task_id, number)
        self._settle(payment, payment.reservation.lose(), 0, Event.SPEND_UNKNOWN)

    def _found(self, task_id: bytes, number: int) -> Payment:
        payment = self.book.payment(payment_id(task_id, number))
        assert payment is not None, "settled without a reservation"
        return payment

    def _settle(self, payment: Payment, changed: Reservation, by_micro: int, event: Event) -> None:
        if changed == payment.reservation:
            return
        with self._database.transaction(fsync=True):
            self.book.change(payment.id, changed, by_micro)
            self._record(event, payment, changed.money)

    def _lose_all(self, why: str) -> None:
        for payment in self.book.open(Standing.RESERVED):
            self.book.change(payment.id, payment.reservation.lose(), 0)
            self._record(Event.SPEND_UNKNOWN, payment, why=why)

    # What guests ask.

    async def pay(self, *, task_id: bytes, number: int, agent: str, charge: Charge) -> str:
        """Pay what is reserved, through its rail; JSON for the guest.

        Raises:
            PortRefused: `unknown` where it may have been paid; else nothing was.
        """
        policy, cost = self._policy_of(agent), charge.cost
        assert policy is not None, "reserved without a policy"
        asked = self.payments.asked(agent, charge)
        id = payment_id(task_id, number)
        challenge = asked[1] if asked else None
        if policy.simulation:
            return answers.paid(id, cost, "simulated", has_proof=False)
        payable = Payable(id.hex(), agent, cost, charge.memo, challenge)
        rail = self._rails.get(cost.rail)
        if rail is not None:
            with self.paying(task_id=task_id, number=number):
                proof = await rail.pay(payable, still_allowed=self.switch.still_allowed)
        else:
            with _store_refuses():
                proof = self._pay_by_ledger(id, payable)
        with _store_refuses(FaultCode.UNKNOWN):  # it is paid, and must stay counted
            has_proof = asked is not None and self.payments.proven(
                agent=agent,
                payment=id.hex(),
                origin=asked[0],
                challenge=asked[1],
                proof=proof,
                at_ms=self._wall_ms(),
            )
        return answers.paid(id, cost, "paid", has_proof=has_proof)

    def _pay_by_ledger(self, id: bytes, payable: Payable) -> str:
        cost = payable.cost
        if cost.rail != LEDGER:
            raise PortRefused(FaultCode.UNAVAILABLE, f"no rail {cost.rail} on this node")
        if self.halted:
            raise PortRefused(FaultCode.NOT_ALLOWED, HALTED)
        payment = self.book.payment(id)
        assert payment is not None, "paid without a reservation"
        now_ms = self._wall_ms()
        changed, by_micro = payment.reservation.commit(cost.money)
        with self._database.transaction(fsync=True):
            self.ledger.pay(id, cost, agent=payable.agent, memo=payable.memo, at_ms=now_ms)
            self._settle(payment, changed, by_micro, Event.SPENT)
        return payable.key

    def quote(self, agent: str, cost: Cost, grants: Grants) -> str:
        """Whether `cost` would be paid now, and if not, why; JSON. Nothing is reserved."""
        policy = self._policy_of(agent)
        refused = refusal(policy, self.account(agent, grants), cost, self.halted)
        return answers.quote(cost, policy, refused)

    def balance(self, agent: str) -> str:
        """What an agent has spent and may spend today; JSON.

        Raises:
            PortRefused: it has no budget.
        """
        policy = self._policy_of(agent)
        if policy is None:
            why = "no_budget_configured: the agent has no [agents.spend]"
            raise PortRefused(FaultCode.NOT_ALLOWED, why)
        now_ms = self._wall_ms()
        day, currency = self.book.today(now_ms), policy.daily.currency
        spent = min(spent_in(self.book.counted(day, agent_scope(agent)), currency), MICRO_MAX)
        return answers.balance(policy, day=day, spent_micros=spent, halted=self.halted)

    # What an HTTP client asks.

    @_store_refuses()
    def challenged(self, agent: str, origin: str, challenge: Challenge) -> str:
        """Keep a challenge of `origin`; its id."""
        return self.payments.challenged(agent, origin, challenge, at_ms=self._wall_ms())

    def proof(self, agent: str, payment: str, origin: str) -> tuple[str, str]:
        """The header that proves `payment` to `origin`; showing it may be what moves the money.

        Raises:
            PortRefused: there is none, or the switch is on.
        """
        if self.halted:
            raise PortRefused(FaultCode.NOT_ALLOWED, HALTED)
        return self.payments.proof(agent, payment, origin)

    def _record(
        self, event: Event, payment: Payment, money: Money | None = None, why: str = ""
    ) -> None:
        amount = str(money or payment.reservation.money)
        self._note(
            event,
            code=FaultCode.UNKNOWN.value if event is Event.SPEND_UNKNOWN else "",
            agent=payment.agent,
            detail=why,
            facts={
                "subject": payment.id.hex(),
                "amount": amount,
                "rail": payment.rail,
                "payee": payment.payee,
            },
        )

    def _turned(self, is_on: bool) -> None:
        """The switch changes, in the open transaction."""
        code = "on" if is_on else "off"
        self._note(Event.KILL_SWITCH, code=code, facts={"subject": "spending"})
        if is_on:
            self._lose_all(HALTED)

    def _note(
        self,
        event: Event,
        *,
        code: str,
        facts: Mapping[str, str],
        agent: str = "",
        detail: str = "",
    ) -> None:
        record = AuditRecord(
            at_ms=self._wall_ms(),
            event=event,
            agent=agent,
            originator="",
            task_id=b"",
            number=-1,
            function="",
            code=code,
            detail=detail,
            request_hash=b"",
            facts=tuple(facts.items()),
        )
        self._audit.record(record)
