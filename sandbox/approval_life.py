"""The life of one approval, as values: who may say yes, until when, and how often it counts.

    pending ──approve, as many as the quorum──▶ approved ──use──▶ used
       │                                          │
       ├── deny, by anyone ──▶ denied             │
       ├── time ─────────────▶ expired ◀── time ──┤
       └── withdraw ─────────▶ withdrawn ◀────────┘

Each step returns a new value or raises; nothing leads back. At `expires_ms` it *is*
expired. Times are those of a clock that never goes back (the highest ever stored), and
no step makes a time smaller than the one before, so a clock set back revives nothing.

What an agent may ask is bounded here, too: few open questions at once, and a pause that
doubles with each no.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Self, assert_never

from identity import cbor
from sandbox.approvals import (
    QUORUM_MAX,
    SHOWN_BYTES_MAX,
    Approved,
    Decision,
    Denied,
    Question,
    Subject,
    TimedOut,
    Withdrawn,
    bounded,
    digest_of,
    fields_of,
)
from sandbox.errors import AlreadyVoted, ApprovalClosed, MalformedApproval, OtherSubject
from sandbox.risk import FIELDS_MAX, Judged, Risk, Tier

PENDING_PER_AGENT_MAX: Final = 8  # beyond, the agent is told to ask later
PAUSE_MS: Final = 2_000  # after a first no; then doubling
PAUSE_MS_MAX: Final = 10 * 60 * 1_000
MEMORY_MS: Final = 3_600_000  # a no is held against the agent for so long
ID_PATTERN: Final = re.compile(r"apr-[0-9a-f]{16}")


class Standing(StrEnum):
    """How far an approval has come."""

    PENDING = "pending"
    APPROVED = "approved"
    USED = "used"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


_OPEN: Final = frozenset({Standing.PENDING, Standing.APPROVED})


@dataclass(frozen=True, slots=True)
class Vote:
    """What one operator, a DID, said."""

    operator: str
    approves: bool
    at_ms: int
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "note", bounded(self.note))


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One question and what became of it.

    `shown` is the start of the canonical request; `request_bytes` says how long all of it
    is. `changed_ms` is the time of the last step, and `why` the reason of a withdrawal.
    """

    id: str
    subject: Subject
    shown: bytes
    request_bytes: int
    summary: str
    target: str
    risk: Risk
    task_id: bytes
    number: int
    quorum: int
    asked_ms: int
    expires_ms: int
    changed_ms: int
    standing: Standing = Standing.PENDING
    votes: tuple[Vote, ...] = ()
    why: str = ""

    @classmethod
    def asked(cls, id: str, question: Question, *, now_ms: int) -> Self:
        """The pending approval that `question` begins."""
        return cls(
            id=id,
            subject=question.subject,
            shown=question.request[:SHOWN_BYTES_MAX],
            request_bytes=len(question.request),
            summary=question.summary,
            target=question.target,
            risk=question.risk,
            task_id=question.task_id,
            number=question.number,
            quorum=question.quorum,
            asked_ms=now_ms,
            expires_ms=now_ms + question.timeout_s * 1_000,
            changed_ms=now_ms,
        )

    @property
    def is_open(self) -> bool:
        """Whether anything may still follow from it."""
        return self.standing in _OPEN

    @property
    def decision(self) -> Decision | None:
        """What whoever waits is told; None while it is pending."""
        match self.standing:
            case Standing.PENDING:
                return None
            case Standing.APPROVED:
                return Approved(self.id)
            case Standing.EXPIRED:
                return TimedOut()
            case Standing.WITHDRAWN:
                return Withdrawn(self.why)
            case Standing.DENIED:
                return Denied(self.votes[-1].note)
            case Standing.USED:
                return Denied("it was used before")
            case _:
                assert_never(self.standing)

    def at(self, now_ms: int) -> Self:
        """The same, expired if its time is over by now."""
        if not self.is_open or now_ms < self.expires_ms:
            return self
        return self._become(Standing.EXPIRED, now_ms)

    def voted(
        self, operator: str, *, approves: bool, subject: bytes, now_ms: int, note: str = ""
    ) -> Self:
        """What it is after the vote of an operator, who must be entitled to it.

        An operator who approved may still deny: that is never less safe.

        Raises:
            OtherSubject: the vote is about something else than what is asked here.
            ApprovalClosed: decided, expired or withdrawn.
            AlreadyVoted: a second yes of one operator.
        """
        if subject != self.subject.hash:
            raise OtherSubject(self.id)
        standing = self.at(now_ms).standing
        if standing is not Standing.PENDING:
            raise ApprovalClosed(self.id, state=standing.value)
        if approves and any(vote.operator == operator for vote in self.votes):
            raise AlreadyVoted(self.id, operator=operator)
        others = tuple(vote for vote in self.votes if vote.operator != operator)
        vote = Vote(operator, approves, max(now_ms, self.changed_ms), note)
        after = replace(self, votes=(*others, vote), changed_ms=vote.at_ms)
        if not approves:
            return after._become(Standing.DENIED, now_ms)
        if len(after.votes) >= self.quorum:
            return after._become(Standing.APPROVED, now_ms)
        return after

    def counting(self, entitled: Callable[[str], bool]) -> Self:
        """The same with the votes of those who are entitled to one now."""
        votes = tuple(vote for vote in self.votes if entitled(vote.operator))
        return replace(self, votes=votes) if self.standing is Standing.PENDING else self

    def used(self, *, subject: bytes, now_ms: int) -> Self:
        """What it is when the act goes ahead, once.

        Raises:
            OtherSubject: another act than the one that was approved.
            ApprovalClosed: not approved, used before, expired or withdrawn.
        """
        if subject != self.subject.hash:
            raise OtherSubject(self.id)
        standing = self.at(now_ms).standing
        if standing is not Standing.APPROVED:
            raise ApprovalClosed(self.id, state=standing.value)
        return self._become(Standing.USED, now_ms)

    def withdrawn(self, why: str, *, now_ms: int) -> Self:
        """What it is when nobody wants the answer any more; what is closed stays as it is."""
        if not self.is_open:
            return self
        return replace(self._become(Standing.WITHDRAWN, now_ms), why=bounded(why))

    def _become(self, standing: Standing, now_ms: int) -> Self:
        return replace(self, standing=standing, changed_ms=max(now_ms, self.changed_ms))

    def to_cbor(self) -> bytes:
        """The canonical bytes, for the store and for operators on other nodes."""
        return cbor.dumps(
            {
                1: self.id,
                2: self.subject.to_cbor(),
                3: self.shown,
                4: self.request_bytes,
                5: self.summary,
                6: self.target,
                7: [[part.field, part.tier.value, part.weight] for part in self.risk.fields],
                8: self.task_id,
                9: self.number,
                10: self.quorum,
                11: self.asked_ms,
                12: self.expires_ms,
                13: self.changed_ms,
                14: self.standing.value,
                15: [[vote.operator, vote.approves, vote.at_ms, vote.note] for vote in self.votes],
                16: self.why,
            }
        )

    @classmethod
    def from_cbor(cls, data: bytes) -> Self:
        """Read what `to_cbor` wrote.

        Raises:
            MalformedApproval: anything else.
        """
        fields = fields_of(data, count=len(_TYPES))
        if any(type(value) is not kind for value, kind in zip(fields, _TYPES, strict=True)):
            raise MalformedApproval("a field has the wrong type")
        if fields[13] not in list(Standing):
            raise MalformedApproval("no such state")
        approval = cls(
            id=fields[0],
            subject=Subject.from_cbor(fields[1]),
            shown=fields[2],
            request_bytes=fields[3],
            summary=fields[4],
            target=fields[5],
            risk=_risk(fields[6]),
            task_id=fields[7],
            number=fields[8],
            quorum=fields[9],
            asked_ms=fields[10],
            expires_ms=fields[11],
            changed_ms=fields[12],
            standing=Standing(fields[13]),
            votes=tuple(Vote(*row) for row in _rows(fields[14], (str, bool, int, str))),
            why=fields[15],
        )
        approval._check()
        return approval

    def _check(self) -> None:
        """What no correct node writes."""
        if not ID_PATTERN.fullmatch(self.id):
            raise MalformedApproval("an id is apr- and 16 hex digits")
        is_whole = self.request_bytes == len(self.shown)
        if len(self.shown) > SHOWN_BYTES_MAX or self.request_bytes < len(self.shown):
            raise MalformedApproval("more is shown than there is")
        if is_whole and digest_of(self.shown) != self.subject.request_hash:
            raise MalformedApproval("what is shown is not what is asked")
        if not 1 <= self.quorum <= QUORUM_MAX or not self.asked_ms < self.expires_ms:
            raise MalformedApproval("a quorum or a time that cannot be")
        operators = {vote.operator for vote in self.votes}
        if len(operators) != len(self.votes) or len(self.votes) > QUORUM_MAX:
            raise MalformedApproval("two votes of one operator, or too many")
        if self.standing is Standing.DENIED and (not self.votes or self.votes[-1].approves):
            raise MalformedApproval("denied by nobody")
        if self.standing in {Standing.APPROVED, Standing.USED} and (
            len(self.votes) < self.quorum or not all(vote.approves for vote in self.votes)
        ):
            raise MalformedApproval("approved by too few")


