"""The key of the secrets box: made once, found again at every start.

A new box takes the first that is there, and writes down which:

    keyring      of the operating system, if a real one answers (extra `keyring`)
    systemd      `$CREDENTIALS_DIRECTORY/akshi-secrets-key`, from LoadCredentialEncrypted=
    file         security/secrets.key, 0600 and ours
    passphrase   stretched with argon2id, 0.4 s and 256 MiB

Where there is neither of the first two, a home whose node key is sealed gets a passphrase, and any
other gets a key file: that one protects copies of the box, not a stolen home. A box is only ever
opened with the kind of key it was made with: one that is gone locks it, and no other steps in.
"""

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, Self

from nacl.pwhash import argon2id

from akshi_mesh.api.errors import BadRequest
from akshi_mesh.home import Home
from akshi_mesh.secrets.box import KEY_BYTES, SALT_BYTES, KeyKind, Lock
from akshi_mesh.secrets.errors import BoxLocked
from identity.errors import FileExists, FileMissing
from identity.files import read_private, write_private

KEY_FILE: Final = "secrets.key"
CREDENTIAL: Final = "akshi-secrets-key"
SERVICE: Final = "akshi-mesh secrets"
CREDENTIAL_BYTES_MAX: Final = 1_024
# Of keyrings: those that say they are none, and those that keep a readable file.
_UNREAL: Final = ("keyring.backends.fail", "keyring.backends.null", "keyrings.alt")


