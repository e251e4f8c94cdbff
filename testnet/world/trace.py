"""What happened, in order: the last lines to read, and one hash over all of them to compare."""

import hashlib
from collections import deque

LINES_KEPT = 4_000  # older ones only live on in the hash


class Trace:
    """Lines of one run. Two runs of a seed give the same lines, so the same `digest`."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.steps = 0
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._hash = hashlib.sha256()

    def note(self, who: str, what: str) -> None:
        line = f"{self.now_s:10.3f}  {who:<7} {what}"
        self.lines.append(line)
        self._hash.update(line.encode())

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()[:16]

    def last(self, count: int, *, about: str = "") -> list[str]:
        """The last lines, of those that hold `about`."""
        found = [line for line in self.lines if about in line]
        return found[-count:] if count else []
