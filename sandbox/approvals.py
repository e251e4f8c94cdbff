"""What a person is asked before an agent acts, and what the answer binds to.

    ApprovalRule   when a capability needs a person
    Subject        exactly what would happen; its hash is what an approval is good for
    Question       a subject with what a person needs to judge it
    Decision       how a question ended, for whoever waits

Everything that could make another act of it is in the subject: change one byte of
the request, the module, the policy, a secret's name, the price or the chain of who
asked, and the hash is another one. Long texts are cut with their digest, so a subject
stays small and still names all of what it was made of.

The life of an approval is in `sandbox.approval_life`. Spec: docs/spec/approvals.md.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, get_args

from identity import cbor
from identity.errors import IdentityError
from sandbox.capability import Capability
from sandbox.errors import MalformedApproval
from sandbox.risk import FIELDS_MAX, Risk, Tier

HASH_BYTES: Final = 32
TEXT_BYTES_MAX: Final = 256  # of one text in a subject; longer ones are cut with their digest
_HEAD_BYTES: Final = 176  # what is kept of such a text, beside its 64 hex digits
CHAIN_MAX: Final = 4  # hops of a task, as everywhere
SECRETS_MAX: Final = 16  # names in a subject; of more, the last is the digest of all
RECORD_BYTES_MAX: Final = 32 * 1024  # beyond what all these limits allow together
SHOWN_BYTES_MAX: Final = 4_096  # of a request; what is longer is judged by its digest and start
TIMEOUT_S_DEFAULT: Final = 300
TIMEOUT_S_MAX: Final = 24 * 3_600
QUORUM_MAX: Final = 9
_SUBJECT_LABEL: Final = b"akshi-mesh/approval-subject/1\0"
_NONCE_LABEL: Final = b"akshi-nonce 1"  # a BLAKE2b personalisation has at most 16 bytes

When = Literal["always", "medium", "high", "never"]


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """When a capability of an agent needs a person, how long one is waited for, and how many.

    >>> ApprovalRule("high").asks("medium")
    False
    """

    when: When = "high"
    timeout_s: int = TIMEOUT_S_DEFAULT
    quorum: int = 1

    def __post_init__(self) -> None:
        if self.when not in get_args(When):
            raise MalformedApproval(f"when: want one of {', '.join(get_args(When))}")
        if type(self.timeout_s) is not int or not 1 <= self.timeout_s <= TIMEOUT_S_MAX:
            raise MalformedApproval(f"timeout_s: want 1 to {TIMEOUT_S_MAX}")
        if type(self.quorum) is not int or not 1 <= self.quorum <= QUORUM_MAX:
            raise MalformedApproval(f"quorum: want 1 to {QUORUM_MAX}")

    def asks(self, tier: str) -> bool:
        """Whether an act of this tier waits for a person; a tier nobody knows counts as high."""
        if self.when in {"always", "never"}:
            return self.when == "always"
        rank = Tier(tier).rank if tier in list(Tier) else Tier.HIGH.rank
        return rank >= Tier(self.when).rank


# What holds where nothing is written: acts of high risk need a person.
RULE_DEFAULT: Final = ApprovalRule()


def nonce_of(task_id: bytes, number: int) -> bytes:
    """The nonce of call `number` of a task: the same for each attempt, for no other call."""
    digest = hashlib.blake2b(task_id, digest_size=HASH_BYTES, person=_NONCE_LABEL)
    digest.update(number.to_bytes(8, "big"))
    return digest.digest()


def digest_of(data: bytes) -> bytes:
    """How a request and a body stand in a subject: SHA-256 of exactly the bytes to be sent."""
    return hashlib.sha256(data).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Exactly what an approval is good for.

    Attributes:
        module_cid: of the component that asks, as the node computed it.
        request_hash: `digest_of` the canonical request.
        body_hash: `digest_of` the body that goes with it; empty if there is none.
        secret_names: of what would be put in; never a value.
        originator, chain: on whose behalf, and through whom, oldest first.
        policy_hash: of the configuration that was in force.
        price: the most that it may cost, as text, or empty.
        nonce: `nonce_of` the task and the call.
    """

    agent: str
    agent_did: str
    module_cid: str
    capability: Capability
    function: str
    request_hash: bytes
    body_hash: bytes = b""
    secret_names: tuple[str, ...] = ()
    originator: str
    chain: tuple[str, ...] = ()
    policy_hash: bytes
    price: str = ""
    payee: str = ""
    nonce: bytes

    def __post_init__(self) -> None:
        for name in ("agent", "agent_did", "module_cid", "function", "originator"):
            object.__setattr__(self, name, bounded(getattr(self, name)))
        for name in ("price", "payee"):
            object.__setattr__(self, name, bounded(getattr(self, name)))
        object.__setattr__(self, "secret_names", _few(tuple(map(bounded, self.secret_names))))
        object.__setattr__(self, "chain", tuple(map(bounded, self.chain)))
        if len(self.chain) > CHAIN_MAX:
            raise MalformedApproval("more hops than a task can have")
        if any(len(value) != HASH_BYTES for value in (self.request_hash, self.nonce)):
            raise MalformedApproval(f"request hash and nonce have {HASH_BYTES} bytes")
        for value in (self.body_hash, self.policy_hash):
            if len(value) not in {0, HASH_BYTES}:
                raise MalformedApproval(f"a hash has {HASH_BYTES} bytes")

    def to_cbor(self) -> bytes:
        """The canonical bytes; equal subjects have equal bytes."""
        return cbor.dumps(
            {
                1: self.agent,
                2: self.agent_did,
                3: self.module_cid,
                4: self.capability.value,
                5: self.function,
                6: self.request_hash,
                7: self.body_hash,
                8: list(self.secret_names),
                9: self.originator,
                10: list(self.chain),
                11: self.policy_hash,
                12: self.price,
                13: self.payee,
                14: self.nonce,
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
        secrets, chain = fields[7], fields[9]
        if any(type(text) is not str for text in (*secrets, *chain)):
            raise MalformedApproval("a name or a hop is not text")
        if fields[3] not in list(Capability):
            raise MalformedApproval("no such capability")
        subject = cls(
            agent=fields[0],
            agent_did=fields[1],
            module_cid=fields[2],
            capability=Capability(fields[3]),
            function=fields[4],
            request_hash=fields[5],
            body_hash=fields[6],
            secret_names=tuple(secrets),
            originator=fields[8],
            chain=tuple(chain),
            policy_hash=fields[10],
            price=fields[11],
            payee=fields[12],
            nonce=fields[13],
        )
        if subject.to_cbor() != data:
            raise MalformedApproval("a text that is longer than it may be")
        return subject

    @property
    def hash(self) -> bytes:
        """What an approval binds to: SHA-256 of a label and the canonical bytes."""
        return hashlib.sha256(_SUBJECT_LABEL + self.to_cbor()).digest()


_TYPES: Final = (*(str, str, str, str, str, bytes, bytes, list, str, list, bytes, str, str, bytes),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One act that waits for a person.

    Attributes:
        request: the canonical request whose digest the subject names.
        summary: one line for people, such as `GET https://api.example.com/prices`.
        risk: tier and score, with the fields that explain them.
        task_id, number: of the call; with the subject they find the same question again.
    """

    subject: Subject
    request: bytes
    summary: str
    target: str = ""
    risk: Risk
    timeout_s: int = TIMEOUT_S_DEFAULT
    quorum: int = 1
    task_id: bytes
    number: int

    def __post_init__(self) -> None:
        assert digest_of(self.request) == self.subject.request_hash, "another request's subject"
        assert nonce_of(self.task_id, self.number) == self.subject.nonce, "another call's subject"
        object.__setattr__(self, "summary", bounded(self.summary))
        object.__setattr__(self, "target", bounded(self.target))
        assert len(self.risk.fields) <= FIELDS_MAX, "a call has no more fields"


@dataclass(frozen=True, slots=True)
class Approved:
    """Enough operators said yes; `id` is what `consume` wants."""

    id: str


@dataclass(frozen=True, slots=True)
class Denied:
    """An operator said no; `note` is theirs, made for the guest to read."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Nobody, or too few, answered in time."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The question was taken back while it was open."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class TooMany:
    """The agent may not ask now: too many questions are open, or it was told no just now."""

    why: str


Decision = Approved | Denied | TimedOut | Withdrawn | TooMany


def bounded(text: str) -> str:
    """`text`, or the start of a long one with the digest of the whole; also what is not Unicode.

    >>> bounded("short")
    'short'
    """
    data = text.encode(errors="backslashreplace")
    if len(data) <= TEXT_BYTES_MAX:
        return data.decode()
    head = data[:_HEAD_BYTES].decode(errors="ignore")
    return f"{head}… sha256:{hashlib.sha256(data).hexdigest()}"


def _few(names: tuple[str, ...]) -> tuple[str, ...]:
    """`names`, or the first of many with the digest of all."""
    if len(names) <= SECRETS_MAX:
        return names
    digest = hashlib.sha256(cbor.dumps(list(names))).hexdigest()
    return (*names[: SECRETS_MAX - 1], f"{len(names)} in all, sha256:{digest}")


def fields_of(data: bytes, *, count: int) -> list[Any]:
    """The values of a map whose keys are 1 to `count`.

    Raises:
        MalformedApproval: anything else.
    """
    try:
        fields: Any = cbor.loads(data, size_max=RECORD_BYTES_MAX)
    except IdentityError as malformed:
        raise MalformedApproval(str(malformed)) from malformed
    if type(fields) is not dict or list(fields) != list(range(1, count + 1)):
        raise MalformedApproval(f"want a map with the keys 1 to {count}")
    return list(fields.values())