class Keyring(Protocol):
    """The little that we ask of the operating system's keyring."""

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where this process may look for keys.

    Attributes:
        passphrase: asks a person, or is None where nobody can be asked.
        new_passphrase: as that, for a box that is to be made.
        wants_passphrase: whether the node key is sealed: a key file would be the way around.
        keyring: finds the real one, or None.
    """

    home: Home
    environ: Mapping[str, str]
    passphrase: Callable[[], str] | None
    new_passphrase: Callable[[], str] | None
    wants_passphrase: Callable[[], bool]
    keyring: Callable[[], Keyring | None]

    def silent(self) -> Self:
        """The same, where nobody can be asked: a node that runs."""
        return replace(self, passphrase=None, new_passphrase=None)

    def make(self, kind: KeyKind | None) -> tuple[Lock, bytes]:
        """A key for a box that is to be made, of `kind` or of the first kind that is there.

        Raises:
            BoxLocked: that kind is not to be had.
        """
        if kind is None:
            kind = self._first()
        if kind is KeyKind.PASSPHRASE:
            salt = secrets.token_bytes(SALT_BYTES)
            return Lock(kind, salt), _stretched(self.new_passphrase, salt)
        lock = Lock(kind)
        if kind is KeyKind.KEYRING:
            ring = self._ring()
            if ring.get_password(SERVICE, self._account) is None:
                ring.set_password(SERVICE, self._account, _text(secrets.token_bytes(KEY_BYTES)))
        elif kind is KeyKind.FILE:
            key = _text(secrets.token_bytes(KEY_BYTES)).encode() + b"\n"
            with suppress(FileExists):  # of a box that was deleted; its key is as good as new
                write_private(self._key_file, key, replace=False)
        return lock, self.find(lock)

    def find(self, lock: Lock) -> bytes:
        """The key of a box that says `lock`.

        Raises:
            BoxLocked: it is not to be had here and now.
        """
        match lock.kind:
            case KeyKind.KEYRING:
                return _key(self._ring().get_password(SERVICE, self._account), "the keyring")
            case KeyKind.SYSTEMD:
                return self._credential()
            case KeyKind.FILE:
                return self._from_file()
            case KeyKind.PASSPHRASE:
                assert lock.salt is not None, "a box sealed with a passphrase has a salt"
                return _stretched(self.passphrase, lock.salt)

    @property
    def _account(self) -> str:
        return str(self.home.path)

    @property
    def _key_file(self) -> Path:
        return self.home.security / KEY_FILE

    def _first(self) -> KeyKind:
        if self.keyring() is not None:
            return KeyKind.KEYRING
        if self._credential_path() is not None:
            return KeyKind.SYSTEMD
        if self.wants_passphrase() and not self._key_file.exists():
            return KeyKind.PASSPHRASE
        return KeyKind.FILE

    def _ring(self) -> Keyring:
        ring = self.keyring()
        if ring is None:
            raise BoxLocked(
                "the key of the secrets is in a keyring, and none answers here",
                hint="pip install 'akshi-mesh[keyring]', and unlock it",
            )
        return ring

    def _credential_path(self) -> Path | None:
        directory = self.environ.get("CREDENTIALS_DIRECTORY", "")
        path = Path(directory) / CREDENTIAL
        return path if directory.startswith("/") and os.path.lexists(path) else None

    def _credential(self) -> bytes:
        path = self._credential_path()
        if path is None:
            raise BoxLocked(
                f"systemd handed over no credential {CREDENTIAL}",
                hint=f"add LoadCredentialEncrypted={CREDENTIAL} to the unit, and start it there",
            )
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as failure:
            why = (failure.strerror or "unreadable").lower()
            raise BoxLocked(f"{path}: {why}", hint="systemctl cat akshi-node") from failure
        try:
            found = os.fstat(descriptor)
            # systemd may keep it as root's and let us in by an access list, which shows as group.
            if found.st_uid not in {0, os.geteuid()} or found.st_mode & stat.S_IRWXO:
                raise BoxLocked(f"{path}: others can read it", hint="systemctl cat akshi-node")
            data = os.read(descriptor, CREDENTIAL_BYTES_MAX + 1)
        finally:
            os.close(descriptor)
        return data if len(data) == KEY_BYTES else _key(data.decode("latin-1"), str(path))

    def _from_file(self) -> bytes:
        try:
            data = read_private(self._key_file, bytes_max=CREDENTIAL_BYTES_MAX)
        except FileMissing as failure:
            raise BoxLocked(
                f"the key of the secrets is gone: {self._key_file}",
                hint=f"put a copy of {KEY_FILE} back",
            ) from failure
        return _key(data.decode("latin-1"), str(self._key_file))


class SystemKeyring:
    """A real keyring of this system. What it refuses locks the box."""

    def __init__(self, found: Any, errors: type[Exception]) -> None:
        self._found = found
        self._errors = errors

    def get_password(self, service: str, username: str) -> str | None:
        try:
            kept: str | None = self._found.get_password(service, username)
        except self._errors as failure:
            raise _keyring_refused(failure) from failure
        return kept

    def set_password(self, service: str, username: str, password: str) -> None:
        try:
            self._found.set_password(service, username, password)
        except self._errors as failure:
            # Without the cause: that one may hold what was to be kept.
            raise _keyring_refused(failure) from None


def system_keyring() -> Keyring | None:
    """The keyring of this system, if the extra is installed and a real one answers."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        found: Any = keyring.get_keyring()
        backends = getattr(found, "backends", [found])  # of one that asks several in turn
        if any(type(b).__module__.startswith(_UNREAL) or b.priority < 1 for b in backends):
            return None
    except (KeyringError, RuntimeError):  # what a backend says that cannot run here
        return None
    return SystemKeyring(found, KeyringError)


def _keyring_refused(failure: Exception) -> BoxLocked:
    return BoxLocked(f"the keyring refused: {type(failure).__name__}", hint="unlock it")


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def _key(text: str | None, where: str) -> bytes:
    """The key written as base64 or hex.

    Raises:
        BoxLocked: there is none.
    """
    written = (text or "").strip()
    for read in (bytes.fromhex, lambda t: base64.b64decode(t, validate=True)):
        try:
            key: bytes = read(written)
        except (ValueError, binascii.Error):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise BoxLocked(
        f"{where} holds no key of {KEY_BYTES} bytes in base64 or hex",
        hint="put the key back that this box was made with",
    )


def _stretched(passphrase: Callable[[], str] | None, salt: bytes) -> bytes:
    if passphrase is None:
        raise BoxLocked(
            "the secrets are sealed with a passphrase, and nobody can be asked here",
            hint="akshi-node stop, then the same command again",
        )
    typed = passphrase()
    if not typed:
        raise BadRequest("an empty passphrase seals nothing")
    stretched: bytes = argon2id.kdf(
        KEY_BYTES,
        typed.encode("utf-8", "surrogateescape"),
        salt,
        opslimit=argon2id.OPSLIMIT_MODERATE,
        memlimit=argon2id.MEMLIMIT_MODERATE,
    )
    return stretched