_TYPES: Final = (
    *(str, bytes, bytes, int, str, str, list),
    *(bytes, int, int, int, int, int, str, list, str),
)


def _risk(rows: list[Any]) -> Risk:
    """Tier and score follow from the fields, here as everywhere."""
    if len(rows) > FIELDS_MAX or any(tier not in list(Tier) for _, tier, _ in _parts(rows)):
        raise MalformedApproval("a risk that no call has")
    return Risk.of(Judged(name, Tier(tier), weight) for name, tier, weight in rows)


def _parts(rows: list[Any]) -> list[list[Any]]:
    return _rows(rows, (str, str, int))


def _rows(rows: list[Any], types: tuple[type, ...]) -> list[list[Any]]:
    """Lists of these types each."""
    for row in rows:
        if type(row) is not list or [type(value) for value in row] != list(types):
            raise MalformedApproval("a part or a vote has the wrong form")
    return rows


def storm(*, pending: int, denied_ms: Sequence[int], now_ms: int) -> str | None:
    """Why an agent may not ask now, or None.

    Args:
        pending: how many of its questions are open.
        denied_ms: when it was told no about this capability, since the last yes.
        now_ms: on the clock that never goes back.
    """
    if pending >= PENDING_PER_AGENT_MAX:
        return f"{pending} questions of this agent wait for a person already"
    recent = [at_ms for at_ms in denied_ms if now_ms - at_ms < MEMORY_MS]
    if recent:
        pause_ms = min(PAUSE_MS << min(len(recent) - 1, 16), PAUSE_MS_MAX)
        left_ms = max(recent) + pause_ms - now_ms
        if left_ms > 0:
            return f"denied {len(recent)} times; ask again in {-(-left_ms // 1_000)} s"
    return None
