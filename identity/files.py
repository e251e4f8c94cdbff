"""The security directory of a node's home: its key, whom it trusts, its revocation.

    $AKSHI_HOME_DIR/security/          0700
        node_key.pem                   0600, never overwritten
        revocation.cbor                0600, to be copied to where the key is not
        trust.json                     0600

A file is written beside its place, fsynced, renamed, and its directory fsynced: after a power cut
there is the old one or the new one, never half of one. What others could read is refused.
"""

import os
import secrets
import stat
import time
from pathlib import Path
from typing import Final

from identity import key_file
from identity.envelope import ENVELOPE_BYTES_MAX, NETWORK, NONCE_BYTES
from identity.errors import (
    FileExists,
    FileMissing,
    MalformedKey,
    MalformedKeyFile,
    MalformedTrust,
    UnsafeFile,
)
from identity.keys import SEED_BYTES, SigningKey
from identity.revocation import seal_revocation
from identity.trust import JSON_LENGTH_MAX, TrustStore

SECURITY: Final = "security"
NODE_KEY: Final = "node_key.pem"
REVOCATION: Final = "revocation.cbor"
TRUST: Final = "trust.json"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def create_node_key(
    home: Path, passphrase: str | None = None, *, network: str = NETWORK
) -> SigningKey:
    """Make a key and its revocation in a home that has none.

    Raises:
        FileExists: there is a key. It is never overwritten: it is the node's name.
        UnsafeFile: the directory is readable by others.
        MalformedKey: an empty passphrase.
    """
    directory = home / SECURITY
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    _check_directory(directory)
    key = SigningKey.from_seed(secrets.token_bytes(SEED_BYTES))
    if passphrase is None:
        pem = key_file.write_plain(key.seed)
    else:
        pem = key_file.write_sealed(
            key.seed,
            passphrase,
            salt=secrets.token_bytes(key_file.SALT_BYTES),
            nonce=secrets.token_bytes(key_file.NONCE_BYTES),
        )
    # The key first, and never over another: of two that race here, one loses before it has
    # written a revocation for a key that nobody holds.
    write_private(directory / NODE_KEY, pem, replace=False)
    revocation = seal_revocation(
        key,
        network=network,
        nonce=secrets.token_bytes(NONCE_BYTES),
        issued_ms=time.time_ns() // 1_000_000,
    )
    write_private(directory / REVOCATION, revocation)
    return key


def load_node_key(home: Path, passphrase: str | None = None) -> SigningKey:
    """The node's key.

    Raises:
        FileMissing: no `init` here yet.
        UnsafeFile: readable by others, a link, or somebody else's.
        MalformedKeyFile: not a key in a form that we read.
        PassphraseNeeded, WrongPassphrase: it is sealed.

    Cost: 0.4 s and 256 MiB when sealed, else nothing.
    """
    path = home / SECURITY / NODE_KEY
    data = read_private(path, bytes_max=key_file.FILE_BYTES_MAX)
    try:
        return SigningKey.from_seed(key_file.read(data, passphrase, path=str(path)))
    except MalformedKey as failure:
        raise MalformedKeyFile(str(path), str(failure)) from failure


def load_revocation(home: Path) -> bytes:
    """The bytes of the node's own revocation, for `open_revocation` or for keeping elsewhere."""
    return read_private(home / SECURITY / REVOCATION, bytes_max=ENVELOPE_BYTES_MAX)


def load_trust(home: Path) -> TrustStore:
    """Whom this node trusts; nobody if nobody was ever added.

    Raises:
        UnsafeFile: as `load_node_key`.
        MalformedTrust: the file is not what `save_trust` writes.
    """
    path = home / SECURITY / TRUST
    try:
        data = read_private(path, bytes_max=JSON_LENGTH_MAX)
    except FileMissing:
        return TrustStore()
    try:
        return TrustStore.from_json(data.decode())
    except UnicodeDecodeError as failure:
        raise MalformedTrust("the file is not utf-8") from failure


def save_trust(home: Path, store: TrustStore) -> None:
    """Durable when it returns: a removed trust does not come back with the power."""
    write_private(home / SECURITY / TRUST, store.to_json().encode())


def write_private(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Put `data` at `path`, 0600, whole or not at all, and durable when it returns.

    Raises:
        FileExists: something is there and `replace` is false.
        UnsafeFile: the directory is readable by others.
        FileMissing: there is no such directory.
        OSError: the disk is full, read-only, or broken; what was at `path` is still there.
    """
    _check_directory(path.parent)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            beside.replace(path)
        else:
            path.hardlink_to(beside)  # unlike rename, a link never replaces
    except FileExistsError as failure:
        raise FileExists(str(path)) from failure
    finally:
        beside.unlink(missing_ok=True)
    _fsync_directory(path.parent)


def read_private(path: Path, *, bytes_max: int) -> bytes:
    """The content of a file that only we can read.

    Raises:
        FileMissing, UnsafeFile; MalformedKeyFile if longer than `bytes_max`.
    """
    _check_directory(path.parent)
    try:
        # Not blocking: a fifo in this place is refused below instead of waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as failure:
        raise FileMissing(str(path)) from failure
    except OSError as failure:
        raise UnsafeFile(str(path), f"cannot be opened: {failure.strerror}".lower()) from failure
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeFile(str(path), "not a regular file")
        _check_owner_and_mode(path, found, remedy="0600")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(bytes_max + 1)
    finally:
        os.close(descriptor)
    if len(data) > bytes_max:
        raise MalformedKeyFile(str(path), f"longer than {bytes_max} bytes")
    return data


def _check_directory(directory: Path) -> None:
    try:
        found = directory.lstat()
    except FileNotFoundError as failure:
        raise FileMissing(str(directory)) from failure
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeFile(str(directory), "not a directory")
    _check_owner_and_mode(directory, found, remedy="0700")


def _check_owner_and_mode(path: Path, found: os.stat_result, *, remedy: str) -> None:
    if found.st_uid != os.geteuid():
        raise UnsafeFile(str(path), f"belongs to user {found.st_uid}, not to us")
    if found.st_mode & _OTHERS:
        why = f"mode {stat.S_IMODE(found.st_mode):04o} lets others in"
        raise UnsafeFile(str(path), why, hint=f"chmod {remedy} {path}")


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
