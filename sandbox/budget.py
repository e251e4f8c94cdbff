"""How much of something an agent may use: a token bucket without a clock."""


class Budget:
    """How many of something an agent may do: `burst` at once, `per_s` in the long run.

    `now_s` is handed in; where it goes backwards, nothing is added.
    """

    __slots__ = ("_at_s", "_burst", "_left", "_per_s")

    def __init__(self, *, burst: float, per_s: float, now_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = burst
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """Whether one more is allowed at `now_s`; then it is used up."""
        if now_s > self._at_s:
            self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
            self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def wait_s(self) -> float:
        """How long after the last `take` one is available again."""
        return max(0.0, (1 - self._left) / self._per_s)
