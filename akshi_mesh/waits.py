"""Who waits for whom among the agents of this node, so that no circle of them stands still.

An agent that waits keeps its slot. If all slots of A wait for B, and all of B for A, what each
waits for can never begin. The wait that would close such a circle is refused.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager


class Waits:
    """The waits under way: which task, of which agent, for which agents here."""

    def __init__(self, slots: Callable[[str], int]) -> None:
        """`slots` says how many tasks an agent runs at once."""
        self._slots = slots
        self._waiting: dict[bytes, tuple[str, frozenset[str]]] = {}

    @contextmanager
    def under_way(self, task_id: bytes, agent: str, targets: Collection[str]) -> Iterator[None]:
        self._waiting[task_id] = (agent, frozenset(targets))
        try:
            yield
        finally:
            del self._waiting[task_id]

    def would_stand_still(self, agent: str, targets: Collection[str]) -> bool:
        """Whether `agent`, if it waits for all of `targets`, waits for itself."""
        if self._count(agent) + 1 < self._slots(agent):
            return False
        return bool(targets) and all(self._reaches(target, agent) for target in targets)

    def _reaches(self, start: str, agent: str) -> bool:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            name = ahead.pop()
            if name == agent:
                return True
            if name not in seen and self._count(name) >= self._slots(name):
                seen.add(name)
                for who, targets in self._waiting.values():
                    ahead += targets if who == name else ()
        return False

    def _count(self, agent: str) -> int:
        return sum(who == agent for who, _ in self._waiting.values())
