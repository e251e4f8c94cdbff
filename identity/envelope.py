"""Envelopes: who says what, to whom, until when. The only place where their signatures are checked.

An envelope is a COSE_Sign1. Its protected header names algorithm, kind and author; its payload is a
map of nonce, audience or topic, times, what it answers, and a body that only its kind understands.
The network's name is signed and not sent. The id is never carried:

    id = SHA-256(0x00 ‖ Sig_structure)

which is also the leaf hash of the envelope in a Merkle log (RFC 6962 §2.1).
Spec, with every byte of an example: docs/spec/envelope.md.
"""

import enum
import functools
import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from identity import cbor, cose
from identity.did import PUBLIC_KEY_BYTES
from identity.errors import (
    EnvelopeTooLarge,
    Expired,
    FromTheFuture,
    MalformedCbor,
    MalformedCose,
    MalformedEnvelope,
    UnknownKind,
    WrongAudience,
)
from identity.keys import SignedFormat, SigningKey, verify

ENVELOPE_BYTES_MAX: Final = 60 * 1024  # one record of the transport holds it
SKEW_MS: Final = 5 * 60 * 1000  # how far an honest author's clock may be ahead of ours
TASK_LIFE_MS_MAX: Final = 7 * 24 * 3600 * 1000
GRANT_LIFE_MS_MAX: Final = 24 * 3600 * 1000
APPROVAL_LIFE_MS_MAX: Final = 25 * 3600 * 1000  # the longest question, and an hour for its end
QUESTION_LIFE_MS_MAX: Final = 3_600 * 1000
NONCE_BYTES: Final = 16
ID_BYTES: Final = 32
TOPIC_BYTES_MAX: Final = 255
NETWORK: Final = "akshi"  # the network's name unless the configuration has another

_NONCE, _AUDIENCE, _TOPIC, _ISSUED, _EXPIRES, _IN_REPLY_TO, _BODY = range(1, 8)
_ALGORITHM, _CONTENT_TYPE, _KEY_ID = 1, 3, 4  # RFC 9052 §3.1
_EDDSA: Final = -8  # RFC 9053 §2.2
_FIELDS: Final = frozenset(range(_NONCE, _BODY + 1))
_UINT_MAX: Final = (1 << 64) - 1


class Kind(enum.Enum):
    """What an envelope is for. The content type is application/akshi-<value>+cbor."""

    TASK = "task"
    RECEIPT = "receipt"
    PROGRESS = "progress"
    RESULT = "result"
    CANCEL = "cancel"
    CHECKPOINT = "checkpoint"
    ATTESTATION = "attestation"
    REVOCATION = "revocation"
    GRANT = "grant"
    APPROVAL_REQUEST = "approval-request"
    APPROVAL = "approval"
    RECONCILE = "reconcile"
    RECONCILED = "reconciled"

    # Members are one of a kind. Enum hashes their names, in Python, at each look-up.
    __hash__ = object.__hash__

    @property
    def content_type(self) -> str:
        return f"application/akshi-{self.value}+cbor"


class _Rule(NamedTuple):
    """What a kind asks of its payload."""

    direct: bool = False  # must name one audience, and never a topic
    answers: bool = False  # must say to which envelope it replies
    must_expire: bool = False
    never_expires: bool = False
    life_ms_max: int = _UINT_MAX


_RULES: Final = {
    Kind.TASK: _Rule(direct=True, must_expire=True, life_ms_max=TASK_LIFE_MS_MAX),
    Kind.RECEIPT: _Rule(direct=True),
    Kind.PROGRESS: _Rule(direct=True, answers=True),
    Kind.RESULT: _Rule(direct=True, answers=True),
    Kind.CANCEL: _Rule(direct=True, answers=True),
    Kind.CHECKPOINT: _Rule(),
    Kind.ATTESTATION: _Rule(must_expire=True),
    Kind.REVOCATION: _Rule(never_expires=True),
    Kind.GRANT: _Rule(direct=True, must_expire=True, life_ms_max=GRANT_LIFE_MS_MAX),
    Kind.APPROVAL_REQUEST: _Rule(direct=True, must_expire=True, life_ms_max=APPROVAL_LIFE_MS_MAX),
    Kind.APPROVAL: _Rule(direct=True, must_expire=True, life_ms_max=APPROVAL_LIFE_MS_MAX),
    Kind.RECONCILE: _Rule(direct=True, must_expire=True, life_ms_max=QUESTION_LIFE_MS_MAX),
    Kind.RECONCILED: _Rule(direct=True, answers=True),
}


