"""The built-in rail: accounts in the node's own database.

A payment moves an amount from the account `agent NAME` to the payee's. Nothing is filled up
beforehand: an agent's account may be below zero, by what its caps allow, and is settled
between people. The entry commits in one transaction with the reservation it settles.
"""

from sandbox.spend import Cost, Money
from sync.store.database import Database

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS spend_ledger (
    payment BLOB PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    payer TEXT NOT NULL,
    payee TEXT NOT NULL,
    currency TEXT NOT NULL,
    micro INTEGER NOT NULL CHECK (micro > 0),
    memo TEXT NOT NULL
) STRICT, WITHOUT ROWID
""",
    "CREATE INDEX IF NOT EXISTS spend_ledger_at ON spend_ledger (at_ms)",
    """
CREATE TABLE IF NOT EXISTS spend_accounts (
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    micro INTEGER NOT NULL,
    PRIMARY KEY (account, currency)
) STRICT, WITHOUT ROWID
""",
)
ACCOUNTS_SHOWN_MAX = 1_000


def account_of(agent: str) -> str:
    """The account an agent pays from; as a payee it is the same account."""
    return f"agent {agent}"


class LedgerRail:
    """Accounts of this node."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pay(self, payment: bytes, cost: Cost, *, agent: str, memo: str, at_ms: int) -> None:
        """Enter the payment, inside the open transaction; a second time it is there already."""
        row = (
            *(payment, at_ms, account_of(agent), cost.payee),
            *(cost.money.currency, cost.money.micro, memo),
        )
        self._database.execute(
            "INSERT INTO spend_ledger (payment, at_ms, payer, payee, currency, micro, memo)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (payment) DO NOTHING",
            row,
        )
        if self._database.changes():
            self._add(account_of(agent), cost.money.currency, -cost.money.micro)
            self._add(cost.payee, cost.money.currency, cost.money.micro)

    def forget_before(self, at_ms: int) -> None:
        """Drop entries older than that; the accounts keep their sums."""
        self._database.execute("DELETE FROM spend_ledger WHERE at_ms < ?", (at_ms,))

    def _add(self, account: str, currency: str, micro: int) -> None:
        self._database.execute(
            "INSERT INTO spend_accounts (account, currency, micro) VALUES (?, ?, ?)"
            " ON CONFLICT (account, currency) DO UPDATE SET micro = micro + excluded.micro",
            (account, currency, micro),
        )

    def accounts(self) -> list[tuple[str, str, int]]:
        """Account, currency and micro-units, which may be negative; by name."""
        rows = self._database.rows(
            "SELECT account, currency, micro FROM spend_accounts"
            " ORDER BY account, currency LIMIT ?",
            (ACCOUNTS_SHOWN_MAX,),
        )
        return [(str(row[0]), str(row[1]), int(row[2])) for row in rows]

    def received(self, payee: str) -> tuple[Money, ...]:
        """What `payee` has got so far, one amount for each currency."""
        rows = self._database.rows(
            "SELECT micro, currency FROM spend_accounts WHERE account = ? AND micro > 0", (payee,)
        )
        return tuple(Money(micro, currency) for micro, currency in rows)
