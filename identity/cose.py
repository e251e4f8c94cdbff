"""COSE_Sign1 (RFC 9052 §4.2), the profile that envelopes use.

    18([ protected: bstr, {}, payload: bstr, signature: bstr of 64 ])

Tagged, payload attached, unprotected header empty, every length in its shortest form: one spelling.
The bytes are cut, not decoded and encoded again, because what is signed is what was received.
"""

from typing import Final, NamedTuple

from identity.errors import MalformedCose
from identity.keys import SIGNATURE_BYTES, SignedFormat

_OPENING: Final = b"\xd2\x84"  # tag 18, array of 4
_SIGNATURE_HEAD: Final = b"\x58\x40"  # a byte string of 64
_TAIL_BYTES: Final = len(_SIGNATURE_HEAD) + SIGNATURE_BYTES
# Where a byte string's length stands: its first byte → how many bytes of length follow. The least
# length for each is that of RFC 8949 §4.2.1; eight-byte lengths are beyond every limit here.
_LENGTH_BYTES: Final = {0x58: 1, 0x59: 2, 0x5A: 4}
_LENGTH_MIN: Final = {0x58: 24, 0x59: 1 << 8, 0x5A: 1 << 16}


class Sign1(NamedTuple):
    """The parts as they stood; `protected_item` and `payload_item` still have their heads."""

    protected: bytes
    payload: bytes
    signature: bytes
    protected_item: bytes
    payload_item: bytes


def join(protected_item: bytes, payload_item: bytes, signature: bytes) -> bytes:
    """The inverse of `split`, of encoded byte strings and the bare signature."""
    return b"".join((_OPENING, protected_item, b"\xa0", payload_item, _SIGNATURE_HEAD, signature))


def to_be_signed(protected_item: bytes, aad_item: bytes, payload_item: bytes) -> bytes:
    """The Sig_structure ["Signature1", protected, external_aad, payload] (RFC 9052 §4.4).

    The three arguments are encoded byte strings, heads included.
    """
    return SignedFormat.COSE.value + protected_item + aad_item + payload_item


def split(data: bytes) -> Sign1:
    """Cut a COSE_Sign1 into its parts; nothing is verified.

    Raises:
        MalformedCose: not tagged, not these four, an unprotected header, a length not in its
            shortest form, too short, or bytes after the end.
    """
    if not data.startswith(_OPENING):
        raise MalformedCose("want tag 18 around an array of 4")
    protected_start, protected_end = _byte_string_at(data, len(_OPENING))
    if data[protected_end : protected_end + 1] != b"\xa0":
        raise MalformedCose("the unprotected header must be the empty map")
    payload_start, payload_end = _byte_string_at(data, protected_end + 1)
    if len(data) != payload_end + _TAIL_BYTES:
        raise MalformedCose("truncated, or bytes after the end")
    if data[payload_end : payload_end + 2] != _SIGNATURE_HEAD:
        raise MalformedCose(f"the signature must be a byte string of {SIGNATURE_BYTES}")
    return Sign1(
        data[protected_start:protected_end],
        data[payload_start:payload_end],
        data[payload_end + 2 :],
        data[len(_OPENING) : protected_end],
        data[protected_end + 1 : payload_end],
    )


def byte_string(content: bytes) -> bytes:
    """`content` as a CBOR byte string."""
    size = len(content)
    if size < 24:
        return bytes((0x40 | size,)) + content
    if size < 1 << 8:
        return bytes((0x58, size)) + content
    if size < 1 << 16:
        return b"\x59" + size.to_bytes(2, "big") + content
    return b"\x5a" + size.to_bytes(4, "big") + content


def _byte_string_at(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the byte string at `at` begins and ends."""
    if at >= len(data):
        raise MalformedCose("truncated")
    first = data[at]
    if 0x40 <= first < 0x58:
        start = at + 1
        end = start + first - 0x40
    elif first in _LENGTH_BYTES:
        start = at + 1 + _LENGTH_BYTES[first]
        size = int.from_bytes(data[at + 1 : start], "big")
        if size < _LENGTH_MIN[first]:
            raise MalformedCose("a length not in its shortest form")
        end = start + size
    else:
        raise MalformedCose("want a byte string")
    if end > len(data):
        raise MalformedCose("truncated")
    return start, end
