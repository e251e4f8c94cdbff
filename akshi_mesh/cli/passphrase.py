"""What is secret and typed: from a terminal or a file, never from an argument."""

import getpass
import os
import stat
import sys
import warnings
from pathlib import Path

from akshi_mesh.errors import Refused, UsageError

FILE_VARIABLE = "AKSHI_PASSPHRASE_FILE"
_BYTES_MAX = 4096


class NoPassphrase(UsageError):
    """The key is sealed and nobody can be asked."""

    hint = f"run it on a terminal, or name a file of yours in {FILE_VARIABLE}"


def ask() -> str:
    """The passphrase of the key of this home."""
    return _ask("node key is")


def ask_secrets() -> str:
    """The passphrase of the secrets of this home."""
    return _ask("secrets are")


def _ask(what: str) -> str:
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return _from_file(Path(named))
    if not sys.stdin.isatty():
        raise NoPassphrase(f"the {what} sealed with a passphrase")
    return getpass.getpass(f"passphrase of the {what.rpartition(' ')[0]}: ")


def ask_new() -> str:
    """A new passphrase, typed twice."""
    named = os.environ.get(FILE_VARIABLE)
    if named:
        typed = _from_file(Path(named))
        if not typed:
            raise UsageError(f"{named}: an empty passphrase seals nothing")
        return typed
    if not sys.stdin.isatty():
        raise NoPassphrase("a passphrase is asked for on a terminal")
    first = getpass.getpass("new passphrase: ")
    if not first:
        raise UsageError("an empty passphrase seals nothing")
    if getpass.getpass("once more: ") != first:
        raise UsageError("the two passphrases differ")
    return first


def ask_value(name: str) -> str:
    """The value of the secret `name`: typed twice and not shown, or all of stdin but its end.

    Raises:
        UsageError: nothing that can be a secret; the message holds none of it.
    """
    if sys.stdin.isatty():
        with warnings.catch_warnings():
            # A terminal that cannot be kept from showing it is no place to type it.
            warnings.simplefilter("error", getpass.GetPassWarning)
            try:
                value = getpass.getpass(f"value of {name}: ")
                again = getpass.getpass("once more: ")
            except getpass.GetPassWarning as failure:
                raise UsageError("this terminal would show what is typed") from failure
        if value != again:
            raise UsageError("the two values differ")
        return value
    data = sys.stdin.buffer.read(_BYTES_MAX + 3)  # and the end of a line
    try:
        return data.removesuffix(b"\n").removesuffix(b"\r").decode("ascii")
    except UnicodeDecodeError:
        # Without the cause: that one holds the bytes.
        raise UsageError("want a value of printable ASCII on one line") from None


def _from_file(path: Path) -> str:
    """The first words of a file that only we can read; its directory may be anybody's."""
    try:
        # Not blocking: a fifo in this place is refused below instead of waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as failure:
        why = (failure.strerror or "unreadable").lower()
        raise UsageError(f"{FILE_VARIABLE}: {path}: {why}") from failure
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{FILE_VARIABLE}: {path}: not a regular file")
        if found.st_uid != os.geteuid():
            raise Refused(f"{FILE_VARIABLE}: {path}: belongs to another user")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise Refused(
                f"{FILE_VARIABLE}: {path}: others can read or write it", hint=f"chmod 600 {path}"
            )
        data = os.read(descriptor, _BYTES_MAX + 1)
    finally:
        os.close(descriptor)
    if len(data) > _BYTES_MAX:
        raise UsageError(f"{FILE_VARIABLE}: {path}: longer than {_BYTES_MAX} bytes")
    try:
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError as failure:
        raise UsageError(f"{path}: not utf-8") from failure
