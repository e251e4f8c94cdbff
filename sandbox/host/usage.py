"""What an agent has used since it was started: for `status`, never for a decision."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

PAGE_BYTES = 4_096


@dataclass(slots=True)
class Usage:
    """Counters of one agent.

    Attributes:
        fuel: of all attempts that came to an end by themselves.
        run_s: wall clock during which guests had the word or waited for an answer.
        calls: how often each function was called.
        refused: how often each was answered with a fault.
    """

    completed: int = 0
    failed: int = 0
    fuel: int = 0
    fuel_last: int = 0
    run_s: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def burnt(self, fuel: int) -> None:
        """An attempt has ended."""
        self.fuel += fuel
        self.fuel_last = fuel


def resident_bytes(pids: list[int]) -> int:
    """Memory of these processes now, what they share counted for each. 0 where /proc is not."""
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):  # it has just ended, or there is no /proc
            continue
    return total * PAGE_BYTES
