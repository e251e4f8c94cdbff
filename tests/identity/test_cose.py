"""COSE_Sign1: the signed bytes are RFC 9052's, and a message has one spelling."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import SigningKey, cose, verify
from identity.errors import MalformedCose
from tests.identity.signing import sign1
from tests.strategies import key_of
from tests.vectors.load import vectors

EDDSA = vectors("cose_sign1")["eddsa"]
HEADER = b"\xa1\x01\x27"


def test_the_working_group_signs_the_bytes_that_we_sign() -> None:
    key = SigningKey.from_seed(bytes.fromhex(EDDSA["seed"]))
    protected, payload = bytes.fromhex(EDDSA["protected"]), bytes.fromhex(EDDSA["payload"])
    signed = cose.to_be_signed(
        cose.byte_string(protected), cose.byte_string(b""), cose.byte_string(payload)
    )
    assert signed.hex() == EDDSA["to_be_signed"]
    verify(bytes.fromhex(EDDSA["public_key"]), signed, bytes.fromhex(EDDSA["signature"]))
    # Ed25519 is deterministic, so our message is theirs but for the unprotected header.
    ours = sign1(key, protected=protected, payload=payload, external_aad=b"")
    assert ours.hex() == EDDSA["message"].replace("a104423131", "a0")


@pytest.mark.parametrize(
    "case",
    [EDDSA, *vectors("cose_sign1")["refused"]],
    ids=lambda case: case["title"],
)
def test_published_messages_outside_our_profile_are_refused(case: dict[str, str]) -> None:
    with pytest.raises(MalformedCose, match=r"tag 18|unprotected"):
        cose.split(bytes.fromhex(case["message"]))


@pytest.mark.parametrize("size", [0, 1, 23, 24, 255, 256, 65535, 65536, 70000])
def test_sign_and_split_are_inverse_at_every_length(size: int) -> None:
    payload = bytes(size)
    data = sign1(key_of(1), protected=HEADER, payload=payload, external_aad=b"here")
    parts = cose.split(data)
    assert (parts.protected, parts.payload) == (HEADER, payload)
    signed = cose.to_be_signed(parts.protected_item, cose.byte_string(b"here"), parts.payload_item)
    assert signed == cbor2.dumps(["Signature1", HEADER, b"here", payload])
    verify(key_of(1).public_key, signed, parts.signature)
    # A plain decoder sees the four parts of RFC 9052.
    tagged = cbor2.loads(data)
    assert (tagged.tag, list(tagged.value)) == (18, [HEADER, {}, payload, parts.signature])


GOOD = sign1(key_of(1), protected=HEADER, payload=b"payload", external_aad=b"")
TAIL = GOOD[-66:]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "tag 18"),
        (GOOD[1:], "tag 18"),
        (b"\xd1" + GOOD[1:], "tag 18"),
        (b"\xd8\x12" + GOOD[1:], "tag 18"),  # 18 in the longer spelling
        (b"\xd2\xd2" + GOOD[1:], "tag 18"),
        (b"\xd2\x85" + GOOD[2:], "tag 18"),
        (b"\xd2\x9f" + GOOD[2:], "tag 18"),
        (b"\xd2\x84", "truncated"),
        (b"\xd2\x84\x43\xa1\x01", "truncated"),
        (b"\xd2\x84\x43" + HEADER, "unprotected"),
        (b"\xd2\x84\x43" + HEADER + b"\xa0", "truncated"),
        (b"\xd2\x84\x63abc\xa0\x40" + TAIL, "want a byte string"),
        (b"\xd2\x84\x5f\x43" + HEADER + b"\xff\xa0\x40" + TAIL, "want a byte string"),
        (b"\xd2\x84\x5b" + bytes(8) + b"\xa0\x40" + TAIL, "want a byte string"),
        (b"\xd2\x84\x58\x03" + HEADER + b"\xa0\x40" + TAIL, "shortest"),
        (b"\xd2\x84\x59\x00\x03" + HEADER + b"\xa0\x40" + TAIL, "shortest"),
        (b"\xd2\x84\x5a\x00\x00\x00\x03" + HEADER + b"\xa0\x40" + TAIL, "shortest"),
        (b"\xd2\x84\x58", "shortest"),  # no length at all
        (b"\xd2\x84\x43" + HEADER + b"\xb8\x00\x40" + TAIL, "unprotected"),
        (b"\xd2\x84\x43" + HEADER + b"\xa0\xf6" + TAIL, "want a byte string"),  # detached
        (GOOD[:-1], "truncated"),
        (GOOD + b"\x00", "after the end"),
        (GOOD[:-66] + b"\x58\x3f" + GOOD[-64:], "byte string of 64"),
        (GOOD[:-66] + b"\x78\x40" + GOOD[-64:], "byte string of 64"),
    ],
)
def test_another_spelling_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(MalformedCose, match=why):
        cose.split(data)


@given(st.binary(max_size=200) | st.binary(max_size=200).map(b"\xd2\x84".__add__))
def test_any_bytes_give_four_parts_or_malformed(data: bytes) -> None:
    try:
        parts = cose.split(data)
    except MalformedCose:
        return
    assert data == b"\xd2\x84" + parts.protected_item + b"\xa0" + parts.payload_item + (
        b"\x58\x40" + parts.signature
    )


@given(st.integers(0, len(GOOD)))
def test_every_prefix_is_malformed(size: int) -> None:
    if size < len(GOOD):
        with pytest.raises(MalformedCose):
            cose.split(GOOD[:size])
