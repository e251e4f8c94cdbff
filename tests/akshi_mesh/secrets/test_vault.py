"""The box on the disk: private, whole, and opened with the kind of key it was made with."""

import errno
import os
from pathlib import Path

import pytest

from akshi_mesh.api.errors import BadRequest
from akshi_mesh.home import Home
from akshi_mesh.secrets import box
from akshi_mesh.secrets.box import KeyKind
from akshi_mesh.secrets.errors import (
    BoxDamaged,
    BoxFull,
    BoxLocked,
    BoxUnwritable,
    NoSuchSecret,
)
from akshi_mesh.secrets.vault import BOX_FILE, RETIRED_MS, Vault
from identity.errors import UnsafeFile
from sandbox.errors import MalformedSecret
from sandbox.secrets import SecretBinding
from tests.akshi_mesh.secrets.world import OTHER, VALUE, Ring, keys_of, new_home


def files_of(home: Home) -> list[str]:
    return [path.name for path in home.security.iterdir()]


BOUND = (SecretBinding.parse("token", "https://api.example.com"),)


def test_a_home_without_a_box_has_no_secrets_and_writes_none(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    vault = Vault.open(keys_of(home))
    assert dict(vault.entries) == {}
    assert vault.kind is None
    assert files_of(home) == []


def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    Vault.open(keys_of(home)).put("token", BOUND, VALUE, now_ms=5)
    entry = Vault.open(keys_of(home)).entry("token")
    assert (entry.value, entry.bindings, entry.set_ms) == (VALUE, BOUND, 5)


def test_the_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    before = os.umask(0)
    try:
        Vault.open(keys_of(home)).put("token", BOUND, VALUE, now_ms=5)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.security.iterdir()}
    assert modes == {BOX_FILE: 0o600, "secrets.key": 0o600}
    for path in home.security.iterdir():
        assert VALUE.encode() not in path.read_bytes()


@pytest.mark.parametrize("file", [BOX_FILE, "secrets.key"])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, file: str) -> None:
    home = new_home(tmp_path)
    Vault.open(keys_of(home)).put("token", BOUND, VALUE, now_ms=5)
    (home.security / file).chmod(0o640)
    with pytest.raises(UnsafeFile):
        Vault.open(keys_of(home))


def test_a_link_and_a_fifo_are_refused(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    vault = Vault.open(keys_of(home))
    vault.put("token", BOUND, VALUE, now_ms=5)
    path = home.security / BOX_FILE
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeFile):
        Vault.open(keys_of(home))
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(UnsafeFile):
        Vault.open(keys_of(home))


