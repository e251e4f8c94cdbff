"""A key taken back by its owner, for good.

A did:key cannot rotate. So `init` writes a revocation at once, to be kept where the key is not; it
is an envelope of kind `revocation` with the empty map as its body, signed by the very key it
revokes. It never expires, and its time of issue is not compared with any clock: who can sign it
holds the key, and that is all it has to prove.
"""

from typing import Final

from identity import envelope
from identity.errors import MalformedBody, UnexpectedKind
from identity.keys import SigningKey

_BODY: Final = b"\xa0"  # CBOR: the empty map
_END_OF_TIME_MS: Final = (1 << 64) - 1  # a clock ahead of every time of issue


def seal_revocation(key: SigningKey, *, network: str, nonce: bytes, issued_ms: int) -> bytes:
    """The envelope by which the holder of `key` says: no longer me."""
    return envelope.seal(
        key,
        kind=envelope.Kind.REVOCATION,
        body=_BODY,
        network=network,
        nonce=nonce,
        issued_ms=issued_ms,
    )


def open_revocation(data: bytes, *, network: str) -> bytes:
    """The public key that is revoked; hand it to `TrustStore.revoke`.

    Raises:
        UnexpectedKind, MalformedBody, and what `open_envelope` raises but for times.
    """
    opened = envelope.open_envelope(data, network=network, me=None, now_ms=_END_OF_TIME_MS)
    if opened.kind is not envelope.Kind.REVOCATION:
        raise UnexpectedKind(opened.kind.value, wanted=envelope.Kind.REVOCATION.value)
    if opened.body != _BODY:
        raise MalformedBody("a revocation has the empty map as its body")
    return opened.author
