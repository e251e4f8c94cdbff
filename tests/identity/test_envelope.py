"""Envelopes: sealed and opened, and every byte and every field of every kind changed once."""

import hashlib
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import Kind, SigningKey, cbor, cose, envelope
from identity.envelope import ENVELOPE_BYTES_MAX, SKEW_MS, TASK_LIFE_MS_MAX, open_envelope, seal
from identity.errors import (
    BadSignature,
    EnvelopeTooLarge,
    Expired,
    FromTheFuture,
    IdentityError,
    MalformedEnvelope,
    UnknownKind,
    WrongAudience,
)
from tests.identity.signing import sign1
from tests.strategies import (
    ANSWERS,
    DIRECT,
    LIVES_MS,
    key_of,
    networks,
    sealed_fields,
    signing_keys,
)

AUTHOR, ME, OTHER = key_of(1), key_of(2), key_of(3)
NOW_MS = 1_800_000_000_000
NETWORK = "akshi"
AAD = cbor.dumps(["akshi-mesh/envelope", 1, NETWORK])


def fields_of(kind: Kind) -> dict[int, Any]:
    """The payload of a full envelope of `kind`, as a map that a test can spoil."""
    fields: dict[int, Any] = {1: b"n" * 16, 4: NOW_MS, 7: b"body"}
    if kind is not Kind.REVOCATION:
        fields[5] = NOW_MS + 60_000
    if kind in DIRECT:
        fields[2] = ME.public_key
    else:
        fields[3] = "topic"
    if kind in ANSWERS:
        fields[6] = b"i" * 32
    return fields


def header_of(kind: Kind, author: SigningKey = AUTHOR) -> dict[int, Any]:
    return {1: -8, 3: kind.content_type, 4: author.public_key}


def signed(header: bytes | dict[int, Any], payload: bytes | dict[int, Any]) -> bytes:
    """An envelope whose signature is good, whatever it says: made by an author who cheats."""
    head, content = (i if isinstance(i, bytes) else cbor.dumps(i) for i in (header, payload))
    return sign1(AUTHOR, protected=head, payload=content, external_aad=AAD)


def opened(data: bytes, *, now_ms: int = NOW_MS, high: int = 0) -> envelope.Envelope:
    return open_envelope(data, network=NETWORK, me=ME.public_key, now_ms=now_ms, clock_high_ms=high)


@given(signing_keys, networks, sealed_fields())
def test_what_was_sealed_is_opened(
    author: SigningKey, network: str, fields: dict[str, Any]
) -> None:
    data = seal(author, network=network, **fields)
    now_ms = fields["issued_ms"]
    found = open_envelope(data, network=network, me=fields.get("audience"), now_ms=now_ms)
    assert found == envelope.Envelope(
        id=envelope.envelope_id(data, network=network),
        author=author.public_key,
        kind=fields["kind"],
        nonce=fields["nonce"],
        audience=fields.get("audience"),
        topic=fields.get("topic"),
        issued_ms=now_ms,
        expires_ms=fields.get("expires_ms"),
        in_reply_to=fields.get("in_reply_to"),
        body=fields["body"],
        raw=data,
    )
    assert envelope.peek(data) == (found.kind, found.author)


def test_the_id_is_the_leaf_hash_of_the_signed_bytes() -> None:
    data = signed(header_of(Kind.TASK), fields_of(Kind.TASK))
    protected, _, payload, _ = cbor2.loads(data).value
    structure = cbor2.dumps(["Signature1", protected, AAD, payload])
    assert opened(data).id == hashlib.sha256(b"\x00" + structure).digest()


def test_the_network_is_signed() -> None:
    data = signed(header_of(Kind.TASK), fields_of(Kind.TASK))
    with pytest.raises(BadSignature):
        open_envelope(data, network="other", me=ME.public_key, now_ms=NOW_MS)
    assert envelope.envelope_id(data, network="other") != opened(data).id


# --- what was sent is changed on its way ----------------------------------------------------------


def expected(data: bytes, at: int) -> set[type[IdentityError]]:
    """Which refusals fit a change of the byte at `at`."""
    parts = cose.split(data)
    header_at = 2 + len(parts.protected_item) - len(parts.protected)
    payload_item_at = 2 + len(parts.protected_item) + 1
    payload_at = payload_item_at + len(parts.payload_item) - len(parts.payload)
    key_at = header_at + len(parts.protected) - 32
    text_at = header_at + 3 + 1 + 2  # {1: -8, 3: and the two bytes before a text of 24 to 255
    if header_at <= at < key_at:
        in_text = text_at <= at < key_at - 3
        return {MalformedEnvelope, UnknownKind} if in_text else {MalformedEnvelope}
    if key_at <= at < key_at + 32 or payload_at <= at < payload_at + len(parts.payload):
        return {BadSignature}
    return {BadSignature} if at >= len(data) - 64 else {MalformedEnvelope}