def test_a_box_that_is_none_is_told_by_its_path(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    path = home.security / BOX_FILE
    for content in (b"no box", b"x" * (box.BOX_BYTES_MAX + 1)):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(BoxDamaged, match=BOX_FILE):
            Vault.open(keys_of(home))


def test_a_box_whose_key_file_is_gone_is_locked_and_told_so(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    Vault.open(keys_of(home)).put("token", BOUND, VALUE, now_ms=5)
    key = (home.security / "secrets.key").read_bytes()
    (home.security / "secrets.key").unlink()
    vault = Vault.open(keys_of(home, passphrase=lambda: "guess"))
    assert "secrets.key" in vault.locked
    assert vault.entry("token").value is None
    with pytest.raises(BoxLocked):
        vault.put("token", BOUND, OTHER, now_ms=6)
    with pytest.raises(BoxLocked):
        vault.drop("token")
    vault.forget_retired(10**15)
    assert not (home.security / "secrets.key").exists()
    (home.security / "secrets.key").write_bytes(key[::-1])
    (home.security / "secrets.key").chmod(0o600)
    assert "no key" in Vault.open(keys_of(home)).locked
    (home.security / "secrets.key").write_bytes((bytes(32)).hex().encode())
    assert "does not open" in Vault.open(keys_of(home)).locked
    (home.security / "secrets.key").write_bytes(key)
    assert Vault.open(keys_of(home)).entry("token").value == VALUE


def test_a_real_keyring_goes_first_and_no_other_key_steps_in(tmp_path: Path) -> None:
    home, ring = new_home(tmp_path), Ring()
    vault = Vault.open(keys_of(home, ring=ring))
    vault.put("token", BOUND, VALUE, now_ms=5)
    assert vault.kind is KeyKind.KEYRING
    assert files_of(home) == [BOX_FILE]
    assert Vault.open(keys_of(home, ring=ring)).entry("token").value == VALUE
    assert "keyring" in Vault.open(keys_of(home)).locked
    assert "keyring" in Vault.open(keys_of(home, ring=Ring())).locked


def test_a_credential_of_systemd_goes_before_a_key_file(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    directory = tmp_path / "credentials"
    directory.mkdir()
    credential = directory / "akshi-secrets-key"
    environ = {"CREDENTIALS_DIRECTORY": str(directory)}
    for content in (os.urandom(32), os.urandom(32).hex().encode() + b"\n"):
        credential.write_bytes(content)
        credential.chmod(0o400)
        (home.security / BOX_FILE).unlink(missing_ok=True)
        vault = Vault.open(keys_of(home, environ=environ))
        vault.put("token", BOUND, VALUE, now_ms=5)
        assert vault.kind is KeyKind.SYSTEMD
        assert Vault.open(keys_of(home, environ=environ)).entry("token").value == VALUE
        assert "systemd" in Vault.open(keys_of(home)).locked
        credential.chmod(0o644)
        assert "others can read it" in Vault.open(keys_of(home, environ=environ)).locked
    assert not (home.security / "secrets.key").exists()


def test_where_the_node_key_is_sealed_the_box_is_sealed_with_a_passphrase(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    typed = ["open sesame"]
    keys = keys_of(home, passphrase=lambda: typed[0], wants_passphrase=True)
    vault = Vault.open(keys)
    vault.put("token", BOUND, VALUE, now_ms=5)
    assert vault.kind is KeyKind.PASSPHRASE
    assert files_of(home) == [BOX_FILE]
    assert Vault.open(keys).entry("token").value == VALUE
    typed[0] = "wrong"
    assert "passphrase does not open" in Vault.open(keys).locked
    assert "nobody can be asked" in Vault.open(keys_of(home)).locked
    typed[0] = ""
    with pytest.raises(BadRequest, match="empty"):
        Vault.open(keys)


def test_the_owner_may_choose_the_kind_of_key_once(tmp_path: Path) -> None:
    home, ring = new_home(tmp_path), Ring()
    vault = Vault.open(keys_of(home, ring=ring))
    vault.put("token", BOUND, VALUE, now_ms=5, kind=KeyKind.FILE)
    assert vault.kind is KeyKind.FILE
    vault.put("token", BOUND, OTHER, now_ms=5, kind=KeyKind.FILE)
    with pytest.raises(BadRequest, match="file already"):
        vault.put("token", BOUND, OTHER, now_ms=5, kind=KeyKind.KEYRING)
    with pytest.raises(BoxLocked):
        Vault.open(keys_of(new_home(tmp_path / "b"))).put(
            "token", BOUND, VALUE, now_ms=5, kind=KeyKind.SYSTEMD
        )


def test_old_values_are_kept_for_a_day_and_then_leave_the_disk(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    vault = Vault.open(keys_of(home))
    vault.put("token", BOUND, VALUE, now_ms=0)
    vault.put("token", BOUND, OTHER, now_ms=10)
    vault.put("token", BOUND, OTHER, now_ms=11)
    assert [old.value for old in vault.entry("token").retired] == [VALUE]
    vault.put("token", BOUND, OTHER, now_ms=9 + RETIRED_MS)
    assert [old.value for old in vault.entry("token").retired] == [VALUE]
    vault.forget_retired(10 + RETIRED_MS - 1)
    assert [o.value for o in Vault.open(keys_of(home)).entry("token").retired] == [VALUE]
    vault.forget_retired(10 + RETIRED_MS)
    assert Vault.open(keys_of(home)).entry("token").retired == ()


def test_a_change_takes_what_is_too_old_off_the_disk(tmp_path: Path) -> None:
    vault = Vault.open(keys_of(new_home(tmp_path)))
    vault.put("token", BOUND, VALUE, now_ms=0)
    vault.put("token", BOUND, OTHER, now_ms=10)
    vault.put("token", BOUND, OTHER, now_ms=10 + RETIRED_MS)
    assert vault.entry("token").retired == ()


def test_a_value_that_comes_back_is_not_old_any_more(tmp_path: Path) -> None:
    vault = Vault.open(keys_of(new_home(tmp_path)))
    for value in (VALUE, OTHER, VALUE):
        vault.put("token", BOUND, value, now_ms=0)
    assert [old.value for old in vault.entry("token").retired] == [OTHER]


def test_who_rotates_all_day_keeps_the_newest_old_values(tmp_path: Path) -> None:
    vault = Vault.open(keys_of(new_home(tmp_path)))
    for number in range(box.RETIRED_MAX + 3):
        vault.put("token", BOUND, f"a-long-value-number-{number}", now_ms=number)
    retired = [old.value for old in vault.entry("token").retired]
    assert retired == [f"a-long-value-number-{n}" for n in range(2, box.RETIRED_MAX + 2)]


def test_the_box_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "NAMES_MAX", 2)
    vault = Vault.open(keys_of(new_home(tmp_path)))
    for name in ("a", "b"):
        vault.put(name, (SecretBinding.parse(name, "a.example"),), VALUE, now_ms=0)
    vault.put("a", (SecretBinding.parse("a", "a.example"),), OTHER, now_ms=0)
    with pytest.raises(BoxFull):
        vault.put("c", (SecretBinding.parse("c", "a.example"),), VALUE, now_ms=0)
    for count in (0, box.BINDINGS_MAX + 1):
        with pytest.raises(BoxFull):
            vault.put("a", BOUND * count, VALUE, now_ms=0)


def test_what_is_refused_changes_nothing(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    vault = Vault.open(keys_of(home))
    vault.put("token", BOUND, VALUE, now_ms=0)
    before = (home.security / BOX_FILE).read_bytes()
    with pytest.raises(MalformedSecret):
        vault.put("token", BOUND, "short", now_ms=1)
    with pytest.raises(NoSuchSecret):
        vault.drop("other")
    assert (home.security / BOX_FILE).read_bytes() == before
    vault.drop("token")
    assert dict(Vault.open(keys_of(home)).entries) == {}


def test_a_disk_that_takes_nothing_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home(tmp_path)
    vault = Vault.open(keys_of(home))
    vault.put("token", BOUND, VALUE, now_ms=0)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("akshi_mesh.secrets.vault.write_private", full)
    for change in (
        lambda: vault.put("token", BOUND, OTHER, now_ms=1),
        lambda: vault.drop("token"),
    ):
        with pytest.raises(BoxUnwritable, match="no space left"):
            change()
    assert vault.entry("token").value == Vault.open(keys_of(home)).entry("token").value == VALUE
