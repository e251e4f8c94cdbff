"""Noise handshakes over libsodium: the state machine, and nothing else.

Patterns of the interactive kind with 25519, ChaChaPoly and SHA256 (The Noise
Protocol Framework, revision 34, §5 and §7). The node speaks `IK` only; the machine takes
the pattern as a value, so all published vectors of this suite can be held against it.
The primitives are libsodium's through PyNaCl; the ephemeral secret is handed in.

    IK:  <- s                     the dialler knows whom it dials
         ...
         -> e, es, s, ss          176 us a side in all (measured)
         <- e, ee, se

After the last message `split` gives one cipher per direction.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_scalarmult,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError

from akshi_mesh.transport.errors import HandshakeFailed

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
_REKEY_NONCE: Final = bytes(4) + b"\xff" * 8  # §4.2 of Noise: the highest nonce is for rekeying


class Cipher:
    """ChaCha20-Poly1305 under one key and a counter that never repeats."""

    __slots__ = ("_count", "_key")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._count = 0

    def seal(self, plaintext: bytes, aad: bytes = b"") -> bytes:
        nonce = b"\0\0\0\0" + self._count.to_bytes(8, "little")
        self._count += 1
        sealed: bytes = crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, aad, nonce, self._key)
        return sealed

    def open(self, sealed: bytes, aad: bytes = b"") -> bytes:
        """The plaintext; the counter moves on only if `sealed` is genuine.

        Raises:
            HandshakeFailed: it is not.
        """
        if len(sealed) < TAG_BYTES:  # PyNaCl 1.6.2 asks for a negative buffer (ValueError)
            raise HandshakeFailed("a sealed message is too short")
        nonce = b"\0\0\0\0" + self._count.to_bytes(8, "little")
        try:
            opened: bytes = crypto_aead_chacha20poly1305_ietf_decrypt(sealed, aad, nonce, self._key)
        except CryptoError as failure:
            raise HandshakeFailed("a sealed message did not open") from failure
        self._count += 1
        return opened

    def rekey(self) -> None:
        """Replace the key by one from which the old cannot be had; the counter goes on."""
        zeros = bytes(KEY_BYTES)
        sealed = crypto_aead_chacha20poly1305_ietf_encrypt(zeros, b"", _REKEY_NONCE, self._key)
        self._key = sealed[:KEY_BYTES]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row of the pattern table: who knows whose static key before, and the messages' tokens."""

    name: str
    initiator_known: bool
    responder_known: bool
    messages: tuple[tuple[str, ...], ...]


IK: Final = Pattern("IK", False, True, (("e", "es", "s", "ss"), ("e", "ee", "se")))


class Handshake:
    """One side of one handshake: `write` and `read` in turn, then `split`.

    Args:
        static_secret: our X25519 secret; None in patterns where we have no static key.
        ephemeral_secret: 32 fresh random bytes, used for this handshake only.
        remote_static: the other's X25519 key where the pattern says it is known.
    """

    def __init__(
        self,
        pattern: Pattern,
        *,
        initiator: bool,
        prologue: bytes,
        ephemeral_secret: bytes,
        static_secret: bytes | None = None,
        remote_static: bytes | None = None,
    ) -> None:
        name = f"Noise_{pattern.name}_25519_ChaChaPoly_SHA256".encode()
        self._hash = name.ljust(32, b"\0") if len(name) <= 32 else sha256(name).digest()
        self._chain = self._hash
        self._cipher: Cipher | None = None
        self._messages = list(pattern.messages)
        self._initiator = initiator
        self._s = static_secret
        self._e = ephemeral_secret
        self._rs = remote_static
        self._re: bytes | None = None
        self._mix_hash(prologue)
        for known, ours in (
            (pattern.initiator_known, initiator),
            (pattern.responder_known, not initiator),
        ):
            if known:
                key = self._public(self._s) if ours else self._rs
                assert key is not None, "the pattern needs this static key beforehand"
                self._mix_hash(key)

    @property
    def handshake_hash(self) -> bytes:
        return self._hash

    @property
    def remote_static(self) -> bytes | None:
        return self._rs

    def write(self, payload: bytes) -> bytes:
        """The next message, with `payload` sealed as well as the pattern then allows.

        Raises:
            HandshakeFailed: the other side's key is of low order.
        """
        out = []
        for step in self._messages.pop(0):
            if step == "e":
                out.append(public := crypto_scalarmult_base(self._e))
                self._mix_hash(public)
            elif step == "s":
                out.append(self._seal(self._public(self._s)))
            else:
                self._mix_dh(step)
        return b"".join(out) + self._seal(payload)

    def read(self, message: bytes, on_static: Callable[[bytes], None] | None = None) -> bytes:
        """The payload of the other side's next message.

        Args:
            message: the whole message; its end is the payload's.
            on_static: called with the other's static key as soon as it is known, before
                any further Diffie-Hellman is spent on it; it refuses by raising.

        Raises:
            HandshakeFailed: anything but the one message expected now.
        """
        for step in self._messages.pop(0):
            if step == "e":
                self._re, message = self._cut(message, KEY_BYTES)
                self._mix_hash(self._re)
            elif step == "s":
                sealed_bytes = KEY_BYTES + (TAG_BYTES if self._cipher else 0)
                sealed, message = self._cut(message, sealed_bytes)
                self._rs = self._open(sealed)
                if on_static:
                    on_static(self._rs)
            else:
                self._mix_dh(step)
        return self._open(message)

    def split(self) -> tuple[Cipher, Cipher]:
        """The ciphers (to send, to receive) of the finished handshake."""
        assert not self._messages, "split comes after the last message"
        first, second = self._hkdf(b"")
        ours, theirs = (first, second) if self._initiator else (second, first)
        return Cipher(ours), Cipher(theirs)

    @staticmethod
    def _public(secret: bytes | None) -> bytes:
        assert secret is not None, "the pattern needs our static key"
        public: bytes = crypto_scalarmult_base(secret)
        return public

    @staticmethod
    def _cut(message: bytes, size: int) -> tuple[bytes, bytes]:
        if len(message) < size:
            raise HandshakeFailed("a handshake message is too short")
        return message[:size], message[size:]

    def _mix_hash(self, data: bytes) -> None:
        self._hash = sha256(self._hash + data).digest()

    def _hkdf(self, material: bytes) -> tuple[bytes, bytes]:
        secret = hmac.digest(self._chain, material, "sha256")
        first = hmac.digest(secret, b"\x01", "sha256")
        return first, hmac.digest(secret, first + b"\x02", "sha256")

    def _mix_dh(self, step: str) -> None:
        # The first letter is the initiator's key, the second the responder's.
        ours, theirs = (step[0], step[1]) if self._initiator else (step[1], step[0])
        secret = self._e if ours == "e" else self._s
        public = self._re if theirs == "e" else self._rs
        assert secret is not None, "the pattern needs our static key"
        assert public is not None, "the pattern names a key not yet there"
        try:
            shared = crypto_scalarmult(secret, public)
        except CryptoError as failure:  # low-order points raise (measured, PyNaCl 1.6.2)
            raise HandshakeFailed("a key of low order") from failure
        self._chain, key = self._hkdf(shared)
        self._cipher = Cipher(key)

    def _seal(self, plaintext: bytes) -> bytes:
        sealed = self._cipher.seal(plaintext, self._hash) if self._cipher else plaintext
        self._mix_hash(sealed)
        return sealed

    def _open(self, sealed: bytes) -> bytes:
        opened = self._cipher.open(sealed, self._hash) if self._cipher else sealed
        self._mix_hash(sealed)
        return opened
