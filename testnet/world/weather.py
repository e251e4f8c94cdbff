"""What the network does to a message: seeded loss, duplication, reordering, delay, partition."""

import random
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Weather:
    """Probabilities per message and the range of one-way delays, in seconds.

    Different delays reorder; `loss` also stands for a link that broke with bytes in flight.
    """

    loss: float = 0.05
    duplicate: float = 0.05
    delay_min_s: float = 0.001
    delay_max_s: float = 0.2

    def deliveries(self, dice: random.Random) -> list[float]:
        """When the copies of one message arrive, counted from now; empty if it is lost."""
        if dice.random() < self.loss:
            return []
        copies = 2 if dice.random() < self.duplicate else 1
        return [dice.uniform(self.delay_min_s, self.delay_max_s) for _ in range(copies)]


CALM = Weather(loss=0.0, duplicate=0.0, delay_min_s=0.001, delay_max_s=0.01)


@dataclass(slots=True)
class Map:
    """Who can reach whom: nodes in different islands cannot."""

    island: dict[int, int] = field(default_factory=dict)

    def reachable(self, one: int, other: int) -> bool:
        return self.island.get(one, 0) == self.island.get(other, 0)

    def split(self, nodes: int, dice: random.Random) -> None:
        """Deal the nodes to two islands."""
        self.island = {node: dice.randrange(2) for node in range(nodes)}

    def heal(self) -> None:
        self.island = {}
