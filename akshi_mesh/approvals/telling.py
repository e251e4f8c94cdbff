"""The asking side: operators on other nodes are told what waits, and their answers are taken.

Each operator that is linked is told of a question when it is asked and whenever it changes;
who links later is told what is open then. What a full link does not take is owed and told
when it has room. An answer counts only if its signature is the operator's own, it names this
node, this question and this subject, and comes in time; then the news of it goes to all.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

import structlog

from akshi_mesh.approvals.desk import ApprovalDesk
from akshi_mesh.approvals.errors import NotAnOperator, UnknownApproval
from akshi_mesh.approvals.message import Answer, News
from identity.did import Did
from identity.envelope import Envelope, Kind
from sandbox.approval_life import Approval
from sandbox.errors import AlreadyVoted, ApprovalClosed, MalformedApproval, OtherSubject

RECENT_MAX: Final = 64  # closed questions that somebody who links late is told of
RECENT_MS: Final = 3_600_000
NEWS_LIFE_MS: Final = 3_600_000  # beyond the end of the question

log = structlog.get_logger()


class Post(Protocol):
    """How this node signs something for one peer, and sends it."""

    def __call__(self, peer: bytes, kind: Kind, body: bytes, *, expires_ms: int) -> bool:
        """False if there is no link or it is full."""


class Telling:
    """What operators elsewhere are told, and what they say."""

    def __init__(
        self, desk: ApprovalDesk, post: Post, *, operators: Callable[[], Iterable[bytes]]
    ) -> None:
        """`operators` are the public keys of those who may answer now."""
        self._desk = desk
        self._post = post
        self._operators = operators
        self._linked: set[bytes] = set()
        # By operator: what it is to be told yet, and why its last answer did not count.
        self._owed: dict[bytes, dict[str, str]] = {}
        desk.listen(self._changed)

    def greet(self, peer: bytes) -> None:
        """A link came up."""
        self._linked.add(peer)
        if peer not in self._operators():
            return
        since_ms = self._desk.now_ms() - RECENT_MS
        recent = self._desk.table.closed(limit=RECENT_MAX)
        rows = [*self._desk.table.open(), *(row for row in recent if row.changed_ms > since_ms)]
        self._owed[peer] = {row.id: "" for row in rows}
        self.go_on(peer)

    def part(self, peer: bytes) -> None:
        """Its link has ended."""
        self._linked.discard(peer)
        self._owed.pop(peer, None)

    def go_on(self, peer: bytes) -> None:
        """Tell a peer whose link has room what it was not told yet."""
        owed = self._owed.get(peer, {})
        while owed:
            id = next(iter(owed))
            row = self._desk.table.readable(id)
            if row is not None and not self._send(peer, News(row, owed[id])):
                return
            del owed[id]

    def take(self, peer: bytes, envelope: Envelope) -> str | None:
        """Take the answer of `peer`, whose signature was checked. Why it does not count, or None.

        The reasons are few, since they are counted by their text; the sender gets the exact one.

        Raises:
            MalformedAnswer: no correct node sends this.
            StoreError, AuditUnavailable: it could not be kept; it comes again.
        """
        answer, operator = Answer.from_cbor(envelope.body), str(Did(peer))
        before = self._desk.table.readable(answer.approval)
        try:
            self._desk.vote(
                answer.approval,
                operator,
                approves=answer.approves,
                subject=answer.subject,
                note=answer.note,
            )
        except NotAnOperator:
            return "an approval of somebody who is no operator of this node"
        except (UnknownApproval, MalformedApproval):
            return "an approval of a question that is not here"
        except (AlreadyVoted, OtherSubject, ApprovalClosed) as refusal:
            # An answer that comes twice has counted once, and its sender wants to hear that.
            is_repeat = before is not None and _has_said(before, operator, answer)
            why = "" if is_repeat else str(refusal)
            self._owed.setdefault(peer, {})[answer.approval] = why
            self.go_on(peer)
            return "an approval that is late, double or about something else" if why else None
        log.info("approval.answered", approval=answer.approval, by=operator)
        return None

    def _changed(self, approval: Approval) -> None:
        for peer in self._operators():
            if peer in self._linked:
                self._owed.setdefault(peer, {})[approval.id] = ""
                self.go_on(peer)

    def _send(self, peer: bytes, news: News) -> bool:
        end_ms = max(news.approval.expires_ms, self._desk.now_ms()) + NEWS_LIFE_MS
        return self._post(peer, Kind.APPROVAL_REQUEST, news.to_cbor(), expires_ms=end_ms)


def _has_said(row: Approval, operator: str, answer: Answer) -> bool:
    return answer.subject == row.subject.hash and any(
        vote.operator == operator and vote.approves == answer.approves for vote in row.votes
    )
