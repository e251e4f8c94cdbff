"""The security directory: private, whole after a power cut, and never a key over another."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from identity import Right, TrustStore, files
from identity.errors import (
    FileExists,
    FileMissing,
    MalformedKey,
    MalformedKeyFile,
    MalformedTrust,
    PassphraseNeeded,
    UnsafeFile,
    WrongPassphrase,
)
from identity.revocation import open_revocation
from tests.strategies import key_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    files.create_node_key(tmp_path / "home")
    return tmp_path / "home"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def key_path(home: Path) -> Path:
    return home / files.SECURITY / files.NODE_KEY


def test_a_created_key_is_loaded_and_its_revocation_revokes_it(home: Path) -> None:
    key = files.load_node_key(home)
    assert open_revocation(files.load_revocation(home), network="akshi") == key.public_key
    assert sorted(path.name for path in (home / files.SECURITY).iterdir()) == [
        "node_key.pem",
        "revocation.cbor",
    ]


def test_nobody_else_can_look_in_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files.create_node_key(tmp_path / "home")
        files.save_trust(tmp_path / "home", TrustStore())
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "home") == mode_of(tmp_path / "home" / files.SECURITY) == 0o700
    for path in (tmp_path / "home" / files.SECURITY).iterdir():
        assert mode_of(path) == 0o600


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to ask")
def test_openssl_reads_the_same_key(home: Path) -> None:
    asked = subprocess.run(
        ["openssl", "pkey", "-in", key_path(home), "-pubout", "-outform", "DER"],
        capture_output=True,
        check=True,
    )
    assert asked.stdout[-32:] == files.load_node_key(home).public_key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to ask")
def test_a_key_of_openssl_is_read(home: Path) -> None:
    made = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True
    )
    key_path(home).write_bytes(made.stdout)
    asked = subprocess.run(
        ["openssl", "pkey", "-pubout", "-outform", "DER"],
        input=made.stdout,
        capture_output=True,
        check=True,
    )
    assert files.load_node_key(home).public_key == asked.stdout[-32:]


def test_a_key_is_never_overwritten(home: Path) -> None:
    key = files.load_node_key(home)
    revocation = files.load_revocation(home)
    with pytest.raises(FileExists):
        files.create_node_key(home)
    assert files.load_node_key(home).public_key == key.public_key
    assert files.load_revocation(home) == revocation
    assert len(list((home / files.SECURITY).iterdir())) == 2


def test_a_passphrase_seals_the_key(tmp_path: Path) -> None:
    key = files.create_node_key(tmp_path, "correct horse", network="test")
    assert files.load_node_key(tmp_path, "correct horse").public_key == key.public_key
    assert open_revocation(files.load_revocation(tmp_path), network="test") == key.public_key
    with pytest.raises(PassphraseNeeded):
        files.load_node_key(tmp_path)
    with pytest.raises(WrongPassphrase):
        files.load_node_key(tmp_path, "battery staple")


def test_an_empty_passphrase_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(MalformedKey):
        files.create_node_key(tmp_path, "")
    assert list((tmp_path / files.SECURITY).iterdir()) == []


def test_a_home_without_a_key_says_what_to_type(tmp_path: Path) -> None:
    for load in (files.load_node_key, files.load_trust):
        if load is files.load_node_key:
            with pytest.raises(FileMissing) as missing:
                load(tmp_path)
            assert missing.value.hint == "akshi-node init"
        else:
            assert load(tmp_path) == TrustStore()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_a_file_that_others_may_touch_is_refused(home: Path, mode: int) -> None:
    key_path(home).chmod(mode)
    with pytest.raises(UnsafeFile, match=f"{mode:04o}") as refused:
        files.load_node_key(home)
    assert refused.value.hint == f"chmod 0600 {key_path(home)}"


def test_a_directory_that_others_may_enter_is_refused(home: Path) -> None:
    (home / files.SECURITY).chmod(0o750)
    with pytest.raises(UnsafeFile) as refused:
        files.load_node_key(home)
    assert refused.value.hint == f"chmod 0700 {home / files.SECURITY}"
    with pytest.raises(UnsafeFile):
        files.save_trust(home, TrustStore())


def test_a_link_is_refused_and_so_is_what_is_no_file(home: Path) -> None:
    path = key_path(home)
    path.rename(home / "elsewhere.pem")
    path.symlink_to(home / "elsewhere.pem")
    with pytest.raises(UnsafeFile, match="cannot be opened"):
        files.load_node_key(home)
    path.unlink()
    path.mkdir(mode=0o700)
    with pytest.raises(UnsafeFile, match="not a regular file"):
        files.load_node_key(home)
    path.rmdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(UnsafeFile, match="not a regular file"):
        files.load_node_key(home)


def test_a_linked_directory_is_refused(home: Path) -> None:
    (home / files.SECURITY).rename(home / "moved")
    (home / files.SECURITY).symlink_to(home / "moved")
    with pytest.raises(UnsafeFile, match="not a directory"):
        files.load_node_key(home)


def test_what_belongs_to_another_user_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid + 1)
    with pytest.raises(UnsafeFile, match="belongs to user"):
        files.load_node_key(home)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"x" * 5000])
def test_what_is_no_key_is_named(home: Path, content: bytes) -> None:
    key_path(home).write_bytes(content)
    with pytest.raises(MalformedKeyFile) as refused:
        files.load_node_key(home)
    assert refused.value.path == str(key_path(home))


def test_trust_is_saved_and_loaded(home: Path) -> None:
    assert files.load_trust(home) == TrustStore()
    store = TrustStore().add(key_of(1).public_key, petname="a", rights=[Right.parse("a2a:*")])
    files.save_trust(home, store)
    assert files.load_trust(home) == store
    files.save_trust(home, store.remove(key_of(1).public_key))
    assert len(files.load_trust(home)) == 0


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_damaged_trust_is_malformed_and_trusts_nobody(home: Path, content: bytes) -> None:
    path = home / files.SECURITY / files.TRUST
    files.write_private(path, content)
    with pytest.raises(MalformedTrust):
        files.load_trust(home)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_when_a_step_of_writing_fails_the_old_file_is_whole(
    home: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store = TrustStore().add(key_of(1).public_key)
    files.save_trust(home, store)

    def no_space(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), no_space)
    with pytest.raises(OSError, match="No space"):
        files.save_trust(home, TrustStore())
    monkeypatch.undo()
    assert files.load_trust(home) == store
    assert not [path for path in (home / files.SECURITY).iterdir() if path.name.startswith(".")]


def test_the_file_is_on_disk_before_its_name_and_the_name_before_we_return(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        steps.append("fsync directory" if is_directory else "fsync file")
        fsync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    files.save_trust(home, TrustStore())
    assert steps == ["fsync file", "rename", "fsync directory"]
