"""Every change of trust is a record before it is in force; without the record it is none."""

from pathlib import Path

import pytest

from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.trust_notes import noting
from akshi_mesh.cli import trust_file
from akshi_mesh.trust_book import TrustBook
from identity.files import create_node_key, load_trust
from identity.keys import SigningKey
from identity.trust import Right
from sync.errors import StoreFull
from sync.store.database import Database
from tests.akshi_mesh.audit.logs import SmallLog

PEER = SigningKey.from_seed(b"p" * 32)
DID = str(PEER.did)


@pytest.fixture
def log() -> SmallLog:
    return SmallLog()


@pytest.fixture
def book(tmp_path: Path, log: SmallLog) -> TrustBook:
    create_node_key(tmp_path)
    book = TrustBook(tmp_path, now_ms=lambda: 0)
    book.precede(noting(log.log))
    return book


def noted(book: AuditBook) -> list[tuple[str, str, str]]:
    return [(kept.event.value, kept.code, kept.fact("subject")) for _, kept in book.tail(limit=10)]


def test_every_change_is_a_record(book: TrustBook, log: SmallLog) -> None:
    book.replace(book.store.add(PEER.public_key, petname="bob"))
    book.replace(book.store.add(PEER.public_key, rights=[Right.parse("a2a:*")]))
    book.replace(book.store.with_accepted_fork(PEER.public_key))
    book.replace(book.store.remove(PEER.public_key))
    book.replace(book.store.add(PEER.public_key))
    assert book.revoke(PEER.public_key)
    assert not book.revoke(PEER.public_key)
    assert noted(log.book) == [
        ("trust", "added", DID),
        ("trust", "changed", DID),
        ("trust", "fork-accepted", DID),
        ("trust", "removed", DID),
        ("trust", "added", DID),
        ("trust", "revoked", DID),
    ]
    changed = log.book.tail(limit=5)[0][1]
    assert (changed.fact("rights"), changed.fact("name")) == ("a2a:*", "bob")


def test_a_change_that_cannot_be_recorded_does_not_happen(
    book: TrustBook, log: SmallLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(row: object, *, fsync: bool) -> None:
        raise StoreFull("node.db", "full")

    monkeypatch.setattr(log.log, "_append", full)
    with pytest.raises(StoreFull):
        book.replace(book.store.add(PEER.public_key))
    assert book.store.get(PEER.public_key) is None


def test_a_change_of_a_node_that_does_not_run_is_a_record_too(tmp_path: Path) -> None:
    create_node_key(tmp_path)
    trust_file.add(tmp_path, DID, name=None, address=None, allow=(), until_ms=None)
    trust_file.remove(tmp_path, DID, network="akshi")
    reader = Database.read_only(str(tmp_path / "node.db"))
    assert noted(AuditBook(reader)) == [("trust", "added", DID), ("trust", "removed", DID)]
    assert load_trust(tmp_path).get(PEER.public_key) is None
