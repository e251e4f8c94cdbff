"""What a guest is told when a host call does not give it what it asked for.

A fault is an answer, not an error of ours: the guest reads it and carries on.
The codes are those of `enum code` in sandbox/wit/akshi.wit, by name and order.
"""

from dataclasses import dataclass
from enum import StrEnum

# A reason is one sentence. What names are longer (paths, targets) is cut, not refused.
WHY_CHARS_MAX = 500


class FaultCode(StrEnum):
    """Why, in one word a program can act on."""

    CAPABILITY_DENIED = "capability-denied"
    APPROVAL_DENIED = "approval-denied"
    APPROVAL_TIMEOUT = "approval-timeout"
    NOT_ALLOWED = "not-allowed"
    BUDGET_EXCEEDED = "budget-exceeded"
    RATE_LIMITED = "rate-limited"
    INVALID = "invalid"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Fault:
    """One refusal or failure, as the guest receives it."""

    code: FaultCode
    why: str

    def __str__(self) -> str:
        return f"{self.code}: {self.why}"
