"""Who: a did:key of one Ed25519 public key, and nothing else.

    did:key:z6Mki…  =  "did:key:z" + base58btc(0xed 0x01 ‖ 32 bytes)

One key has one spelling: what was decoded is encoded again and compared. On the wire and in memory
a node is its 32 raw bytes; this text is for people and files.
Source: W3C CCG did:key v0.7 §3; multicodec table, ed25519-pub.
"""

import functools
from dataclasses import dataclass
from typing import Final, Self

import base58

from identity.errors import MalformedDid

PUBLIC_KEY_BYTES: Final = 32
_PREFIX: Final = "did:key:z"
# The unsigned varint of multicodec 0xed. base58 and not multiformats: measured 7 µs against 52 µs a
# DID, and importing multiformats costs 220 ms.
_ED25519_PUB: Final = b"\xed\x01"
_LENGTH_MAX: Final = 64  # a DID has 56; base58 takes the square of the length


@dataclass(frozen=True, slots=True, order=True)
class Did:
    """A node or an agent, by its public key.

    >>> str(Did.parse("did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b"))
    'did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b'
    """

    public_key: bytes

    def __post_init__(self) -> None:
        if type(self.public_key) is not bytes or len(self.public_key) != PUBLIC_KEY_BYTES:
            raise MalformedDid(repr(self.public_key), why="a public key is 32 bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The DID written as `text`; whether its key is a sound one, `check_public_key` says.

        Raises:
            MalformedDid: another method, another kind of key, a fragment, a digit that base58 does
                not have, or not the one spelling of these bytes.
        """
        if type(text) is not str or not text.startswith(_PREFIX):
            raise MalformedDid(str(text), why=f"want {_PREFIX}…")
        if len(text) > _LENGTH_MAX:
            raise MalformedDid(text, why=f"{len(text)} characters are too many")
        try:
            decoded = base58.b58decode(text[len(_PREFIX) :])
        except ValueError as failure:
            raise MalformedDid(text, why="not base58") from failure
        if not decoded.startswith(_ED25519_PUB):
            raise MalformedDid(text, why="not an ed25519 public key")
        did = cls(decoded[len(_ED25519_PUB) :])
        if str(did) != text:
            raise MalformedDid(text, why="not the one spelling of its key")
        return did

    def __str__(self) -> str:
        return _text(self.public_key)


@functools.lru_cache(maxsize=1_024)  # a node has at most that many links; 7 µs a DID otherwise
def _text(public_key: bytes) -> str:
    return _PREFIX + base58.b58encode(_ED25519_PUB + public_key).decode("ascii")