@pytest.mark.parametrize("kind", Kind)
def test_every_byte_changed_once_is_refused_with_the_right_error(kind: Kind) -> None:
    data = signed(header_of(kind), fields_of(kind))
    opened(data)
    for at in range(len(data)):
        for flip in (0x01, 0x20, 0x80):
            changed = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
            with pytest.raises(IdentityError) as refused:
                opened(changed)
            assert type(refused.value) in expected(data, at), f"byte {at} ^ {flip:#x}"


@pytest.mark.parametrize("kind", Kind)
def test_every_byte_dropped_or_doubled_is_refused(kind: Kind) -> None:
    data = signed(header_of(kind), fields_of(kind))
    for at in range(len(data)):
        for changed in (data[:at] + data[at + 1 :], data[: at + 1] + data[at:], data[:at]):
            if changed != data:
                with pytest.raises((MalformedEnvelope, BadSignature)):
                    opened(changed)


@pytest.mark.parametrize("kind", Kind)
def test_a_signature_does_not_move_to_another_kind(kind: Kind) -> None:
    parts = cose.split(signed(header_of(kind), fields_of(kind)))
    for other in Kind:
        protected = cose.byte_string(cbor.dumps(header_of(other)))
        forged = b"\xd2\x84" + protected + b"\xa0" + parts.payload_item + b"\x58\x40"
        if other is not kind:
            with pytest.raises(BadSignature):
                opened(forged + parts.signature)


# --- the author cheats, and signs it --------------------------------------------------------------

WRONG_VALUES: dict[int, list[Any]] = {
    1: [None, b"", b"n" * 15, b"n" * 17, "n" * 16, 5, [b"n" * 16]],
    2: [None, b"", b"k" * 31, b"k" * 33, "k" * 32, 5],
    3: [None, "", "t" * 256, "ü" * 128, b"topic", 5],
    4: [None, -1, "0", b"\x00", True, [0]],
    5: [None, -1, 0, NOW_MS, NOW_MS - 1, True, "0", {}],
    6: [None, b"", b"i" * 31, b"i" * 33, "i" * 32, 5],
    7: [None, "body", 5, [], {}],
}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("field", WRONG_VALUES)
def test_every_field_of_another_type_or_size_is_refused(kind: Kind, field: int) -> None:
    for wrong in WRONG_VALUES[field]:
        with pytest.raises(MalformedEnvelope):
            opened(signed(header_of(kind), {**fields_of(kind), field: wrong}))


REQUIRED = {
    kind: {1, 4, 7}
    | ({2} if kind in DIRECT else set())
    | ({5} if kind in (Kind.TASK, Kind.ATTESTATION, *LIVES_MS) else set())
    | ({6} if kind in ANSWERS else set())
    for kind in Kind
}


@pytest.mark.parametrize("kind", Kind)
def test_what_a_kind_requires_cannot_be_left_out(kind: Kind) -> None:
    for field in fields_of(kind):
        less = {name: value for name, value in fields_of(kind).items() if name != field}
        data = signed(header_of(kind), less)
        if field in REQUIRED[kind]:
            with pytest.raises(MalformedEnvelope):
                opened(data)
        else:
            opened(data)


@pytest.mark.parametrize("kind", Kind)
def test_nothing_can_be_added(kind: Kind) -> None:
    for field in (0, 8, 1 << 63):
        with pytest.raises(MalformedEnvelope, match="a field that is not one of"):
            opened(signed(header_of(kind), {**fields_of(kind), field: 0}))
    both = {**fields_of(kind), 2: ME.public_key, 3: "topic"}
    with pytest.raises(MalformedEnvelope, match="not both"):
        opened(signed(header_of(kind), both))
    with pytest.raises(MalformedEnvelope):
        opened(signed(header_of(kind), {str(name): 0 for name in fields_of(kind)}))


