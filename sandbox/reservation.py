"""One reservation of money, from before the act until its outcome is known.

    reserved ── commit ───▶ committed   what it cost counts
        ├────── release ──▶ released    provably nothing left the node: counts nothing
        └────── lose ─────▶ unknown     a crash, a kill, a lost answer: counts for good

Each step says by how much the day's count changes. Only the first release of a
reservation gives anything back, and nothing is ever given back that was unknown.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from sandbox.spend import Money

DAY_MS = 24 * 3_600_000


class Standing(StrEnum):
    """Where a reservation stands."""

    RESERVED = "reserved"
    COMMITTED = "committed"
    RELEASED = "released"
    UNKNOWN = "aborted_unknown"


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one call set aside, on the UTC day `day` (days since 1970)."""

    day: int
    money: Money
    standing: Standing = Standing.RESERVED

    def commit(self, actual: Money) -> tuple["Reservation", int]:
        """It cost `actual`; the change of the day's count in micro-units.

        A reservation that a kill has already given up stays unknown: it counts the
        greater of what was set aside and what was paid, never less than before.
        """
        assert actual.currency == self.money.currency, "currencies are never mixed"
        match self.standing:
            case Standing.RESERVED:
                settled = replace(self, money=actual, standing=Standing.COMMITTED)
                return settled, actual.micro - self.money.micro
            case Standing.RELEASED:  # it was paid after all: count it, whoever was wrong
                return replace(self, money=actual, standing=Standing.COMMITTED), actual.micro
            case Standing.COMMITTED | Standing.UNKNOWN:
                more = max(0, actual.micro - self.money.micro)
                return (replace(self, money=actual) if more else self), more
            case _:
                assert_never(self.standing)

    def release(self) -> tuple["Reservation", int]:
        """Nothing was paid; the change of the day's count, zero the second time."""
        if self.standing is not Standing.RESERVED:
            return self, 0
        return replace(self, standing=Standing.RELEASED), -self.money.micro

    def lose(self) -> "Reservation":
        """Nobody knows whether it was paid. Counts for good."""
        if self.standing is not Standing.RESERVED:
            return self
        return replace(self, standing=Standing.UNKNOWN)


def day_of(wall_ms: int, highest: int) -> int:
    """The day to count on: a clock that is set back never opens an earlier day anew."""
    return max(wall_ms // DAY_MS, highest)
