"""COSE_Sign1 of whatever a test wants signed; the product seals envelopes and nothing else."""

from identity.cose import byte_string, join, to_be_signed
from identity.keys import SignedFormat, SigningKey


def sign1(key: SigningKey, *, protected: bytes, payload: bytes, external_aad: bytes) -> bytes:
    """Sign `payload` under the encoded header map `protected`; `external_aad` is not sent along."""
    protected_item = byte_string(protected)
    payload_item = byte_string(payload)
    signature = key.sign_as(
        SignedFormat.COSE, to_be_signed(protected_item, byte_string(external_aad), payload_item)
    )
    return join(protected_item, payload_item, signature)