def _protected_before_key(kind: Kind) -> bytes:
    """The protected header of `kind` up to the author's key, which ends it."""
    header = cbor.dumps(
        {_ALGORITHM: _EDDSA, _CONTENT_TYPE: kind.content_type, _KEY_ID: bytes(PUBLIC_KEY_BYTES)}
    )
    return header[:-PUBLIC_KEY_BYTES]


# There is one encoding of a protected header, so it is compared and not decoded.
_HEADERS: Final = {kind: _protected_before_key(kind) for kind in Kind}
_KINDS: Final = {header: kind for kind, header in _HEADERS.items()}


class Header(NamedTuple):
    """What can be read of an envelope before anything is verified."""

    kind: Kind
    author: bytes


class Unopened(NamedTuple):
    """An envelope cut into its parts: the header was read, nothing is verified."""

    header: Header
    parts: cose.Sign1
    data: bytes


class Envelope(NamedTuple):
    """A verified envelope; `author` is proven, `body` is bytes nobody has looked at."""

    id: bytes
    author: bytes
    kind: Kind
    nonce: bytes
    audience: bytes | None
    topic: str | None
    issued_ms: int
    expires_ms: int | None
    in_reply_to: bytes | None
    body: bytes
    raw: bytes


class _Payload(NamedTuple):
    nonce: bytes
    audience: bytes | None
    topic: str | None
    issued_ms: int
    expires_ms: int | None
    in_reply_to: bytes | None
    body: bytes


def seal(
    key: SigningKey,
    *,
    kind: Kind,
    body: bytes,
    network: str,
    nonce: bytes,
    issued_ms: int,
    expires_ms: int | None = None,
    audience: bytes | None = None,
    topic: str | None = None,
    in_reply_to: bytes | None = None,
) -> bytes:
    """Sign an envelope.

    `nonce` is 16 random bytes, never used twice by one author. Times are wall clock, ms since
    1970-01-01 UTC. `audience` is the public key of the one reader, or else `topic` may be given;
    `in_reply_to` is the id of the envelope that this one answers.

    Raises:
        MalformedEnvelope: the fields break the rules of `kind`.
        EnvelopeTooLarge: more than ENVELOPE_BYTES_MAX; put the body into a blob.

    Cost: one Ed25519 signature, about 25 µs.
    """
    return seal_with_id(
        key,
        kind=kind,
        body=body,
        network=network,
        nonce=nonce,
        issued_ms=issued_ms,
        expires_ms=expires_ms,
        audience=audience,
        topic=topic,
        in_reply_to=in_reply_to,
    )[1]


def seal_with_id(
    key: SigningKey,
    *,
    kind: Kind,
    body: bytes,
    network: str,
    nonce: bytes,
    issued_ms: int,
    expires_ms: int | None = None,
    audience: bytes | None = None,
    topic: str | None = None,
    in_reply_to: bytes | None = None,
) -> tuple[bytes, bytes]:
    """As `seal`; the id of the envelope and its bytes. The id costs 1 µs here, 5 µs later."""
    fields = {
        _NONCE: nonce,
        _AUDIENCE: audience,
        _TOPIC: topic,
        _ISSUED: issued_ms,
        _EXPIRES: expires_ms,
        _IN_REPLY_TO: in_reply_to,
        _BODY: body,
    }
    present = {field: value for field, value in fields.items() if value is not None}
    _check_payload(kind, present)
    protected_item = cose.byte_string(_HEADERS[kind] + key.public_key)
    payload_item = cose.byte_string(cbor.dumps(cast("cbor.Value", present)))
    signed = cose.to_be_signed(protected_item, _aad_item(network), payload_item)
    data = cose.join(protected_item, payload_item, key.sign_as(SignedFormat.COSE, signed))
    if len(data) > ENVELOPE_BYTES_MAX:
        raise EnvelopeTooLarge(len(data), bytes_max=ENVELOPE_BYTES_MAX)
    return _leaf_hash(signed), data


