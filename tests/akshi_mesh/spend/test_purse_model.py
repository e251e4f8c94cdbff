"""Whatever happens and whenever: what may have been paid never exceeds a cap."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sandbox.errors import PortRefused
from sandbox.reservation import DAY_MS
from sandbox.spend import LEDGER, Cost, Money, SpendPolicy
from tests.akshi_mesh.spend.desk import AGENT, Desk

CAP, PER_ACTION, NODE_CAP = 1_000, 400, 900
amounts = st.integers(1, 450)
numbers = st.integers(0, 5)


class AnyScheduleOfPayments(RuleBasedStateMachine):
    """The oracle knows what left the node, and on which day; it has no idea of the tables."""

    def __init__(self) -> None:
        super().__init__()
        policy = SpendPolicy(Money(CAP, "EUR"), Money(PER_ACTION, "EUR"), (LEDGER,))
        self.desk = Desk({AGENT: policy}, node_cap=Money(NODE_CAP, "EUR"))
        self.next = 0
        self.highest = 0  # the last day that anything was counted on
        self.may_be_paid: dict[int, tuple[int, int]] = {}  # number: day, amount
        self.in_flight: list[int] = []
        self.settled: list[int] = []

    @rule(amount=amounts, currency=st.sampled_from(["EUR", "EUR", "EUR", "USD"]))
    def reserve(self, amount: int, currency: str) -> None:
        day = max(self.highest, self.desk.now_ms // DAY_MS)
        try:
            self.desk.reserve(self.next, Cost(Money(amount, currency), LEDGER, "shop"))
        except PortRefused:
            assert (
                currency != "EUR"
                or amount > PER_ACTION
                or self.of(day) + amount > NODE_CAP
                or self.desk.purse.halted
            )
            return
        assert not self.desk.purse.halted
        self.highest = day
        self.may_be_paid[self.next] = (day, amount)
        self.in_flight.append(self.next)
        self.next += 1

    @rule(which=numbers, less=st.integers(0, 450))
    def commit(self, which: int, less: int) -> None:
        if not self.in_flight:
            return
        number = self.in_flight.pop(which % len(self.in_flight))
        day, amount = self.may_be_paid[number]
        actual = max(0, amount - less)
        self.desk.commit(number, Money(actual, "EUR"))
        self.may_be_paid[number] = (day, actual)
        self.settled.append(number)

    @rule(which=numbers, times=st.integers(1, 2))
    def release(self, which: int, times: int) -> None:
        if not self.in_flight:
            return
        number = self.in_flight.pop(which % len(self.in_flight))
        for _ in range(times):
            self.desk.release(number)
        del self.may_be_paid[number]

    @rule(which=numbers)
    def refund(self, which: int) -> None:
        """A settled or lost payment gives nothing back, however often it is released."""
        if self.settled:
            self.desk.release(self.settled[which % len(self.settled)])

    @rule(which=numbers)
    def lose(self, which: int) -> None:
        if self.in_flight:
            number = self.in_flight.pop(which % len(self.in_flight))
            self.desk.lose(number)
            self.settled.append(number)

    @rule()
    def crash(self) -> None:
        self.desk.start()
        self.settled += self.in_flight
        self.in_flight.clear()

    @rule()
    def kill(self) -> None:
        self.desk.purse.switch.kill()
        self.settled += self.in_flight
        self.in_flight.clear()

    @rule()
    def resume(self) -> None:
        assert self.desk.purse.switch.resume()

    @rule(days=st.sampled_from([-3, -1, 0, 1]), hours=st.integers(-12, 12))
    def move_the_clock(self, days: int, hours: int) -> None:
        self.desk.now_ms += days * DAY_MS + hours * 3_600_000

    def of(self, day: int) -> int:
        return sum(amount for counted_on, amount in self.may_be_paid.values() if counted_on == day)

    @invariant()
    def no_day_costs_more_than_its_caps(self) -> None:
        days: dict[int, int] = {}
        for day, amount in self.may_be_paid.values():
            days[day] = days.get(day, 0) + amount
        assert all(total <= min(CAP, NODE_CAP) for total in days.values())
        for day, total in days.items():
            counted = self.desk.purse.book.counted(day, f"agent {AGENT}")
            assert sum(money.micro for money in counted) == total


TestAnyScheduleOfPayments = AnyScheduleOfPayments.TestCase
