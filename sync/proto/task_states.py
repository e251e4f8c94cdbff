"""The words for where a task is.

    sender    QUEUED ──acknowledged──▶ ACKNOWLEDGED ──result──▶ ended
                 ├──expired, withdrawn──▶ EXPIRED ┐   a late result still
                 └──refused, conflict──▶ REFUSED ─┘   replaces the report

    receiver  waiting ──slot free──▶ running ──outcome──▶ finished
                 └───────cancelled, expired────────────────▲

A2A's state is derived from these; it is never a second truth.
"""

import enum
from dataclasses import dataclass


class TaskState(enum.StrEnum):
    """A2A 1.0's names."""

    SUBMITTED = "TASK_STATE_SUBMITTED"
    WORKING = "TASK_STATE_WORKING"
    COMPLETED = "TASK_STATE_COMPLETED"
    FAILED = "TASK_STATE_FAILED"
    CANCELED = "TASK_STATE_CANCELED"
    INPUT_REQUIRED = "TASK_STATE_INPUT_REQUIRED"
    REJECTED = "TASK_STATE_REJECTED"
    AUTH_REQUIRED = "TASK_STATE_AUTH_REQUIRED"


ENDED = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED})


class Disposition(enum.IntEnum):
    """What a receipt says of one envelope. The numbers are on the wire."""

    ACCEPTED = 0  # stored; the result will follow
    DUPLICATE = 1  # already stored, not finished yet
    DONE = 2  # nothing more to do about it: result or cancel received, task finished
    BUSY = 3  # not now; offer it again
    REFUSED = 4  # never; the reason says why
    CONFLICT = 5  # another task of yours has this message id
    EXPIRED = 6  # too late
    UNKNOWN = 7  # about a task that is not here


# How the reason begins when the right to task this agent is what is missing.
REFUSED_RIGHT = "no right "
# How it begins when the clocks of two nodes differ by more than the skew that is allowed.
CLOCK_AHEAD = "clock: "


class Counted(enum.IntEnum):
    """Under which heading of the ledger a sent task stands; each under exactly one."""

    QUEUED = 0
    ACKNOWLEDGED = 1
    EXPIRED = 2
    REFUSED = 3


@dataclass(frozen=True, slots=True)
class Completed:
    """The agent answered: a JSON array of A2A parts."""

    parts: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer. `code` is a word for programs, `why` a sentence for people."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never begun, and it never will be."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Stopped on request; what was staged is dropped."""

    why: str = "cancelled"


Outcome = Completed | Failed | Rejected | Cancelled