def peek(data: bytes) -> Header:
    """The kind and the claimed author; the structure is checked, nothing is verified.

    Raises:
        MalformedEnvelope, EnvelopeTooLarge, UnknownKind.

    Cost: 2 µs.
    """
    return unopened(data).header


def unopened(data: bytes) -> Unopened:
    """The same look, for who may want to open it next: it is cut only once. Raises as `peek`."""
    parts = _split(data)
    return Unopened(_read_header(parts.protected), parts, data)


def envelope_id(data: bytes, *, network: str) -> bytes:
    """SHA-256(0x00 ‖ Sig_structure) of an envelope whose signature nobody has checked yet.

    Raises:
        MalformedEnvelope, EnvelopeTooLarge.
    """
    parts = _split(data)
    signed = cose.to_be_signed(parts.protected_item, _aad_item(network), parts.payload_item)
    return _leaf_hash(signed)


def open_envelope(
    data: bytes | Unopened, *, network: str, me: bytes | None, now_ms: int, clock_high_ms: int = 0
) -> Envelope:
    """Check `data` in full and return what its author signed.

    Args:
        data: 1 to ENVELOPE_BYTES_MAX bytes, or what `unopened` made of them.
        network: the name of our network; an envelope of another one has a bad signature here.
        me: our own public key; None only where envelopes with an audience are refused.
        now_ms: wall clock, ms since 1970-01-01 UTC.
        clock_high_ms: the highest wall clock ever stored: a clock set back revives nothing.

    Raises, in the order in which it looks:
        EnvelopeTooLarge, MalformedEnvelope: size and outer array. Drop the link.
        UnknownKind: a content type that is not ours. May be a newer node.
        BadSignature: the author did not sign these bytes for this network. Drop the link.
        MalformedEnvelope: a payload that breaks the rules of its kind. Drop the link.
        WrongAudience, Expired, FromTheFuture: see there. Keep the link.

    Cost: one Ed25519 verification and 12 µs; no I/O.
    """
    (kind, author), parts, raw = data if type(data) is Unopened else unopened(cast("bytes", data))
    signed = cose.to_be_signed(parts.protected_item, _aad_item(network), parts.payload_item)
    verify(author, signed, parts.signature)
    payload = _read_payload(kind, parts.payload)
    if payload.audience is not None and payload.audience != me:
        raise WrongAudience(payload.audience)
    if payload.expires_ms is not None and payload.expires_ms <= max(now_ms, clock_high_ms):
        raise Expired(payload.expires_ms, now_ms=max(now_ms, clock_high_ms))
    if payload.issued_ms > now_ms + SKEW_MS:
        raise FromTheFuture(payload.issued_ms, now_ms=now_ms)
    return Envelope(_leaf_hash(signed), author, kind, *payload, raw)


def _split(data: bytes) -> cose.Sign1:
    if len(data) > ENVELOPE_BYTES_MAX:
        raise EnvelopeTooLarge(len(data), bytes_max=ENVELOPE_BYTES_MAX)
    try:
        return cose.split(data)
    except MalformedCose as failure:
        raise MalformedEnvelope(failure.why) from failure


def _read_header(protected: bytes) -> Header:
    kind = _KINDS.get(protected[:-PUBLIC_KEY_BYTES])
    if kind is None:
        raise _why_not_a_header(protected)
    return Header(kind, protected[-PUBLIC_KEY_BYTES:])


def _why_not_a_header(protected: bytes) -> MalformedEnvelope | UnknownKind:
    """The slow way, for the refusal: is it a header at all, and only its kind unknown?"""
    try:
        header = cbor.loads(protected)
    except MalformedCbor as failure:
        return MalformedEnvelope(f"protected header: {failure.why}")
    if type(header) is not dict or list(header) != [_ALGORITHM, _CONTENT_TYPE, _KEY_ID]:
        return MalformedEnvelope("the protected header must be {1, 3, 4}")
    if header[_ALGORITHM] != _EDDSA:
        return MalformedEnvelope("the algorithm must be -8, eddsa")
    key_id, content_type = header[_KEY_ID], header[_CONTENT_TYPE]
    if type(key_id) is not bytes or len(key_id) != PUBLIC_KEY_BYTES:
        return MalformedEnvelope("the key id must be a public key of 32 bytes")
    if type(content_type) is not str:
        return MalformedEnvelope("the content type must be text")
    return UnknownKind(content_type)


