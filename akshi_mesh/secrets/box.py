"""The form of `secrets.box`: one sealed entry a secret, tied to its name and its bindings.

    {1: 1, 2: {1: key kind, 2: salt | null}, 3: check, 4: [[name, [binding…], set ms, sealed]…]}

`sealed` is a nonce of 24 bytes and XChaCha20-Poly1305 over [value, [[old value, until ms]…]] with
[label, name, bindings, set ms] as associated data: an entry that is moved to another name, or
whose bindings were changed, does not open. `check` seals nothing but the key's own description, so
that a wrong key is told from a changed entry. Names and bindings can be read without the key.

Not protected: an older copy of the whole file is as good as a newer one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import nacl.bindings as sodium
from nacl.exceptions import CryptoError

from identity import cbor
from identity.errors import MalformedCbor
from sandbox.errors import MalformedSecret
from sandbox.secrets import SecretBinding, check_value

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 24
NAMES_MAX: Final = 64  # every value is looked for in every answer
BINDINGS_MAX: Final = 16  # of one name
RETIRED_MAX: Final = 8  # of one name; who rotates more often within a day loses the oldest
BOX_BYTES_MAX: Final = 4 << 20  # 64 names with 9 values of 4 KiB, and room
_VERSION: Final = 1
_LABEL: Final = "akshi secrets box 1"
_CHECK: Final = "akshi secrets box 1 check"

Draw = Callable[[int], bytes]


class KeyKind(StrEnum):
    """Where the key of the box is, in the order in which a new box takes them."""

    KEYRING = "keyring"
    SYSTEMD = "systemd"
    FILE = "file"
    PASSPHRASE = "passphrase"  # noqa: S105 - a kind of key


@dataclass(frozen=True, slots=True)
class Lock:
    """How to come by the key: its kind, and for a passphrase the salt."""

    kind: KeyKind
    salt: bytes | None = None


@dataclass(frozen=True, slots=True)
class Retired:
    """A value that was in use, and until when it is still looked for."""

    value: str = field(repr=False)
    until_ms: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One secret. `value` is None while the box is locked. Printing it shows no value."""

    name: str
    bindings: tuple[SecretBinding, ...]
    set_ms: int
    value: str | None = field(repr=False)
    retired: tuple[Retired, ...] = field(default=(), repr=False)


class MalformedBox(ValueError):
    """Bytes that are no box."""


class WrongKey(ValueError):
    """A box, and not the key of it."""


def dump(entries: Iterable[Entry], lock: Lock, key: bytes, *, draw: Draw) -> bytes:
    """The file for `entries`, each with a fresh nonce from `draw`."""
    lock_value = _lock_value(lock)
    rows: list[cbor.Value] = []
    for entry in entries:
        assert entry.value is not None, "what is locked cannot be sealed again"
        bindings: list[cbor.Value] = [binding.to_value() for binding in entry.bindings]
        content: list[cbor.Value] = [
            entry.value,
            [[old.value, old.until_ms] for old in entry.retired],
        ]
        sealed = _seal(content, [_LABEL, entry.name, bindings, entry.set_ms], key, draw)
        rows.append([entry.name, bindings, entry.set_ms, sealed])
    check = _seal(None, [_CHECK, lock_value], key, draw)
    fields: dict[int, cbor.Value] = {1: _VERSION, 2: lock_value, 3: check, 4: rows}
    return cbor.dumps(fields)


def read_lock(data: bytes) -> Lock:
    """How to come by the key of the box `data`.

    Raises:
        MalformedBox: it is none.
    """
    return _fields(data)[0]


def load(data: bytes, key: bytes | None) -> Mapping[str, Entry]:
    """The entries of the box `data`; without `key` they have no values.

    Raises:
        MalformedBox: it is none, or an entry was changed or moved.
        WrongKey: it is one, and sealed with another key.
    """
    lock, check, rows = _fields(data)
    if key is not None:
        try:
            _open(check, [_CHECK, _lock_value(lock)], key)
        except CryptoError as failure:
            raise WrongKey("another key") from failure
    entries: dict[str, Entry] = {}
    for row in rows:
        entry = _entry(row, key)
        if entry.name in entries:
            raise MalformedBox(f"secret {entry.name!r} is there twice")
        entries[entry.name] = entry
    return entries


def _fields(data: bytes) -> tuple[Lock, bytes, list[Any]]:
    try:
        fields: Any = cbor.loads(data, size_max=BOX_BYTES_MAX)
    except MalformedCbor as malformed:
        raise MalformedBox("not a secrets box") from malformed
    if type(fields) is not dict or list(fields) != [1, 2, 3, 4] or fields[1] != _VERSION:
        raise MalformedBox("not a secrets box of this version")
    _, lock, check, rows = fields.values()
    if type(check) is not bytes or type(rows) is not list or len(rows) > NAMES_MAX:
        raise MalformedBox("a field has the wrong form")
    return _read_lock(lock), check, rows


def _lock_value(lock: Lock) -> dict[int, cbor.Value]:
    return {1: lock.kind.value, 2: lock.salt}


def _read_lock(value: Any) -> Lock:
    if type(value) is not dict or list(value) != [1, 2] or value[1] not in list(KeyKind):
        raise MalformedBox("a kind of key that is not known here")
    kind, salt = KeyKind(value[1]), value[2]
    if (type(salt) is bytes and len(salt) == SALT_BYTES) != (kind is KeyKind.PASSPHRASE):
        raise MalformedBox("a salt that does not fit the kind of key")
    return Lock(kind, salt)


def _entry(row: Any, key: bytes | None) -> Entry:
    if type(row) is not list or [type(item) for item in row] != [str, list, int, bytes]:
        raise MalformedBox("an entry has the wrong form")
    name, bindings, set_ms, sealed = row
    if not 0 < len(bindings) <= BINDINGS_MAX:
        raise MalformedBox("an entry with no or too many bindings")
    try:
        bound = tuple(SecretBinding.from_value(name, value) for value in bindings)
        if key is None:
            return Entry(name, bound, set_ms, None)
        value, retired = _content(_open(sealed, [_LABEL, name, bindings, set_ms], key))
        check_value(name, value)
    except CryptoError as failure:
        raise MalformedBox(f"the entry of {name!r} was changed or moved") from failure
    except MalformedSecret as malformed:
        raise MalformedBox(str(malformed)) from malformed
    return Entry(name, bound, set_ms, value, retired)


def _content(content: Any) -> tuple[str, tuple[Retired, ...]]:
    """The value and the old ones. What opened was sealed by us, so a bug is all it can hide."""
    value, retired = content
    return value, tuple(Retired(old, until_ms) for old, until_ms in retired)


def _seal(content: cbor.Value, bound: cbor.Value, key: bytes, draw: Draw) -> bytes:
    nonce = draw(NONCE_BYTES)
    sealed: bytes = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        cbor.dumps(content), cbor.dumps(bound), nonce, key
    )
    return nonce + sealed


def _open(sealed: bytes, bound: cbor.Value, key: bytes) -> cbor.Value:
    """What `_seal` sealed. Raises CryptoError."""
    nonce, box = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    if len(box) < sodium.crypto_aead_xchacha20poly1305_ietf_ABYTES:
        raise CryptoError("too short")
    return cbor.loads(
        sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(box, cbor.dumps(bound), nonce, key)
    )
