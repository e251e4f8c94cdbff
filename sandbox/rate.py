"""How often an agent may use one capability: `60/min`, checked at every call."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from sandbox.budget import Budget
from sandbox.capability import Capability
from sandbox.errors import MalformedRate

_FORM = re.compile(r"([1-9][0-9]{0,8})/(s|min|h|d)")
_SECONDS: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` calls in any `per_s` seconds in the long run, and at most `count` at once."""

    count: int
    per_s: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `COUNT/UNIT`, the unit one of s, min, h, d.

        Raises:
            MalformedRate: anything else.
        """
        form = _FORM.fullmatch(text)
        if form is None:
            raise MalformedRate(text, why="want a count and a unit, such as 60/min (s, min, h, d)")
        return cls(int(form[1]), _SECONDS[form[2]])

    def __str__(self) -> str:
        unit = next(name for name, seconds in _SECONDS.items() if seconds == self.per_s)
        return f"{self.count}/{unit}"


def budgets(rates: Mapping[Capability, Rate], *, now_s: float) -> dict[Capability, Budget]:
    """One bucket for each capability that has a rate."""
    return {
        capability: Budget(burst=rate.count, per_s=rate.count / rate.per_s, now_s=now_s)
        for capability, rate in rates.items()
    }
