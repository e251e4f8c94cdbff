"""Which keyring is real, and what stands in a key file."""

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from akshi_mesh.secrets.box import KeyKind, Lock
from akshi_mesh.secrets.data_key import CREDENTIAL, KEY_FILE, system_keyring
from akshi_mesh.secrets.errors import BoxLocked
from tests.akshi_mesh.secrets.world import Ring, keys_of, new_home

FILE = Lock(KeyKind.FILE)


def ring(module: str, priority: float, **more: object) -> Any:
    return type("Keyring", (), {"__module__": module, "priority": priority, **more})()


WORKING = {
    "get_password": lambda self, service, name: self.kept[service, name],
    "set_password": lambda self, service, name, word: self.kept.__setitem__((service, name), word),
    "kept": {},
}


def installed(monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    """A `keyring` package that finds this, or raises it."""
    package, errors = ModuleType("keyring"), ModuleType("keyring.errors")

    class KeyringError(Exception):
        pass

    def get_keyring() -> Any:
        if found is KeyringError or isinstance(found, Exception):
            raise found
        return found

    package.get_keyring = get_keyring  # type: ignore[attr-defined]
    package.errors = errors  # type: ignore[attr-defined]
    errors.KeyringError = KeyringError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", package)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)


def test_without_the_extra_there_is_no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert system_keyring() is None


def test_a_keyring_of_the_system_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (
        ring("keyring.backends.SecretService", 5, **WORKING),
        ring("keyring.backends.chainer", 10, backends=[ring("keyring.kwallet", 4.9)], **WORKING),
    ):
        installed(monkeypatch, found)
        taken = system_keyring()
        assert taken is not None
        taken.set_password("a", "b", "c")
        assert taken.get_password("a", "b") == "c"


@pytest.mark.parametrize(
    "found",
    [
        ring("keyring.backends.fail", 0),
        ring("keyring.backends.null", 1),
        ring("keyrings.alt.file", 1),
        ring("keyring.backends.SecretService", 0.5),
        ring("keyring.backends.chainer", 10, backends=[ring("keyrings.alt.file", 1)]),
        RuntimeError("no bus"),
    ],
)
def test_a_keyring_that_is_none_or_keeps_a_readable_file_is_not(
    monkeypatch: pytest.MonkeyPatch, found: Any
) -> None:
    installed(monkeypatch, found)
    assert system_keyring() is None


def test_a_keyring_that_is_locked_locks_the_box_and_repeats_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(self: object, *words: str) -> None:
        raise sys.modules["keyring.errors"].KeyringError(f"locked: {words}")

    installed(monkeypatch, ring("real", 5, get_password=refuse, set_password=refuse))
    locked = system_keyring()
    assert locked is not None
    with pytest.raises(BoxLocked, match="keyring refused: KeyringError"):
        keys_of(new_home(tmp_path), ring=locked).find(Lock(KeyKind.KEYRING))
    with pytest.raises(BoxLocked) as refused:
        locked.set_password("a", "b", "planted")
    assert "planted" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_a_key_is_written_once_and_found_again(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    keys = keys_of(home)
    lock, key = keys.make(None)
    assert lock == FILE
    assert len(key) == 32
    assert keys.make(KeyKind.FILE) == (lock, key)
    assert keys.find(lock) == key
    other = new_home(tmp_path / "other")
    assert keys_of(other).make(None)[1] != key


def test_a_key_in_the_keyring_belongs_to_one_home(tmp_path: Path) -> None:
    kept = Ring()
    keys = keys_of(new_home(tmp_path), ring=kept)
    lock, key = keys.make(None)
    assert keys.make(None) == (lock, key)
    assert keys.find(lock) == key
    assert keys_of(new_home(tmp_path / "other"), ring=kept).make(None)[1] != key


@pytest.mark.parametrize("content", [b"", b"x", b"\xff" * 44, b"ab" * 31, b"A" * 43, bytes(2_000)])
def test_what_is_no_key_locks_the_box(tmp_path: Path, content: bytes) -> None:
    home = new_home(tmp_path)
    path = home.security / KEY_FILE
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises((BoxLocked, ValueError)):
        keys_of(home).find(FILE)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_credential_of_another_user_is_refused(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    directory = tmp_path / "credentials"
    directory.mkdir()
    path = directory / CREDENTIAL
    path.write_bytes(bytes(32))
    path.chmod(0o400)
    os.chown(path, 65_534, 65_534)
    with pytest.raises(BoxLocked, match="others"):
        keys_of(home, environ={"CREDENTIALS_DIRECTORY": str(directory)}).make(None)
    with pytest.raises(BoxLocked, match="no credential"):
        keys_of(home, environ={"CREDENTIALS_DIRECTORY": "relative"}).find(Lock(KeyKind.SYSTEMD))
