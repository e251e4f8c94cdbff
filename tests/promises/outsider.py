"""What an outsider needs to check a journal: SHA-256, Ed25519, and docs/spec. Nothing of ours.

Imports none of this repository's packages, on purpose: it is the reader that somebody else
would write, from envelope.md and journal.md alone.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nacl.signing import VerifyKey

KIND = "application/akshi-{}+cbor"
MULTICODEC_ED25519 = b"\xed\x01"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True)
class Signed:
    """An envelope whose signature holds: who said it, of which kind, and what."""

    author: bytes
    kind: str
    fields: dict[Any, Any]
    body: Any


def key_of(did: str) -> bytes:
    """did:key, Ed25519: base58btc of 0xed 0x01 and 32 bytes."""
    number = 0
    for character in did.removeprefix("did:key:z"):
        number = number * 58 + _BASE58.index(character)
    data = number.to_bytes(34, "big")
    assert data[:2] == MULTICODEC_ED25519
    return data[2:]


def read(data: bytes, at: int = 0) -> tuple[Any, int]:
    """One CBOR value of the profile, and where it ends (RFC 8949 §3)."""
    major, small = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        return {20: False, 21: True, 22: None}[small], at
    if small >= 24:
        width = 1 << (small - 24)
        number, at = int.from_bytes(data[at : at + width], "big"), at + width
    else:
        number = small
    if major == 0:
        return number, at
    if major == 1:
        return -1 - number, at
    if major in (2, 3):
        part = data[at : at + number]
        assert len(part) == number
        return (part if major == 2 else part.decode()), at + number
    if major == 4:
        items = []
        for _ in range(number):
            item, at = read(data, at)
            items.append(item)
        return items, at
    assert major == 5, "no tag inside"
    entries = {}
    for _ in range(number):
        name, at = read(data, at)
        entries[name], at = read(data, at)
    return entries, at


def whole(data: bytes) -> Any:
    value, end = read(data)
    assert end == len(data), "nothing after the end"
    return value


def head(major: int, number: int) -> bytes:
    for small, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 24:
            return bytes([major << 5 | number])
        if number < 1 << 8 * width:
            return bytes([major << 5 | small]) + number.to_bytes(width, "big")
    raise AssertionError("no such length")


def text(value: str) -> bytes:
    return head(3, len(value.encode())) + value.encode()


def octets(value: bytes) -> bytes:
    return head(2, len(value)) + value


def signed(data: bytes, *, network: str) -> Signed:
    """Check a COSE_Sign1 (RFC 9052 §4.4) under the key it names; fails if it does not hold."""
    assert data[0] == 0xD2, "tag 18"
    protected, unprotected, payload, signature = whole(data[1:])
    assert unprotected == {}
    header = whole(protected)
    assert set(header) == {1, 3, 4}
    assert header[1] == -8, "EdDSA"
    context = head(4, 3) + text("akshi-mesh/envelope") + head(0, 1) + text(network)
    structure = (
        head(4, 4) + text("Signature1") + b"".join(map(octets, (protected, context, payload)))
    )
    VerifyKey(header[4]).verify(structure, signature)
    fields = whole(payload)
    return Signed(header[4], header[3], fields, whole(fields[7]))


def root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle tree hash of RFC 6962 §2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()
