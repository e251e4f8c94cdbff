"""The book of what agents spend: counts of the day, reservations, the kill switch.

A count is what has been spent and what is reserved, of one day, one scope and one currency.
Scopes are the node, each agent and each DID whose work it was; the counts of all of them rise
with the reservation, in its transaction, so a question costs a look-up and no sum.

    reserve   1 read, 1 insert, 2 to 5 counts raised, the caller's fsync
    settle    1 read, 1 update, and the counts again if less was spent
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.reservation import Reservation, Standing, day_of
from sandbox.spend import MICRO_MAX, Money
from sync.store.database import Database

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS spend_counts (
    day INTEGER NOT NULL,
    scope TEXT NOT NULL,
    currency TEXT NOT NULL,
    micro INTEGER NOT NULL CHECK (micro >= 0),
    PRIMARY KEY (day, scope, currency)
) STRICT, WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS spend_reservations (
    payment BLOB PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    day INTEGER NOT NULL,
    agent TEXT NOT NULL,
    scopes TEXT NOT NULL,
    currency TEXT NOT NULL,
    micro INTEGER NOT NULL,
    rail TEXT NOT NULL,
    payee TEXT NOT NULL,
    standing TEXT NOT NULL
) STRICT, WITHOUT ROWID
""",
    """
CREATE INDEX IF NOT EXISTS spend_reservations_open ON spend_reservations (at_ms)
    WHERE standing IN ('reserved', 'aborted_unknown')
""",
    "CREATE INDEX IF NOT EXISTS spend_reservations_day ON spend_reservations (day)",
    """
CREATE TABLE IF NOT EXISTS spend_switch (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    is_on INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT
""",
)
NODE_SCOPE = "node"
KEPT_DAYS = 400  # a year of accounts, and some; then rows of settled payments go
SHOWN_MAX = 1_000  # payments of unknown outcome that are listed at once


@dataclass(frozen=True, slots=True)
class Payment:
    """One row: a reservation, and what it was for."""

    id: bytes
    at_ms: int
    agent: str
    rail: str
    payee: str
    reservation: Reservation


def agent_scope(agent: str) -> str:
    return f"agent {agent}"


def whose_scope(who: str) -> str:
    return f"from {who}"


class Book:
    """The tables. Whoever writes opens the transaction, and says whether it is fsynced."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def today(self, wall_ms: int) -> int:
        """The day to count on; never before the last one that was counted on."""
        highest = self._database.value("SELECT max(day) FROM spend_counts")
        return day_of(wall_ms, highest or 0)

    def counted(self, day: int, scope: str) -> tuple[Money, ...]:
        """What counts against the caps of `scope`, one amount for each currency."""
        rows = self._database.rows(
            "SELECT micro, currency FROM spend_counts WHERE day = ? AND scope = ?", (day, scope)
        )
        # More than an amount can hold is as good as all of it: every cap is below.
        return tuple(Money(min(micro, MICRO_MAX), currency) for micro, currency in rows)

    def payment(self, id: bytes) -> Payment | None:
        row = self._database.row(
            "SELECT payment, at_ms, day, agent, currency, micro, rail, payee, standing"
            " FROM spend_reservations WHERE payment = ?",
            (id,),
        )
        return None if row is None else _payment(row)

    def add(self, payment: Payment, scopes: Iterable[str]) -> None:
        """Keep a new reservation and count it, inside the open transaction."""
        all_of_them = [NODE_SCOPE, agent_scope(payment.agent), *map(whose_scope, scopes)]
        names = list(dict.fromkeys(all_of_them))
        one = payment.reservation
        self._database.execute(
            "INSERT INTO spend_reservations (payment, at_ms, day, agent, currency, micro, rail,"
            " payee, standing, scopes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(payment.id, payment.at_ms, one.day, payment.agent, one.money.currency),
                *(one.money.micro, payment.rail, payment.payee, one.standing.value),
                json.dumps(names),
            ),
        )
        self._count(one, names, one.money.micro)

    def change(self, id: bytes, changed: Reservation, by_micro: int) -> None:
        """Write what became of a reservation, inside the open transaction."""
        self._database.execute(
            "UPDATE spend_reservations SET standing = ?, micro = ? WHERE payment = ?",
            (changed.standing.value, changed.money.micro, id),
        )
        if by_micro:
            scopes = self._database.value(
                "SELECT scopes FROM spend_reservations WHERE payment = ?", (id,)
            )
            self._count(changed, json.loads(scopes), by_micro)

    def _count(self, one: Reservation, scopes: Iterable[str], by_micro: int) -> None:
        for scope in scopes:
            self._database.execute(
                "INSERT INTO spend_counts (day, scope, currency, micro) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (day, scope, currency) DO UPDATE SET micro = micro + ?",
                (one.day, scope, one.money.currency, max(by_micro, 0), by_micro),
            )

    def open(self, standing: Standing) -> list[Payment]:
        """Payments that stand so, oldest first: those in flight, or those of unknown end."""
        rows = self._database.rows(
            "SELECT payment, at_ms, day, agent, currency, micro, rail, payee, standing"
            " FROM spend_reservations WHERE standing = ?"
            # So that the partial index serves.
            " AND standing IN ('reserved', 'aborted_unknown') ORDER BY at_ms LIMIT ?",
            (standing.value, -1 if standing is Standing.RESERVED else SHOWN_MAX),
        )
        return list(map(_payment, rows))

    def switched_on_ms(self) -> int | None:
        """When the stored kill switch was put on; None while it is off."""
        row = self._database.row("SELECT is_on, at_ms FROM spend_switch")
        return row[1] if row and row[0] else None

    def switch(self, *, is_on: bool, at_ms: int) -> None:
        self._database.execute(
            "INSERT INTO spend_switch (one, is_on, at_ms) VALUES (1, ?, ?)"
            " ON CONFLICT (one) DO UPDATE SET is_on = excluded.is_on, at_ms = excluded.at_ms",
            (int(is_on), at_ms),
        )

    def forget_before(self, day: int) -> None:
        """Drop rows of days before `day`, but never of the last day counted on."""
        last = self._database.value("SELECT max(day) FROM spend_counts") or 0
        self._database.execute("DELETE FROM spend_counts WHERE day < ?", (min(day, last),))
        self._database.execute(
            "DELETE FROM spend_reservations WHERE day < ? AND standing != 'reserved'",
            (min(day, last),),
        )


def _payment(row: tuple[object, ...]) -> Payment:
    id, at_ms, day, agent, currency, micro, rail, payee, standing = row
    one = Reservation(day, Money(micro, currency), Standing(standing))  # type: ignore[arg-type]
    return Payment(id, at_ms, agent, rail, payee, one)  # type: ignore[arg-type]
