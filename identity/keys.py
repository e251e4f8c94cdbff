"""Signing keys, and the one verifier.

Ed25519 through libsodium, and only through it: OpenSSL accepts 165 edge-case signatures that
libsodium refuses (measured), so two verifiers in one mesh could be split by one hostile signature.

The same secret also makes the node's X25519 key. A and −A are two Ed25519 keys with one X25519 key
and one secret: *twins*. Trust never holds both, and the handshake binds the Ed25519 key itself.
"""

import enum
import hashlib
from typing import Final, Self

import nacl.bindings as sodium
from nacl.exceptions import BadSignatureError

from identity import cbor
from identity.did import PUBLIC_KEY_BYTES, Did
from identity.errors import BadSignature, MalformedKey, WeakKey, WrongFormat

SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_AGENT_KEY: Final = b"akshi agent key1"  # the 16 bytes of BLAKE2b's personalisation


class SignedFormat(enum.Enum):
    """Everything a key signs, by how the signed bytes begin. No beginning is part of another.

    So a signature made for one purpose can never be shown as made for another. Whatever signs goes
    through `SigningKey.sign_as`; a new format is a new line here, and a test compares them all.
    """

    COSE = b"\x84\x6aSignature1"  # RFC 9052 §4.4: array of 4, text "Signature1"
    NOTE = b"akshi.log/"  # C2SP signed note: its first line is the log's origin
    JWS = b"eyJ"  # RFC 7515: base64url of the header's `{"`


class SigningKey:
    """The secret half. It prints as its DID, is never pickled, and leaves only as `seed`."""

    __slots__ = ("_secret", "public_key", "seed")

    def __init__(self, seed: bytes) -> None:
        if type(seed) is not bytes or len(seed) != SEED_BYTES:
            raise MalformedKey("a seed is 32 bytes")
        self.seed = seed
        self.public_key, self._secret = sodium.crypto_sign_seed_keypair(seed)

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key of these 32 random bytes (RFC 8032 §5.1.5)."""
        return cls(seed)

    @property
    def did(self) -> Did:
        return Did(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """64 bytes. For what others shall verify use `sign_as`, which keeps purposes apart."""
        return sodium.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def sign_as(self, signed_format: SignedFormat, message: bytes) -> bytes:
        """Sign `message` after checking that it begins as its format does.

        Raises:
            WrongFormat: it does not; the signature could be misread as another kind.
        """
        if not message.startswith(signed_format.value):
            raise WrongFormat(signed_format.name)
        return self.sign(message)

    def x25519_secret(self) -> bytes:
        """The X25519 secret of the handshake: 32 bytes (clamped hash of the seed)."""
        return sodium.crypto_sign_ed25519_sk_to_curve25519(self._secret)

    def derive_agent(self, name: str, generation: int) -> "SigningKey":
        """The key of the agent called `name`; another generation is another key.

        Keyed BLAKE2b: who holds agent keys, all of them, learns nothing of the node's seed.

        Raises:
            MalformedKey: a name that is not text, or a generation that does not count from 0.
        """
        if type(name) is not str or type(generation) is not int or generation < 0:
            raise MalformedKey("an agent's key needs a name and a generation")
        seed = hashlib.blake2b(
            cbor.dumps([name, generation]), digest_size=SEED_BYTES, key=self.seed, person=_AGENT_KEY
        )
        return SigningKey(seed.digest())

    def __repr__(self) -> str:
        return f"SigningKey({self.did})"

    def __reduce__(self) -> str:
        raise TypeError("a signing key is not pickled")


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Return if the holder of `public_key` signed `message`.

    Raises:
        BadSignature: not so, or key or signature have another length, or the key is of small
            order or not canonical. tests/vectors/speccheck.json pins what libsodium accepts.

    Cost: one verification, about 40 µs.
    """
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise BadSignature(public_key)
    try:
        sodium.crypto_sign_open(signature + message, public_key)
    except BadSignatureError as failure:
        raise BadSignature(public_key) from failure


def check_public_key(public_key: bytes) -> None:
    """Refuse a key that no honest key generation gives; to be asked when trust is added.

    Raises:
        WeakKey: not canonical, of small order, or outside the prime-order group.

    Cost: about 60 µs.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise WeakKey(public_key)
    if not sodium.crypto_core_ed25519_is_valid_point(public_key):
        raise WeakKey(public_key)


def x25519_public(public_key: bytes) -> bytes:
    """The X25519 key of an Ed25519 key (RFC 7748 §4.1, the birational map).

    Raises:
        WeakKey: as `check_public_key`.
    """
    check_public_key(public_key)
    return sodium.crypto_sign_ed25519_pk_to_curve25519(public_key)


def twin(public_key: bytes) -> bytes:
    """The key −A for the key A: the sign of x is the top bit of the last byte (RFC 8032 §5.1.2)."""
    return public_key[:-1] + bytes([public_key[-1] ^ 0x80])
