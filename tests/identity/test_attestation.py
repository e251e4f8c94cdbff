"""A node vouches for its agent: what it says is read back, and nothing else is accepted."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import Kind, cbor, seal
from identity.attestation import Attestation, attest, open_attestation
from identity.cid import wasm_cid
from identity.errors import Expired, IdentityError, MalformedBody, UnexpectedKind
from tests.strategies import key_of

NODE = key_of(1)
AGENT = NODE.derive_agent("reader", 0).public_key
CID = wasm_cid(bytes(32))
BODY: dict[int, Any] = {1: AGENT, 2: "reader", 3: CID, 4: ["a2a", "journal"]}


def sealed(body: bytes, kind: Kind = Kind.ATTESTATION) -> bytes:
    return seal(
        NODE, kind=kind, body=body, network="akshi", nonce=bytes(16), issued_ms=5, expires_ms=10
    )


def test_what_was_attested_is_read_back() -> None:
    data = attest(
        NODE,
        AGENT,
        name="reader",
        wasm_cid=CID,
        capabilities=["journal", "a2a", "a2a"],
        network="akshi",
        nonce=bytes(16),
        issued_ms=5,
        until_ms=10,
    )
    assert data == sealed(cbor.dumps(BODY))
    found = open_attestation(data, network="akshi", now_ms=9)
    assert found == Attestation(AGENT, NODE.public_key, "reader", CID, ("a2a", "journal"), 10)
    with pytest.raises(Expired):
        open_attestation(data, network="akshi", now_ms=9, clock_high_ms=10)


def test_another_kind_does_not_attest() -> None:
    with pytest.raises(UnexpectedKind):
        open_attestation(sealed(cbor.dumps(BODY), Kind.CHECKPOINT), network="akshi", now_ms=9)


WRONG: list[tuple[int, Any]] = [
    (1, None),
    (1, bytes(32)),
    (1, AGENT[:31]),
    (2, ""),
    (2, b"reader"),
    (2, "r" * 256),
    (3, "bafkrei"),
    (3, bytes(36)),
    (4, "a2a"),
    (4, ["journal", "a2a"]),
    (4, ["a2a", "a2a"]),
    (4, [""]),
    (4, [1]),
    (4, ["a2a", None]),
    (4, [f"{n:02}" for n in range(65)]),
    (5, 0),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_body_that_says_something_else_is_malformed(field: int, value: Any) -> None:
    with pytest.raises(MalformedBody):
        open_attestation(sealed(cbor.dumps({**BODY, field: value})), network="akshi", now_ms=9)


@pytest.mark.parametrize("body", [b"", b"\x80", b"\xa0", cbor.dumps(BODY) + b"\x00"])
def test_a_body_that_is_no_map_of_four_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        open_attestation(sealed(body), network="akshi", now_ms=9)


def test_what_would_not_be_opened_is_not_attested() -> None:
    with pytest.raises(MalformedBody):
        attest(
            NODE,
            bytes(32),
            name="reader",
            wasm_cid=CID,
            capabilities=[],
            network="akshi",
            nonce=bytes(16),
            issued_ms=5,
            until_ms=10,
        )


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_refused(data: bytes, is_signed: bool) -> None:
    with pytest.raises(IdentityError):
        open_attestation(sealed(data) if is_signed else data, network="akshi", now_ms=9)