def test_a_direct_kind_has_no_topic_and_a_revocation_no_end() -> None:
    for kind in DIRECT:
        topical = {name: value for name, value in fields_of(kind).items() if name != 2}
        with pytest.raises(MalformedEnvelope, match="not both"):
            opened(signed(header_of(kind), {**topical, 3: "topic"}))
    for kind in (Kind.CHECKPOINT, Kind.ATTESTATION, Kind.REVOCATION):
        direct = {name: value for name, value in fields_of(kind).items() if name != 3}
        assert opened(signed(header_of(kind), {**direct, 2: ME.public_key})).topic is None
    with pytest.raises(MalformedEnvelope, match="must not expire"):
        opened(signed(header_of(Kind.REVOCATION), {**fields_of(Kind.REVOCATION), 5: NOW_MS + 1}))


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ({**header_of(Kind.TASK), 1: -7}, MalformedEnvelope),
        ({**header_of(Kind.TASK), 1: 8}, MalformedEnvelope),
        ({**header_of(Kind.TASK), 4: bytes(31)}, MalformedEnvelope),
        ({**header_of(Kind.TASK), 4: "k" * 32}, MalformedEnvelope),
        ({**header_of(Kind.TASK), 3: 0}, MalformedEnvelope),
        ({**header_of(Kind.TASK), 3: b"x"}, MalformedEnvelope),
        ({**header_of(Kind.TASK), 3: "application/akshi-gift+cbor"}, UnknownKind),
        ({**header_of(Kind.TASK), 3: "Application/akshi-task+cbor"}, UnknownKind),
        ({**header_of(Kind.TASK), 3: ""}, UnknownKind),
        ({**header_of(Kind.TASK), 2: [1]}, MalformedEnvelope),
        ({1: -8, 3: Kind.TASK.content_type}, MalformedEnvelope),
        ({}, MalformedEnvelope),
        (b"", MalformedEnvelope),
        (b"\x80", MalformedEnvelope),
        # The same header with its keys in another order: valid CBOR, not the one spelling.
        (
            b"\xa3\x03\x78\x1bapplication/akshi-task+cbor\x01\x27\x04\x58\x20" + bytes(32),
            MalformedEnvelope,
        ),
    ],
)
def test_a_header_is_exactly_ours_or_refused_unverified(
    header: bytes | dict[int, Any], error: type[IdentityError]
) -> None:
    data = signed(header, fields_of(Kind.TASK))
    for read in (opened, envelope.peek):
        with pytest.raises(error):
            read(data)


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x80", b"\xf6", b"\xa0", b"\xa1\x01", b"\xff"])
def test_a_payload_that_is_no_map_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        opened(signed(header_of(Kind.TASK), payload))


def test_a_payload_in_another_spelling_is_malformed() -> None:
    content = cbor.dumps(fields_of(Kind.CHECKPOINT))
    indefinite = b"\xbf" + content[1:] + b"\xff"
    for payload in (indefinite, content + b"\x00", b"\xb8\x05" + content[1:]):
        with pytest.raises(MalformedEnvelope):
            opened(signed(header_of(Kind.CHECKPOINT), payload))


# --- audience and time ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DIRECT)
def test_what_is_for_another_is_not_ours(kind: Kind) -> None:
    data = signed(header_of(kind), {**fields_of(kind), 2: OTHER.public_key})
    for me in (ME.public_key, None):
        with pytest.raises(WrongAudience) as refused:
            open_envelope(data, network=NETWORK, me=me, now_ms=NOW_MS)
        assert refused.value.audience == OTHER.public_key


def test_skew_is_tolerated_for_not_before_only() -> None:
    data = signed(header_of(Kind.TASK), fields_of(Kind.TASK))
    opened(data, now_ms=NOW_MS - SKEW_MS)
    with pytest.raises(FromTheFuture):
        opened(data, now_ms=NOW_MS - SKEW_MS - 1)
    opened(data, now_ms=NOW_MS + 59_999)
    with pytest.raises(Expired):
        opened(data, now_ms=NOW_MS + 60_000)


def test_a_clock_set_back_revives_nothing() -> None:
    data = signed(header_of(Kind.TASK), fields_of(Kind.TASK))
    opened(data, now_ms=NOW_MS, high=NOW_MS + 59_999)
    with pytest.raises(Expired) as refused:
        opened(data, now_ms=NOW_MS, high=NOW_MS + 60_000)
    assert (refused.value.expires_ms, refused.value.now_ms) == (NOW_MS + 60_000,) * 2


def test_a_task_lives_at_most_seven_days_and_an_attestation_may_live_longer() -> None:
    longest = {**fields_of(Kind.TASK), 5: NOW_MS + TASK_LIFE_MS_MAX}
    opened(signed(header_of(Kind.TASK), longest))
    longer = {**longest, 5: NOW_MS + TASK_LIFE_MS_MAX + 1}
    with pytest.raises(MalformedEnvelope, match="lives at most"):
        opened(signed(header_of(Kind.TASK), longer))
    opened(signed(header_of(Kind.ATTESTATION), {**longer, 2: ME.public_key}))


