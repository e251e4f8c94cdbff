"""The two written forms of a node's key. Bytes in, bytes out; `files` does the disk.

Plain, which `openssl pkey -in` reads: PKCS#8 (RFC 8410 §7) in PEM, label PRIVATE KEY.
Sealed with a passphrase, label AKSHI SEALED PRIVATE KEY: strict CBOR

    {1: 1, 2: salt, 3: passes, 4: memory bytes, 5: nonce, 6: SecretBox(argon2id(passphrase), seed)}
"""

import base64
import binascii
from typing import Final

import nacl.bindings as sodium
from nacl.exceptions import CryptoError

from identity import cbor
from identity.errors import MalformedCbor, MalformedKey, PassphraseNeeded, WrongPassphrase
from identity.keys import SEED_BYTES

SALT_BYTES: Final = 16
NONCE_BYTES: Final = 24
FILE_BYTES_MAX: Final = 4096  # the longer form needs 400
_PLAIN: Final = "PRIVATE KEY"
_SEALED: Final = "AKSHI SEALED PRIVATE KEY"
# SEQUENCE {INTEGER 0, SEQUENCE {OID 1.3.101.112}, OCTET STRING {OCTET STRING of 32}}
_PKCS8: Final = bytes.fromhex("302e020100300506032b657004220420")
_PASSES: Final = 3  # libsodium's MODERATE: 0.4 s and 256 MiB (measured)
_MEMORY_BYTES: Final = 256 << 20
# A file that asks for more than this would stop the node instead of starting it.
_PASSES_MAX: Final = 16
_MEMORY_BYTES_MIN: Final = 8 << 10
_MEMORY_BYTES_MAX: Final = 1 << 30
_VERSION: Final = 1


def write_plain(seed: bytes) -> bytes:
    return _pem(_PLAIN, _PKCS8 + seed)


def write_sealed(seed: bytes, passphrase: str, *, salt: bytes, nonce: bytes) -> bytes:
    """The form that needs `passphrase` to be read again; `salt` and `nonce` are random.

    Raises:
        MalformedKey: an empty passphrase.
    """
    if not passphrase:
        raise MalformedKey("an empty passphrase protects nothing")
    wrapping_key = _stretch(passphrase, salt, _PASSES, _MEMORY_BYTES)
    box = sodium.crypto_secretbox(seed, nonce, wrapping_key)
    fields: dict[int, cbor.Value] = {
        1: _VERSION,
        2: salt,
        3: _PASSES,
        4: _MEMORY_BYTES,
        5: nonce,
        6: box,
    }
    return _pem(_SEALED, cbor.dumps(fields))


def read(data: bytes, passphrase: str | None, *, path: str) -> bytes:
    """The seed in a file of either form; `path` is for the messages.

    Raises:
        PassphraseNeeded: sealed, and none was given.
        WrongPassphrase: that one does not open it.
        MalformedKey: neither form.
    """
    label, content = _from_pem(data)
    if label == _PLAIN:
        if len(content) != len(_PKCS8) + SEED_BYTES or not content.startswith(_PKCS8):
            raise MalformedKey("not an ed25519 key in pkcs#8")
        return content[len(_PKCS8) :]
    if passphrase is None:
        raise PassphraseNeeded(path)
    salt, passes, memory_bytes, nonce, box = _sealed_fields(content)
    try:
        return sodium.crypto_secretbox_open(
            box, nonce, _stretch(passphrase, salt, passes, memory_bytes)
        )
    except CryptoError as failure:
        raise WrongPassphrase(path) from failure


def _sealed_fields(content: bytes) -> tuple[bytes, int, int, bytes, bytes]:
    try:
        fields = cbor.loads(content)
    except MalformedCbor as failure:
        raise MalformedKey(failure.why) from failure
    if type(fields) is not dict or list(fields) != [1, 2, 3, 4, 5, 6]:
        raise MalformedKey("a sealed key is the map {1, 2, 3, 4, 5, 6}")
    version, salt, passes, memory_bytes, nonce, box = fields.values()
    if type(version) is not int or version != _VERSION:
        raise MalformedKey(f"version {version!r} of the sealed form")
    if type(passes) is not int or not 1 <= passes <= _PASSES_MAX:
        raise MalformedKey("passes out of bounds")
    if type(memory_bytes) is not int or not _MEMORY_BYTES_MIN <= memory_bytes <= _MEMORY_BYTES_MAX:
        raise MalformedKey("memory out of bounds")
    box_bytes = SEED_BYTES + sodium.crypto_secretbox_MACBYTES
    for value, size in ((salt, SALT_BYTES), (nonce, NONCE_BYTES), (box, box_bytes)):
        if type(value) is not bytes or len(value) != size:
            raise MalformedKey("salt, nonce or box of the wrong size")
    return salt, passes, memory_bytes, nonce, box


def _stretch(passphrase: str, salt: bytes, passes: int, memory_bytes: int) -> bytes:
    return sodium.crypto_pwhash_alg(
        sodium.crypto_secretbox_KEYBYTES,
        passphrase.encode(),
        salt,
        passes,
        memory_bytes,
        sodium.crypto_pwhash_ALG_ARGON2ID13,
    )


def _pem(label: str, content: bytes) -> bytes:
    text = base64.b64encode(content).decode("ascii")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def _from_pem(data: bytes) -> tuple[str, bytes]:
    """Label and content of the only block in `data` (RFC 7468 §3, the strict form)."""
    try:
        text = "".join(data.decode("ascii").splitlines()[1:-1])
        content = base64.b64decode(text, validate=True)
    except (UnicodeDecodeError, binascii.Error) as failure:
        raise MalformedKey("not pem") from failure
    for label in (_PLAIN, _SEALED):
        if _pem(label, content) == data:
            return label, content
    raise MalformedKey(f"not pem of label {_PLAIN} or {_SEALED}")
