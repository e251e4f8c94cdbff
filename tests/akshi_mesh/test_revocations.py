"""Keys that were taken back: whose proof counts, who is told of it, and what a crash leaves."""

from pathlib import Path

import pytest

from akshi_mesh.cli import trust_file
from akshi_mesh.revocations import HEARSAY_MAX, PAGE, SCHEMA, Revocations, keep
from akshi_mesh.trust_book import TrustBook
from identity.files import create_node_key, load_trust
from identity.keys import SigningKey, twin
from identity.revocation import seal_revocation
from sync.errors import StoreFull
from sync.store.database import Database

LOST = SigningKey.from_seed(b"l" * 32).public_key
AUTHOR = b"a" * 32
PEER, OTHER = b"p" * 32, b"o" * 32


class Room:
    """Links with room for a number of messages."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.heard: list[tuple[bytes, bytes]] = []

    def tell(self, peer: bytes, message_type: int, body: bytes) -> bool:
        self.room -= 1
        if self.room >= 0:
            self.heard.append((peer, body))
        return self.room >= 0


@pytest.fixture
def book(tmp_path: Path) -> TrustBook:
    create_node_key(tmp_path)
    return TrustBook(tmp_path, now_ms=lambda: 0)


@pytest.fixture
def database() -> Database:
    return Database.open(":memory:", schemas=[SCHEMA])


@pytest.fixture
def revocations(book: TrustBook, database: Database) -> Revocations:
    def is_author(key: bytes) -> bool:
        return key == AUTHOR

    return Revocations(database, book, linked=lambda: {PEER, OTHER}, is_author=is_author)


def key_of(number: int) -> bytes:
    return SigningKey.from_seed(number.to_bytes(32, "big")).public_key


def test_a_key_that_nobody_knows_costs_no_write(
    book: TrustBook, database: Database, revocations: Revocations
) -> None:
    ears, commits = Room(9), database.commits
    assert not revocations.take(LOST, b"proof", ears.tell)
    assert (ears.heard, book.store.revoked, database.commits) == ([], frozenset(), commits)


@pytest.mark.parametrize("of", [LOST, twin(LOST)])
def test_a_trusted_key_and_its_twin_are_dropped_and_told(
    book: TrustBook, revocations: Revocations, of: bytes
) -> None:
    book.replace(book.store.add(LOST))
    ears = Room(9)
    assert revocations.take(of, b"proof", ears.tell)
    assert book.lookup(LOST) is None
    assert sorted(ears.heard) == [(OTHER, b"proof"), (PEER, b"proof")]


def test_the_same_proof_again_costs_no_write(
    book: TrustBook, database: Database, revocations: Revocations
) -> None:
    book.replace(book.store.add(LOST))
    revocations.take(LOST, b"proof", Room(9).tell)
    ears, commits = Room(9), database.commits
    assert revocations.take(LOST, b"proof", ears.tell)
    assert (ears.heard, database.commits) == ([], commits)


def test_authors_of_what_is_held_count_up_to_a_bound(
    book: TrustBook, revocations: Revocations
) -> None:
    assert revocations.take(AUTHOR, b"proof", Room(9).tell)
    store = book.store
    for number in range(HEARSAY_MAX):
        store = store.revoke(key_of(number + 1))
    book.replace(store)
    assert revocations.take(AUTHOR, b"proof", Room(9).tell), "known already"
    assert not revocations.take(key_of(0), b"proof", Room(9).tell)


def test_telling_goes_on_where_a_full_lane_stopped_it(
    database: Database, revocations: Revocations
) -> None:
    proofs = {key_of(number): b"%d" % number for number in range(2 * PAGE)}
    for author, data in proofs.items():
        keep(database, author, data)
    ears = Room(PAGE // 2)
    revocations.greet(PEER, ears.tell)
    assert len(ears.heard) == PAGE // 2
    for _ in range(9):
        ears.room = PAGE // 2
        revocations.go_on(PEER, ears.tell)
    assert sorted(data for _, data in ears.heard) == sorted(proofs.values()), "each once"


def test_news_that_found_a_full_lane_comes_later(book: TrustBook, revocations: Revocations) -> None:
    book.replace(book.store.add(LOST))
    ears = Room(0)
    revocations.take(LOST, b"proof", ears.tell)
    ears.room = 9
    revocations.go_on(PEER, ears.tell)
    revocations.part(OTHER)
    revocations.go_on(OTHER, ears.tell)
    assert ears.heard == [(PEER, b"proof")]


def test_what_was_dropped_stays_dropped_if_the_proof_cannot_be_kept(
    book: TrustBook, database: Database, revocations: Revocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.replace(book.store.add(LOST))

    def full(*_: object) -> None:
        raise StoreFull("node.db", "disk full")

    with monkeypatch.context() as patch:
        patch.setattr(database, "execute", full)
        with pytest.raises(StoreFull):
            revocations.take(LOST, b"proof", Room(9).tell)
    assert book.lookup(LOST) is None
    ears = Room(9)
    assert revocations.take(LOST, b"proof", ears.tell), "and the retry passes it on"
    assert len(ears.heard) == 2


def test_a_proof_typed_while_no_node_runs_is_there_when_one_does(tmp_path: Path) -> None:
    create_node_key(tmp_path)
    key = SigningKey.from_seed(b"k" * 32)
    proof = seal_revocation(key, network="akshi", nonce=bytes(16), issued_ms=1)
    trust_file.revoke(tmp_path, proof, network="akshi")
    assert key.public_key in load_trust(tmp_path).revoked
    database = Database.open(str(tmp_path / "node.db"), schemas=[SCHEMA])
    book = TrustBook(tmp_path, now_ms=lambda: 0)
    ears = Room(9)
    Revocations(database, book, linked=set, is_author=lambda _: False).greet(PEER, ears.tell)
    database.close()
    assert ears.heard == [(PEER, proof)]