# --- order, limits, fuzz --------------------------------------------------------------------------


def test_checks_come_in_order() -> None:
    """Size, structure, header, signature, payload, audience, expiry, issue: the first wins."""
    bad_payload = {2: OTHER.public_key, 4: NOW_MS + SKEW_MS + 1, 5: NOW_MS + SKEW_MS + 2}
    late = {**fields_of(Kind.TASK), **bad_payload}
    data = signed(header_of(Kind.TASK), {**late, 8: 0})
    forged = data[:-1] + bytes([data[-1] ^ 1])
    steps: list[tuple[bytes, int, type[IdentityError]]] = [
        (bytes(ENVELOPE_BYTES_MAX + 1), NOW_MS, EnvelopeTooLarge),
        (b"\xd3" + forged[1:], NOW_MS, MalformedEnvelope),
        (forged.replace(b"akshi-task", b"akshi-mask"), NOW_MS, UnknownKind),
        (forged, NOW_MS, BadSignature),
        (data, NOW_MS, MalformedEnvelope),
        (signed(header_of(Kind.TASK), late), late[5], WrongAudience),
        (signed(header_of(Kind.TASK), {**late, 2: ME.public_key}), late[5], Expired),
        (signed(header_of(Kind.TASK), {**late, 2: ME.public_key}), NOW_MS, FromTheFuture),
    ]
    for step, now_ms, error in steps:
        with pytest.raises(error):
            opened(step, now_ms=now_ms)


def test_the_largest_envelope_is_60_kib() -> None:
    def sealed(size: int) -> bytes:
        return seal(
            AUTHOR,
            kind=Kind.CHECKPOINT,
            body=bytes(size),
            network=NETWORK,
            nonce=bytes(16),
            issued_ms=NOW_MS,
        )

    overhead = len(sealed(60_000)) - 60_000
    largest = sealed(ENVELOPE_BYTES_MAX - overhead)
    assert len(largest) == ENVELOPE_BYTES_MAX
    assert len(opened(largest).body) == ENVELOPE_BYTES_MAX - overhead
    with pytest.raises(EnvelopeTooLarge) as refused:
        sealed(ENVELOPE_BYTES_MAX - overhead + 1)
    assert refused.value.size_bytes == ENVELOPE_BYTES_MAX + 1
    for read in (opened, envelope.peek, lambda data: envelope.envelope_id(data, network=NETWORK)):
        with pytest.raises(EnvelopeTooLarge):
            read(largest + b"\x00")


@given(sealed_fields(), st.sampled_from(range(1, 8)), st.data())
def test_what_would_not_be_opened_is_not_sealed(
    fields: dict[str, Any], field: int, data: st.DataObject
) -> None:
    name = ("nonce", "audience", "topic", "issued_ms", "expires_ms", "in_reply_to", "body")[
        field - 1
    ]
    wrong = data.draw(st.sampled_from([v for v in WRONG_VALUES[field] if v is not None]))
    if name == "expires_ms" and type(wrong) is int and wrong > fields["issued_ms"]:
        wrong = fields["issued_ms"]
    with pytest.raises(MalformedEnvelope):
        seal(AUTHOR, network=NETWORK, **{**fields, name: wrong})


@given(st.binary(max_size=400), st.sampled_from(Kind), st.booleans())
def test_any_bytes_are_refused_and_any_signed_bytes_opened_or_malformed(
    content: bytes, kind: Kind, is_signed: bool
) -> None:
    data = signed(header_of(kind), content) if is_signed else content
    for read in (opened, envelope.peek, lambda data: envelope.envelope_id(data, network=NETWORK)):
        try:
            read(data)
        except (MalformedEnvelope, WrongAudience, Expired, FromTheFuture):
            continue


def test_times_reach_to_the_end_of_64_bits_and_no_further() -> None:
    last = (1 << 64) - 1

    def sealed(issued_ms: int, expires_ms: int | None) -> bytes:
        return seal(
            AUTHOR,
            kind=Kind.CHECKPOINT,
            body=b"",
            network=NETWORK,
            nonce=bytes(16),
            issued_ms=issued_ms,
            expires_ms=expires_ms,
        )

    assert opened(sealed(last - 1, last), now_ms=last - 1).expires_ms == last
    assert opened(sealed(last, None), now_ms=last).issued_ms == last
    for issued_ms, expires_ms in ((last + 1, None), (last, last + 1)):
        with pytest.raises(MalformedEnvelope):
            sealed(issued_ms, expires_ms)
