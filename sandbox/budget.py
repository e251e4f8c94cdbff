"""How much of something an agent may use: a token bucket without a clock."""


class Budget:
    """`burst` at once, `per_s` in the long run. May be overdrawn, then one waits longer.

    `now_s` is handed in; where it goes backwards, nothing is added.
    """

    __slots__ = ("_at_s", "_burst", "_left", "_per_s")

    def __init__(self, *, burst: float, per_s: float, now_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = burst
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """Whether one more is there at `now_s`; then it is used up."""
        if self.wait_s(now_s) > 0:
            return False
        self._left -= 1
        return True

    def wait_s(self, now_s: float) -> float:
        """How long after `now_s` one is available; 0 if now."""
        if now_s > self._at_s:
            self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
            self._at_s = now_s
        return 0.0 if self._left >= 1 else (1 - self._left) / self._per_s

    def charge(self, amount: float) -> None:
        """Use up `amount`, whether it is there or not."""
        self._left -= amount
