"""Money an agent may spend: amounts, caps, and one total rule that says no.

Amounts are whole micro-units of one currency. Currencies are never mixed and never
converted: what is asked for in another currency than the cap's has no budget.

    kill switch -> policy -> rail -> currency -> per action -> daily: agent, originator, node

What is spent and what is reserved count alike, and a reservation whose outcome was lost
counts for good (sandbox/reservation.py).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from sandbox.errors import MalformedMoney, MalformedSpendPolicy
from sandbox.fault import FaultCode

MICRO = 1_000_000  # micro-units of one unit
MICRO_MAX = 2**53 - 1  # what JSON carries unharmed: nine thousand million units
RAILS_MAX = 16
RAIL_CHARS_MAX = 32
PAYEE_CHARS_MAX = 2_048  # a Lightning invoice with its hints fits
# Paid through the provider's own bill, which the operator configured: needs no rail.
INFERENCE = "inference"
LEDGER = "ledger"

# Plain digits: no sign, no exponent, no separator, nothing that int() would forgive.
_MONEY = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,6}))?([A-Z]{3,8})")
_CURRENCY = re.compile(r"[A-Z]{3,8}")
_RAIL = re.compile(r"[a-z0-9][a-z0-9_-]*")

NO_BUDGET: Final = "no_budget_configured"
BUDGET_EXCEEDED: Final = "budget_exceeded"
PER_ACTION: Final = "per_action_limit_exceeded"
RAIL_NOT_ALLOWED: Final = "rail_not_allowed"
KILL_SWITCH: Final = "kill_switch"
REASONS = (NO_BUDGET, BUDGET_EXCEEDED, PER_ACTION, RAIL_NOT_ALLOWED, KILL_SWITCH)

Refusal = tuple[FaultCode, str]


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount, never negative.

    >>> Money.parse("2.5EUR")
    Money(micro=2500000, currency='EUR')
    >>> str(Money(500_000, "EUR"))
    '0.50EUR'
    """

    micro: int
    currency: str

    def __post_init__(self) -> None:
        # A bool is an int to Python, and True euros are nobody's price.
        if type(self.micro) is not int or not 0 <= self.micro <= MICRO_MAX:
            raise MalformedMoney(repr(self.micro), why=f"want 0 to {MICRO_MAX} micro-units")
        if type(self.currency) is not str or not _CURRENCY.fullmatch(self.currency):
            raise MalformedMoney(repr(self.currency), why="a currency is 3 to 8 capitals")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2.00EUR`: digits, at most six decimals, a currency, nothing between.

        Raises:
            MalformedMoney: anything else, or more than MICRO_MAX.
        """
        match = _MONEY.fullmatch(text)
        if match is None:
            raise MalformedMoney(text, why="want an amount such as 2.00EUR")
        whole, fraction, currency = match[1], match[2] or "", match[3]
        return cls(int(whole) * MICRO + int(fraction.ljust(6, "0")), currency)

    def __str__(self) -> str:
        whole, fraction = divmod(self.micro, MICRO)
        return f"{whole}.{f'{fraction:06}'.rstrip('0').ljust(2, '0')}{self.currency}"


def check_rail(name: str) -> str:
    """`name` itself, if a rail may be called that.

    Raises:
        MalformedSpendPolicy: it may not.
    """
    if len(name) > RAIL_CHARS_MAX or not _RAIL.fullmatch(name):
        raise MalformedSpendPolicy("rails", why=f"{name[:40]!r} is no name of a rail")
    return name


@dataclass(frozen=True, slots=True)
class SpendPolicy:
    """What one agent may spend.

    Attributes:
        daily: in one day of UTC, reservations included.
        per_action: in one call; None where only the daily cap bounds it.
        rails: the ways money may take; none listed, none allowed. Inference needs none.
        simulation: counted and checked as if it were money, and never charged.
    """

    daily: Money
    per_action: Money | None = None
    rails: tuple[str, ...] = ()
    simulation: bool = False

    def __post_init__(self) -> None:
        if self.per_action is not None and self.per_action.currency != self.daily.currency:
            raise MalformedSpendPolicy("per_action", why=f"want it in {self.daily.currency}")
        if len(self.rails) > RAILS_MAX:
            raise MalformedSpendPolicy("rails", why=f"more than {RAILS_MAX} rails")
        for rail in self.rails:
            check_rail(rail)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call would cost, and who would get it by which rail."""

    money: Money
    rail: str
    payee: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """What work that came from `who` may spend in a day, and has.

    Attributes:
        who: the DID the task came from or through.
        cap: of its grant; None: the grant allows no spending.
        spent: today, reservations included; one amount for each currency.
    """

    who: str
    cap: Money | None
    spent: tuple[Money, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """What is spent and reserved today, and the caps that are not the agent's own.

    Attributes:
        agent: of this agent, one amount for each currency.
        node: of all agents of the node.
        node_cap: `[spend] daily`; None where only the agents' caps bound it.
        others: one for each DID whose grant bounds the task; all must cover.
    """

    agent: tuple[Money, ...] = ()
    node: tuple[Money, ...] = ()
    node_cap: Money | None = None
    others: tuple[Allowance, ...] = field(default=())


def refusal(
    policy: SpendPolicy | None, account: Account, cost: Cost, killed: bool
) -> Refusal | None:
    """Why `cost` must not be spent, or None. Never raises.

    The reason begins with one of REASONS.
    """
    if killed:
        return _not_allowed(KILL_SWITCH, "all paid actions are halted")
    if policy is None:
        return _not_allowed(NO_BUDGET, "the agent has no [agents.spend]")
    if cost.rail != INFERENCE and cost.rail not in policy.rails:
        return _not_allowed(RAIL_NOT_ALLOWED, f"{cost.rail} is not in [agents.spend] rails")
    money = cost.money
    if money.currency != policy.daily.currency:
        return _not_allowed(NO_BUDGET, f"the agent has a budget in {policy.daily.currency} only")
    if policy.per_action is not None and money.micro > policy.per_action.micro:
        return _exceeded(PER_ACTION, f"{money} is over {policy.per_action} an action")
    if spent_in(account.agent, money.currency) + money.micro > policy.daily.micro:
        return _exceeded(BUDGET_EXCEEDED, f"the agent may spend {policy.daily} a day")
    return _others_refuse(account, money)


def _others_refuse(account: Account, money: Money) -> Refusal | None:
    for allowance in account.others:
        cap = allowance.cap
        if cap is None or cap.currency != money.currency:
            return _not_allowed(NO_BUDGET, f"{allowance.who} was granted no {money.currency}")
        if spent_in(allowance.spent, money.currency) + money.micro > cap.micro:
            return _exceeded(BUDGET_EXCEEDED, f"{allowance.who} was granted {cap} a day")
    cap = account.node_cap
    if cap is not None and cap.currency != money.currency:
        return _not_allowed(NO_BUDGET, f"this node has a budget in {cap.currency} only")
    if cap is not None and spent_in(account.node, money.currency) + money.micro > cap.micro:
        return _exceeded(BUDGET_EXCEEDED, f"this node may spend {cap} a day")
    return None


def spent_in(amounts: Iterable[Money], currency: str) -> int:
    """Micro-units of `currency` among `amounts`."""
    return sum(amount.micro for amount in amounts if amount.currency == currency)


def _not_allowed(reason: str, why: str) -> Refusal:
    return FaultCode.NOT_ALLOWED, f"{reason}: {why}"


def _exceeded(reason: str, why: str) -> Refusal:
    return FaultCode.BUDGET_EXCEEDED, f"{reason}: {why}"
