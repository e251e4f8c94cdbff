"""The passphrase of a sealed key: from a terminal or a file, never from an argument."""

import getpass
import os
import sys
from pathlib import Path

from akshi_mesh.errors import UsageError

FILE_VARIABLE = "AKSHI_PASSPHRASE_FILE"
_BYTES_MAX = 4096


class NoPassphrase(UsageError):
    """The key is sealed and nobody can be asked."""

    hint = f"run it on a terminal, or name a file of yours in {FILE_VARIABLE}"


def ask() -> str:
    """The passphrase of the key of this home."""
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return _from_file(Path(named))
    if not sys.stdin.isatty():
        raise NoPassphrase("the node key is sealed with a passphrase")
    return getpass.getpass("passphrase of the node key: ")


def ask_new() -> str:
    """A new passphrase, typed twice."""
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return _from_file(Path(named))
    if not sys.stdin.isatty():
        raise NoPassphrase("a passphrase is asked for on a terminal")
    first = getpass.getpass("new passphrase: ")
    if not first:
        raise UsageError("an empty passphrase seals nothing")
    if getpass.getpass("once more: ") != first:
        raise UsageError("the two passphrases differ")
    return first


def _from_file(path: Path) -> str:
    from identity.files import read_private

    data = read_private(path, bytes_max=_BYTES_MAX)
    try:
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError as failure:
        raise UsageError(f"{path}: not utf-8") from failure
