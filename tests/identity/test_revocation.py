"""A key takes itself back, whatever the clocks say, and no other key can do it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import Kind, TrustStore, seal
from identity.errors import IdentityError, MalformedBody, UnexpectedKind, WrongAudience
from identity.revocation import open_revocation, seal_revocation
from tests.strategies import UINT_MAX, key_of, networks, nonces, sealed_fields

KEY = key_of(1)


@given(networks, nonces, st.integers(0, UINT_MAX))
def test_it_revokes_its_signer_at_any_time(network: str, nonce: bytes, issued_ms: int) -> None:
    data = seal_revocation(KEY, network=network, nonce=nonce, issued_ms=issued_ms)
    revoked = open_revocation(data, network=network)
    assert revoked == KEY.public_key
    assert TrustStore().add(revoked).revoke(revoked).lookup(revoked, 0) is None


def sealed(**fields: Any) -> bytes:
    basic = {"kind": Kind.REVOCATION, "body": b"\xa0", "nonce": bytes(16), "issued_ms": 1}
    return seal(KEY, network="akshi", **{**basic, **fields})


def test_only_a_public_revocation_with_an_empty_body_is_one() -> None:
    assert open_revocation(sealed(), network="akshi") == KEY.public_key
    with pytest.raises(UnexpectedKind) as refused:
        open_revocation(sealed(kind=Kind.CHECKPOINT), network="akshi")
    assert (refused.value.kind, refused.value.wanted) == ("checkpoint", "revocation")
    for body in (b"", b"\x80", b"\xa1\x01\x02"):
        with pytest.raises(MalformedBody):
            open_revocation(sealed(body=body), network="akshi")
    with pytest.raises(WrongAudience):
        open_revocation(sealed(audience=key_of(2).public_key), network="akshi")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(IdentityError):
        open_revocation(data, network="akshi")


@given(sealed_fields())
def test_no_other_envelope_revokes(fields: dict[str, Any]) -> None:
    data = seal(KEY, network="akshi", **fields)
    try:
        assert open_revocation(data, network="akshi") == KEY.public_key
    except IdentityError:
        assert (
            fields["kind"] is not Kind.REVOCATION
            or fields["body"] != b"\xa0"
            or (fields.get("audience") is not None)
        )
