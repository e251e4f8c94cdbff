"""A damaged store is refused, said to be so, and put right without hiding what is gone."""

import hashlib
from pathlib import Path

import pytest

from akshi_mesh.audit import log as audit_log
from akshi_mesh.fsck import check_store, repair_store
from akshi_mesh.journal_book import JournalBook
from identity.did import Did
from sync.clock import Moment
from sync.errors import DatabaseDamaged
from sync.store import tasks_schema
from sync.store.database import Database
from sync.store.journals_schema import JOURNALS_SCHEMA
from tests.sync.journal_mesh import NETWORK, START_MS, Node

ENTRIES = 40
PAGE_BYTES = 4096
SCHEMAS = (*tasks_schema.SCHEMA, *JOURNALS_SCHEMA, *audit_log.SCHEMA)
NOW = Moment(1.0, START_MS + 1_000)


def store_with_entries(path: Path) -> Node:
    node = Node(1)
    node.database = Database.open(str(path), schemas=SCHEMAS)
    node.start(NOW)
    for number in range(ENTRIES):
        node.write(f"entry {number} " + "x" * 300, NOW)
    with node.database.transaction():
        for number in range(ENTRIES):
            data = b"%d" % number * 500
            node.database.execute(
                "INSERT INTO audit (leaf, salt, record) VALUES (?, x'00', ?)",
                (hashlib.sha256(b"\0\0" + data).digest(), data),
            )
    node.database.checkpoint()
    node.database.close()
    return node


def book(path: Path) -> JournalBook:
    database = Database.open(str(path), schemas=())
    return JournalBook(
        database, network=NETWORK, scopes={"notes": "mesh"}, now_ms=lambda: NOW.wall_ms
    )


def flip(path: Path, *, page: int) -> None:
    data = bytearray(path.read_bytes())
    data[page * PAGE_BYTES + 2_000] ^= 0x40
    path.write_bytes(data)


def test_no_store_is_no_damage(tmp_path: Path) -> None:
    assert check_store(tmp_path / "node.db", network=NETWORK)["ok"]
    assert repair_store(tmp_path / "node.db", network=NETWORK, now_ms=1)["ok"]
    assert list(tmp_path.iterdir()) == []


def test_journals_are_shown_as_the_api_shapes_them(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    node = store_with_entries(path)
    shown = book(path)
    assert shown.journals() == [
        {"name": "notes", "scope": "mesh", "entries": ENTRIES, "logs": 1, "frozen": 0}
    ]
    first = shown.journal_read("notes", after=None, limit=ENTRIES - 1)
    last = shown.journal_read("notes", after=first["after"], limit=10)
    assert last["after"] is None
    entries = first["entries"] + last["entries"]
    assert [entry["seq"] for entry in entries] == list(range(ENTRIES))
    assert entries[0]["author"] == str(Did(node.id))
    assert entries[0]["text"].startswith("entry 0 ")
    report = shown.journal_verify("notes")
    assert report["ok"]
    assert f"{ENTRIES} of {ENTRIES} entries proven" in report["findings"][0]["why"]


def test_each_damaged_page_is_found_and_what_is_left_is_sound(tmp_path: Path) -> None:
    """Whichever page: found, or not in use; after the repair all is sound, or said to be lost."""
    path = tmp_path / "node.db"
    store_with_entries(path)
    whole = path.read_bytes()
    found_at = []
    for page in range(len(whole) // PAGE_BYTES):
        for stale in tmp_path.iterdir():
            stale.unlink()
        path.write_bytes(whole)
        flip(path, page=page)
        report = check_store(path, network=NETWORK)
        if report["ok"]:
            continue
        found_at.append(page)
        remedies = {one["remedy"] for one in report["findings"] if not one["ok"]}
        assert "akshi-node fsck --repair" in remedies
        assert repair_store(path, network=NETWORK, now_ms=77)["ok"]
        assert (tmp_path / "node.db.damaged-77").exists()
        left = check_store(path, network=NETWORK)["findings"]
        # Only the gap in the audit log stays, for ever.
        assert {one["what"] for one in left if not one["ok"]} <= {"audit"}, page
    assert len(found_at) >= 0.9 * len(whole) // PAGE_BYTES


def test_what_was_lost_is_said_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    store_with_entries(path)
    database = Database.open(str(path), schemas=())
    root = database.value("SELECT rootpage FROM sqlite_schema WHERE name = 'journal_entries'")
    leaves = database.rows(
        "SELECT pageno FROM dbstat WHERE name = 'audit' AND pagetype = 'leaf' ORDER BY path"
    )
    database.close()
    (leaf,) = leaves[len(leaves) // 2]
    assert root
    flip(path, page=leaf - 1)
    report = repair_store(path, network=NETWORK, now_ms=77)
    said = {one["what"]: one["why"] for one in report["findings"]}
    kept, _, rest = said["table audit"].partition(" ")
    assert 0 < int(kept) < ENTRIES
    assert rest == "rows kept, others are lost"
    database = Database.open(str(path), schemas=())
    kept_ends = database.rows("SELECT min(seq), max(seq) FROM audit")
    database.close()
    assert kept_ends == [(1, ENTRIES)]  # from both ends up to the damage
    assert f"{ENTRIES} entries kept" in [why for what, why in said.items() if "notes" in what]
    assert len(book(path).journal_read("notes", after=None, limit=100)["entries"]) == ENTRIES


def test_a_file_that_is_no_database_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    path.write_bytes(b"not a database" * 1000)
    path.chmod(0o600)
    with pytest.raises(DatabaseDamaged):
        Database.open(str(path), schemas=())
    assert not check_store(path, network=NETWORK)["ok"]
    report = repair_store(path, network=NETWORK, now_ms=77)
    assert any("lost" in one["why"] for one in report["findings"])
    assert (tmp_path / "node.db.damaged-77").read_bytes().startswith(b"not a database")
    assert check_store(path, network=NETWORK)["ok"]


def test_a_log_that_does_not_hold_is_cut_back_in_place(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    store_with_entries(path)
    database = Database.open(str(path), schemas=())
    with database.transaction():
        database.execute("DELETE FROM journal_entries WHERE seq = 20")
    database.close()
    assert not check_store(path, network=NETWORK)["ok"]
    report = repair_store(path, network=NETWORK, now_ms=77)
    kept, lost = (int(word) for word in report["findings"][0]["why"].split() if word.isdecimal())
    assert kept <= 20
    assert kept + lost == ENTRIES
    assert check_store(path, network=NETWORK)["ok"]
    assert not (tmp_path / "node.db.damaged-77").exists()
