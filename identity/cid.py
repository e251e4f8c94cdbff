"""The name of a WebAssembly file: CIDv1, raw, sha2-256, as text in base32 ("bafkrei…").

Other people's tools name the same bytes alike. Naming is four bytes before a digest, in base32,
and a test holds it to multiformats, which reads names here: importing that costs 70 to 220 ms,
which a node that starts should not pay.
"""

import base64
import re
from threading import Lock
from typing import Final

from identity.errors import MalformedCid

DIGEST_BYTES: Final = 32
# multiformats makes its codecs on first use and fails if two threads do so at once.
_ONE_AT_A_TIME: Final = Lock()
_PREFIX: Final = b"\x01\x55\x12\x20"  # CIDv1, raw, sha2-256, 32 bytes
_SHAPE: Final = re.compile(r"bafkrei[a-z2-7]{52}")  # 36 bytes, of which four never differ


def wasm_cid(digest: bytes) -> str:
    """The CID of the file whose SHA-256 is `digest`.

    Raises:
        MalformedCid: not 32 bytes.
    """
    if type(digest) is not bytes or len(digest) != DIGEST_BYTES:
        raise MalformedCid(repr(digest), why="a sha2-256 digest is 32 bytes")
    return "b" + base64.b32encode(_PREFIX + digest).decode().rstrip("=").lower()


def is_wasm_cid(text: str) -> bool:
    """Whether `text` has the form of what `wasm_cid` makes."""
    return bool(_SHAPE.fullmatch(text))


def wasm_digest(text: str) -> bytes:
    """The SHA-256 in a CID that `wasm_cid` made; the inverse, and as strict.

    Raises:
        MalformedCid: another base, version, codec or hash, or not the one spelling.
    """
    from multiformats import CID

    if type(text) is not str or not _SHAPE.fullmatch(text):
        raise MalformedCid(str(text), why="want bafkrei and 52 more base32 digits")
    try:
        with _ONE_AT_A_TIME:
            return bytes(CID.decode(text).raw_digest)
    except ValueError as failure:  # bits beyond the last byte
        raise MalformedCid(text, why="not the one spelling of its digest") from failure
