"""What happens next, in the world's own time.

A heap of (time, order, action). Two actions due at once happen in the order in which
they were planned, so a seed decides everything and a run can be repeated to the byte.
"""

import heapq
from collections.abc import Callable
from itertools import count

from sync.clock import Moment

EPOCH_MS = 1_800_000_000_000  # wall clock of the first moment; any fixed instant would do


class Agenda:
    """Plan actions, then let time pass by taking them in order."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_s(self) -> float:
        return self._heap[0][0] if self._heap else float("inf")

    def moment(self, skew_ms: int = 0) -> Moment:
        """Now, as a node sees it whose wall clock is `skew_ms` ahead of the world's."""
        return Moment(mono_s=self.now_s, wall_ms=EPOCH_MS + int(self.now_s * 1000) + skew_ms)

    def at(self, when_s: float, action: Callable[[], None]) -> None:
        """Plan `action`; a time in the past means as soon as possible."""
        heapq.heappush(self._heap, (max(when_s, self.now_s), next(self._order), action))

    def after(self, pause_s: float, action: Callable[[], None]) -> None:
        self.at(self.now_s + pause_s, action)

    def step(self) -> bool:
        """Let the next action happen; False if there is none."""
        if not self._heap:
            return False
        self.now_s, _, action = heapq.heappop(self._heap)
        action()
        return True
