"""The secrets of one home: read once, changed on the disk first, then in memory.

    security/secrets.box     0600 in 0700, ours, no link, no other kind of file; see `box`

A change is written beside, fsynced and renamed, so there is the old box or the new one. The key
stays in memory as long as the process: every change seals every entry again.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from akshi_mesh.api.errors import BadRequest
from akshi_mesh.secrets import box
from akshi_mesh.secrets.box import Entry, KeyKind, Lock, Retired
from akshi_mesh.secrets.data_key import KeySource
from akshi_mesh.secrets.errors import (
    BoxDamaged,
    BoxFull,
    BoxLocked,
    BoxUnwritable,
    NoSuchSecret,
)
from identity.errors import FileMissing, MalformedKeyFile
from identity.files import read_private, write_private
from sandbox.secrets import SecretBinding, check_value

BOX_FILE: Final = "secrets.box"
RETIRED_MS: Final = 24 * 3600 * 1000  # how long the last value may still come back from a server


class Vault:
    """What is in the box. `locked` says why there are no values, and is empty if there are."""

    def __init__(self, path: Path, keys: KeySource) -> None:
        self._path = path
        self._keys = keys
        self._lock: Lock | None = None
        self._key: bytes | None = None
        self._entries: dict[str, Entry] = {}
        self.locked = ""
        self.locked_hint = ""

    @classmethod
    def open(cls, keys: KeySource) -> Self:
        """The box of the home of `keys`, which may not be there yet. The home's lock is held.

        A key that is not to be had leaves the box locked; that is no error here.

        Raises:
            UnsafeFile: others could read it.
            BoxDamaged: it is no box, or an entry was changed or moved.
        """
        vault = cls(keys.home.security / BOX_FILE, keys)
        try:
            data = read_private(vault._path, bytes_max=box.BOX_BYTES_MAX)
        except FileMissing:
            return vault
        except MalformedKeyFile as malformed:
            raise BoxDamaged(str(vault._path), malformed.why) from malformed
        try:
            vault._unlock(data)
        except box.MalformedBox as malformed:
            raise BoxDamaged(str(vault._path), str(malformed)) from malformed
        return vault

    def silence(self) -> None:
        """From now on nobody is asked for a passphrase: the terminal is not ours any more."""
        self._keys = self._keys.silent()

    @property
    def kind(self) -> KeyKind | None:
        """Where the key is kept; None while there is no box."""
        return None if self._lock is None else self._lock.kind

    @property
    def entries(self) -> Mapping[str, Entry]:
        return self._entries

    def entry(self, name: str) -> Entry:
        """The entry of `name`. Raises NoSuchSecret."""
        if name not in self._entries:
            raise NoSuchSecret(name)
        return self._entries[name]

    def put(
        self,
        name: str,
        bindings: tuple[SecretBinding, ...],
        value: str,
        *,
        now_ms: int,
        kind: KeyKind | None = None,
    ) -> None:
        """Keep `value` under `name`; one that was there is retired. Durable when it returns.

        Args:
            name: of the secret; its bindings carry it, too.
            bindings: all there will be.
            value: checked here.
            now_ms: the wall clock.
            kind: of key, for a box that has none yet.

        Raises:
            MalformedSecret: the value cannot be used.
            BoxLocked, BoxFull, BadRequest, BoxUnwritable, UnsafeFile: nothing has changed.
        """
        check_value(name, value)
        self._require_key(kind)
        if not 0 < len(bindings) <= box.BINDINGS_MAX:
            raise BoxFull(f"want 1 to {box.BINDINGS_MAX} endpoints for a secret")
        if name not in self._entries and len(self._entries) >= box.NAMES_MAX:
            raise BoxFull(f"the box holds {box.NAMES_MAX} secrets, which is all it takes")
        retired = self._retired_of(name, value, now_ms)
        self._write({**self._entries, name: Entry(name, bindings, now_ms, value, retired)})

    def drop(self, name: str) -> Entry:
        """Forget `name` and all its values on the disk; what was there, for who must watch it."""
        entry = self.entry(name)
        self._require_key(None)
        self._write({other: kept for other, kept in self._entries.items() if other != name})
        return entry

    def forget_retired(self, now_ms: int) -> None:
        """Drop old values whose time is over, at the next change or now if there is one."""
        kept = {
            name: replace(
                entry, retired=tuple(old for old in entry.retired if old.until_ms > now_ms)
            )
            for name, entry in self._entries.items()
        }
        if kept != self._entries and self._key is not None:
            self._write(kept)

    def _retired_of(self, name: str, value: str, now_ms: int) -> tuple[Retired, ...]:
        entry = self._entries.get(name)
        if entry is None or entry.value is None:
            return ()
        retired = [old for old in entry.retired if old.until_ms > now_ms and old.value != value]
        if entry.value != value:
            retired.append(Retired(entry.value, now_ms + RETIRED_MS))
        return tuple(retired[-box.RETIRED_MAX :])

    def _unlock(self, data: bytes) -> None:
        self._lock = box.read_lock(data)
        self._entries = dict(box.load(data, None))
        try:
            key = self._keys.find(self._lock)
            self._entries = dict(box.load(data, key))
        except BoxLocked as locked:
            self.locked, self.locked_hint = str(locked), locked.hint
        except box.WrongKey:
            self.locked = f"the {self._lock.kind} does not open the secrets"
            self.locked_hint = "akshi-node secrets list"
        else:
            self._key = key

    def _require_key(self, kind: KeyKind | None) -> None:
        if self.locked:
            raise BoxLocked(self.locked, hint=self.locked_hint)
        if self._key is None:
            self._lock, self._key = self._keys.make(kind)
        elif kind is not None and self._lock is not None and kind is not self._lock.kind:
            raise BadRequest(f"the key of the secrets is in the {self._lock.kind} already")

    def _write(self, entries: dict[str, Entry]) -> None:
        assert self._lock is not None, "a key was made"
        assert self._key is not None, "a key was made"
        data = box.dump(entries.values(), self._lock, self._key, draw=secrets.token_bytes)
        try:
            write_private(self._path, data)
        except OSError as failure:
            why = (failure.strerror or "unwritable").lower()
            raise BoxUnwritable(f"{self._path}: {why}") from failure
        self._entries = entries
