"""What two nodes say to each other about one question: the bodies of two envelope kinds.

    asking node ── approval-request: News ──▶ operator's node
    asking node ◀── approval: Answer ──────── operator's node

A question is told as it stands, and told again whenever it has changed; so the answer to an
answer is the next news. Spec, with every byte of an example: docs/spec/approvals.md.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

from akshi_mesh.approvals.errors import MalformedAnswer
from identity import cbor
from identity.did import Did
from identity.errors import IdentityError, MalformedCbor
from sandbox.approval_life import ID_PATTERN, Approval
from sandbox.approvals import HASH_BYTES, TEXT_BYTES_MAX, TIMEOUT_S_MAX, bounded
from sandbox.errors import MalformedApproval

NEWS_BYTES_MAX: Final = 40 * 1024  # a record, and why an answer did not count


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operator decided, for exactly one subject on exactly one node.

    The node is the audience of the envelope, the time until which the answer counts its expiry.
    """

    approval: str
    subject: bytes
    approves: bool
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "note", bounded(self.note))

    def to_cbor(self) -> bytes:
        return cbor.dumps({1: self.approval, 2: self.subject, 3: self.approves, 4: self.note})

    @classmethod
    def from_cbor(cls, data: bytes) -> Self:
        """Read a body.

        Raises:
            MalformedAnswer: not what `to_cbor` writes.
        """
        id, subject, approves, note = _fields(data, (str, bytes, bool, str))
        if not ID_PATTERN.fullmatch(id) or len(subject) != HASH_BYTES:
            raise MalformedAnswer("an id or a hash of the wrong form")
        if len(note.encode()) > TEXT_BYTES_MAX:
            raise MalformedAnswer("a note that is too long")
        return cls(id, subject, approves, note)


@dataclass(frozen=True, slots=True)
class News:
    """A question as it stands on the node that asks.

    `refusal` says why the reader's last answer did not count, and is empty otherwise.
    """

    approval: Approval
    refusal: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "refusal", bounded(self.refusal))

    def to_cbor(self) -> bytes:
        return cbor.dumps({1: self.approval.to_cbor(), 2: self.refusal})

    @classmethod
    def from_cbor(cls, data: bytes) -> Self:
        """Read a body.

        Raises:
            MalformedAnswer: not what `to_cbor` writes, or what no correct node asks.
        """
        record, refusal = _fields(data, (bytes, str))
        try:
            approval = Approval.from_cbor(record)
        except MalformedApproval as malformed:
            raise MalformedAnswer(malformed.why) from malformed
        if approval.expires_ms - approval.asked_ms > TIMEOUT_S_MAX * 1_000:
            raise MalformedAnswer("a question that lives too long")
        try:
            for vote in approval.votes:
                Did.parse(vote.operator)
        except IdentityError as malformed:
            raise MalformedAnswer("a vote of nobody") from malformed
        return cls(approval, refusal)


def _fields(data: bytes, types: tuple[type, ...]) -> list[Any]:
    try:
        fields: Any = cbor.loads(data, size_max=NEWS_BYTES_MAX)
    except MalformedCbor as malformed:
        raise MalformedAnswer(malformed.why) from malformed
    if type(fields) is not dict or list(fields) != list(range(1, len(types) + 1)):
        raise MalformedAnswer(f"want a map with the keys 1 to {len(types)}")
    if any(type(value) is not kind for value, kind in zip(fields.values(), types, strict=True)):
        raise MalformedAnswer("a field has the wrong type")
    return list(fields.values())
