"""One promised number: what was measured, against what, and how good it has to be."""

import json
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 3  # best of three: the machine's neighbours only ever make a run slower


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one measurement, taken together with its yardstick.

    `yardstick` is what the same machine did in the same minute without us (a raw
    verification, a bare TCP round trip); 1.0 where the promise is an absolute number.
    """

    value: float
    yardstick: float = 1.0

    @property
    def ratio(self) -> float:
        return self.value / self.yardstick


@dataclass(frozen=True, slots=True)
class Promise:
    """A key of the report, its unit, and the ratio to the yardstick it must reach.

    `bigger_is_better` says on which side of `must` and `stretch` the ratio has to lie.
    """

    key: str
    unit: str
    must: float
    stretch: float
    measure: Callable[[], Sample]
    bigger_is_better: bool = False

    def best(self, rounds: int = ROUNDS) -> Sample:
        choose = max if self.bigger_is_better else min
        return choose((self.measure() for _ in range(rounds)), key=lambda sample: sample.ratio)

    def kept_by(self, sample: Sample) -> bool:
        if self.bigger_is_better:
            return sample.ratio >= self.must
        return sample.ratio <= self.must

    def report(self, sample: Sample) -> dict[str, float | str]:
        return {
            "value": round(sample.value, 4),
            "unit": self.unit,
            "yardstick": round(sample.yardstick, 4),
            "ratio": round(sample.ratio, 4),
            "must": self.must,
            "stretch": self.stretch,
        }


def as_json(promises: dict[str, dict[str, float | str]]) -> str:
    """The report as one line, keys in the order they were measured."""
    return json.dumps(promises)