def _read_payload(kind: Kind, data: bytes) -> _Payload:
    try:
        fields = cbor.loads(data, size_max=ENVELOPE_BYTES_MAX)
    except MalformedCbor as failure:
        raise MalformedEnvelope(f"payload: {failure.why}") from failure
    if type(fields) is not dict:
        raise MalformedEnvelope("the payload must be a map")
    return _check_payload(kind, fields)


def _check_payload(kind: Kind, fields: Mapping[Any, object]) -> _Payload:
    """What every payload must be, then what this kind asks."""
    if not _FIELDS.issuperset(fields) or None in fields.values():
        raise MalformedEnvelope("a field that is not one of 1 to 7, or is null")
    get = fields.get
    nonce, body, issued_ms = get(_NONCE), get(_BODY), get(_ISSUED)
    if type(nonce) is not bytes or len(nonce) != NONCE_BYTES:
        raise MalformedEnvelope("the nonce must be 16 bytes")
    if type(body) is not bytes:
        raise MalformedEnvelope("the body must be bytes")
    if type(issued_ms) is not int or not 0 <= issued_ms <= _UINT_MAX:
        raise MalformedEnvelope("the time of issue must be an unsigned integer")
    audience, topic = get(_AUDIENCE), get(_TOPIC)
    if audience is not None and (type(audience) is not bytes or len(audience) != PUBLIC_KEY_BYTES):
        raise MalformedEnvelope("the audience must be a public key of 32 bytes")
    if topic is not None and not _is_topic(topic):
        raise MalformedEnvelope(f"the topic must be 1 to {TOPIC_BYTES_MAX} bytes of text")
    expires_ms, in_reply_to = get(_EXPIRES), get(_IN_REPLY_TO)
    if expires_ms is not None and (
        type(expires_ms) is not int or not issued_ms < expires_ms <= _UINT_MAX
    ):
        raise MalformedEnvelope("it must expire after its time of issue")
    if in_reply_to is not None and (type(in_reply_to) is not bytes or len(in_reply_to) != ID_BYTES):
        raise MalformedEnvelope("what it replies to must be an id of 32 bytes")
    payload = _Payload(
        nonce, audience, cast("str | None", topic), issued_ms, expires_ms, in_reply_to, body
    )
    _check_rule(kind, payload)
    return payload


def _check_rule(kind: Kind, payload: _Payload) -> None:
    rule = _RULES[kind]
    if payload.topic is not None and (rule.direct or payload.audience is not None):
        raise MalformedEnvelope("an audience or a topic, not both")
    if rule.direct and payload.audience is None:
        raise MalformedEnvelope(f"a {kind.value} must name its audience")
    if rule.answers and payload.in_reply_to is None:
        raise MalformedEnvelope(f"a {kind.value} must say what it replies to")
    if payload.expires_ms is None:
        if rule.must_expire:
            raise MalformedEnvelope(f"a {kind.value} must expire")
    elif rule.never_expires:
        raise MalformedEnvelope(f"a {kind.value} must not expire")
    elif payload.expires_ms - payload.issued_ms > rule.life_ms_max:
        raise MalformedEnvelope(f"a {kind.value} lives at most {rule.life_ms_max} ms")


def _is_topic(topic: object) -> bool:
    return type(topic) is str and 0 < len(topic.encode()) <= TOPIC_BYTES_MAX


@functools.lru_cache(maxsize=8)  # a process lives in one network; tests in a few
def _aad_item(network: str) -> bytes:
    """The signed and never sent array ["akshi-mesh/envelope", 1, network], as a byte string."""
    return cose.byte_string(_external_aad(network))


def _external_aad(network: str) -> bytes:
    return cbor.dumps(["akshi-mesh/envelope", 1, network])


def _leaf_hash(signed: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + signed).digest()
