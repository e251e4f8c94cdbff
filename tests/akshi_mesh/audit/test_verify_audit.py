"""Promise 4: an outsider notices every edit, deletion, exchange and cut of an exported log."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from akshi_mesh.audit import verify_audit
from akshi_mesh.audit.export import export_directory, log_files, selection, write_bundle
from akshi_mesh.audit.note import Checkpoint, open_note, origin_of
from akshi_mesh.audit.tiles import entry_bundle, read_bundle
from identity.keys import SigningKey
from tests.akshi_mesh.audit.logs import KEY, SmallLog
from tests.vectors.load import vectors

DID = str(KEY.did)


def refused(files: dict[str, bytes], did: str = DID, kept: bytes | None = None) -> bool:
    try:
        verify_audit.verify(files, did, kept)
    except verify_audit.MALFORMED:
        return True
    return False


@pytest.fixture(scope="module")
def small() -> dict[str, bytes]:
    log = SmallLog()
    log.add(5)
    return log.files()


@pytest.fixture(scope="module")
def large() -> dict[str, bytes]:
    log = SmallLog()
    log.add(600)
    return log.files()


def test_a_sound_log_is_verified(small: dict[str, bytes], large: dict[str, bytes]) -> None:
    assert "5 of 5 records verified" in verify_audit.verify(small, DID)
    assert "600 of 600 records verified" in verify_audit.verify(large)
    assert {"tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"} <= large.keys()


def test_an_empty_log_is_verified() -> None:
    assert "0 of 0 records" in verify_audit.verify(SmallLog().files(), DID)


def test_every_changed_byte_of_every_file_is_noticed(small: dict[str, bytes]) -> None:
    for name, data in small.items():
        for at in range(len(data)):
            for flip in (1, 0x80):
                changed = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
                assert refused({**small, name: changed}), f"{name} at {at}"


def test_every_cut_and_every_longer_file_is_noticed(small: dict[str, bytes]) -> None:
    for name, data in small.items():
        for end in range(len(data)):
            assert refused({**small, name: data[:end]}), f"{name} cut at {end}"
        assert refused({**small, name: data + b"\n"})
        assert refused({**small, name: data + bytes(32)})


def test_every_missing_file_is_noticed(large: dict[str, bytes]) -> None:
    for name in large:
        assert refused({other: data for other, data in large.items() if other != name}), name


def test_exchanged_files_and_exchanged_records_are_noticed(large: dict[str, bytes]) -> None:
    for kind in ("entries", "0"):
        one, two = f"tile/{kind}/000", f"tile/{kind}/001"
        assert refused({**large, one: large[two], two: large[one]})
    entries = read_bundle(large["tile/entries/000"])
    entries[3], entries[4] = entries[4], entries[3]
    assert refused({**large, "tile/entries/000": entry_bundle(entries)})


def test_a_record_that_was_written_anew_with_all_its_hashes_is_not_what_was_signed(
    small: dict[str, bytes], large: dict[str, bytes]
) -> None:
    """Entry and leaf changed together; or a hash above alone."""
    entries = read_bundle(small["tile/entries/000.p/5"])
    entries[2] = entries[2][:-1] + b"\x07"
    tile = bytearray(small["tile/0/000.p/5"])
    tile[64:96] = verify_audit.leaf_hash(entries[2])
    changed = {"tile/entries/000.p/5": entry_bundle(entries), "tile/0/000.p/5": bytes(tile)}
    assert refused({**small, **changed})
    above = large["tile/1/000.p/2"]
    assert refused({**large, "tile/1/000.p/2": above[:40] + bytes([above[40] ^ 1]) + above[41:]})


def test_a_log_that_lost_its_newest_records_is_not_what_was_signed() -> None:
    """Cut back whole, with a proper tree but without the key."""
    log = SmallLog()
    log.add(5)
    note = log.notary.checkpoint()
    shorter = SmallLog()
    shorter.add(4)
    assert refused({**shorter.files(), "checkpoint": note})


def test_a_log_of_another_node_is_not_taken_for_ours(small: dict[str, bytes]) -> None:
    other = SigningKey.from_seed(b"o" * 32)
    assert refused(small, str(other.did))
    text = small["checkpoint"].split(b"\n")
    root = verify_audit.decode64(text[2].decode())
    forged = Checkpoint(origin_of(other.public_key), 5, root).signed(other)
    assert refused({**small, "checkpoint": forged})
    assert "5 of 5" in verify_audit.verify({**small, "checkpoint": forged}, str(other.did))


def test_an_earlier_checkpoint_finds_a_history_that_was_written_anew() -> None:
    """Even by whoever has the key."""
    log = SmallLog()
    log.add(300)
    kept = log.notary.checkpoint()
    log.add(10)
    assert "310 of 310" in verify_audit.verify(log.files(), DID, kept)
    forked = SmallLog()
    forked.note(320)
    assert refused(forked.files(), DID, kept)
    short = SmallLog()
    short.add(299)
    assert refused(short.files(), DID, kept)


def test_pruned_records_are_missing_by_right_and_others_are_not() -> None:
    log = SmallLog(days=1)
    log.note(300)
    log.now_ms += 2 * 24 * 3600 * 1000
    log.note(10)
    assert not log.retention.turn()
    files = log.files()
    assert "tile/entries/000" not in files
    assert "tile/remaining/001.p/55" in files
    assert "11 of 311 records verified" in verify_audit.verify(files, DID)
    assert log.book.check(KEY.public_key) == []
    del files["tile/remaining/001.p/55"]
    assert refused(files)


def test_one_record_more_than_was_pruned_is_missed() -> None:
    log = SmallLog(days=1)
    log.note(10)
    log.now_ms += 2 * 24 * 3600 * 1000
    log.note(3)
    assert not log.retention.turn()
    files = log.files()
    name = "tile/remaining/000.p/14"
    entries = read_bundle(files[name])
    assert [bool(entry) for entry in entries] == [False] * 10 + [True] * 4
    entries[10] = b""
    assert refused({**files, name: entry_bundle(entries)})


def test_single_records_are_proved_without_the_others() -> None:
    log = SmallLog()
    log.add(600)
    files = dict(selection(log.book, log.notary.checkpoint(), [1, 257, 600]))
    assert "3 of 600 records verified" in verify_audit.verify(files, DID)
    for wrong in (b'"seq": 1,', b'"seq": 257,'):
        assert refused({**files, "records.json": files["records.json"].replace(wrong, b'"seq":2,')})
    assert refused(files, kept=files["checkpoint"])


def test_the_verifier_reads_what_another_log_signed() -> None:
    """Its own parser against tessera's checkpoints, and its tree against tessera's roots."""
    tessera = vectors("tlog")["tessera"]
    name, _, encoded = tessera["vkey"].split("+", 2)
    key = verify_audit.decode64(encoded)[1:]
    leaves = [verify_audit.leaf_hash(entry.encode()) for entry in tessera["entries"]]
    for note in tessera["checkpoints"]:
        size, root = verify_audit.open_checkpoint(note.encode(), name, key)
        assert verify_audit.tree_root(leaves[:size]) == root
        assert open_note(note.encode(), name=name, public_key=key).startswith(f"{name}\n{size}\n")


def recursive_root(entries: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word by word: shares no code with either side."""
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    middle = 1
    while middle * 2 < len(entries):
        middle *= 2
    halves = recursive_root(entries[:middle]) + recursive_root(entries[middle:])
    return hashlib.sha256(b"\x01" + halves).digest()


def test_an_export_has_the_root_of_the_rfc(large: dict[str, bytes]) -> None:
    entries: list[bytes] = []
    for place in ("000", "001", "002.p/88"):
        entries += read_bundle(large[f"tile/entries/{place}"])
    size, root = verify_audit.open_checkpoint(
        large["checkpoint"], origin_of(KEY.public_key), KEY.public_key
    )
    assert (size, root) == (600, recursive_root(entries))


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    script = Path(verify_audit.__file__)
    return subprocess.run(
        [sys.executable, "-I", script, *arguments], capture_output=True, text=True, check=False
    )


def test_the_program_alone_verifies_a_directory_and_a_bundle(tmp_path: Path) -> None:
    log = SmallLog()
    log.add(300)
    note = log.notary.checkpoint()
    directory, bundle = tmp_path / "log", tmp_path / "log.tar.gz"
    export_directory(log.book, note, directory)
    write_bundle(bundle, log_files(log.book, note), public_key=KEY.public_key, at_s=1)
    for path in (directory, bundle):
        done = run("--did", DID, path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "300 of 300 records verified" in done.stdout
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    done = run(bundle)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("NOT VERIFIED: ")
    assert run(tmp_path / "nothing").returncode == 5
