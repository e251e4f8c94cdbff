"""What a node tells about money."""

from typing import TypedDict


class AgentBudget(TypedDict):
    """One agent with a budget; amounts are texts such as ``2.00EUR``."""

    name: str
    daily: str
    per_action: str | None
    rails: list[str]
    simulation: bool
    spent: list[str]


class OpenPayment(TypedDict):
    """A payment in flight (``reserved``) or of unknown end (``aborted_unknown``)."""

    payment: str
    at_ms: int
    agent: str
    amount: str
    rail: str
    payee: str
    standing: str


class LedgerAccount(TypedDict):
    """One account of the built-in rail; micro-units, which may be negative."""

    account: str
    currency: str
    micros: int


class SpendInfo(TypedDict):
    """What is spent today, what is open, and the kill switch.

    `forced`: the environment's switch was on when the node started. `since_ms`: when `spend
    kill` was said, if it holds. `cut_off`: calls that this very `kill` has cut off.
    """

    halted: bool
    forced: bool
    since_ms: int | None
    cut_off: int
    day: str
    node_daily: str | None
    node_spent: list[str]
    agents: list[AgentBudget]
    open: list[OpenPayment]
    ledger: list[LedgerAccount]
