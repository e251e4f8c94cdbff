"""Search by meaning: what lies near is found, models are never mixed, all can be built anew."""

import hashlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.clock import Moment
from sync.embedding import DIMENSION, MODEL, TEXT_CHARS_MAX, HashingEmbedder, quantised
from sync.errors import StoreUnreadable
from sync.fusion import fused
from sync.store.database import Database
from sync.store.journals_schema import JOURNALS_SCHEMA
from sync.store.search import Search
from sync.store.vectors import Vectors
from tests.sync.journal_mesh import START_MS, Mesh, Node

LATER = START_MS + 100_000


class Letters:
    """A model of another kind: which letters are there."""

    model = "letters"
    dimension = 32

    def embed(self, texts: list[str]) -> list[bytes]:
        return [quantised([text.count(chr(97 + n)) for n in range(32)]) for text in texts]


def filled(*texts: str) -> Node:
    mesh = Mesh(1)
    (node,) = mesh.nodes
    for text in texts:
        mesh.now_s += 0.01
        mesh.write(node, text)
    return node


def feed(node: Node, vectors: Vectors) -> int:
    fed = 0
    while pending := vectors.pending(3):
        made = vectors.embed(pending)
        with node.database.transaction():
            vectors.put(pending, made)
        fed += len(pending)
    return fed


def found(vectors: Vectors, query: str, limit: int = 20) -> list[str]:
    hits = vectors.find("notes", query, limit=limit, now_ms=LATER)
    return [hit.seen.entry.text for hit in hits]


TEXTS = [
    "replication of journals between nodes",
    "the price of bread has risen",
    "grants expire after a day",
    "bakers baked breads",
    "a node replicates its journal",
]


def test_other_forms_of_a_word_are_near() -> None:
    node = filled(*TEXTS)
    vectors = Vectors(node.database, HashingEmbedder())
    assert vectors.is_behind
    assert found(vectors, "replicated journal") == []
    assert feed(node, vectors) == len(TEXTS)
    assert not vectors.is_behind
    assert set(found(vectors, "replicated jornals", 2)) == {TEXTS[0], TEXTS[4]}
    assert set(found(vectors, "baking bread", 2)) == {TEXTS[1], TEXTS[3]}
    assert vectors.find("other", "bread", now_ms=LATER) == []


def test_the_nearest_is_first_and_itself_is_nearest() -> None:
    node = filled(*TEXTS)
    vectors = Vectors(node.database, HashingEmbedder())
    feed(node, vectors)
    for text in TEXTS:
        hits = vectors.find("notes", text, now_ms=LATER)
        assert hits[0].seen.entry.text == text
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert 0 < hits[0].score <= 1.0001


def test_entries_that_wait_outside_the_view_are_not_found() -> None:
    node = filled(*TEXTS)
    vectors = Vectors(node.database, HashingEmbedder())
    node.write("bread from the future", Moment(0.0, START_MS + 3_600_000))
    feed(node, vectors)
    assert "bread from the future" not in found(vectors, "bread from the future")


def test_vectors_of_two_models_are_never_mixed() -> None:
    node = filled(*TEXTS)
    old, new = Vectors(node.database, Letters()), Vectors(node.database, HashingEmbedder())  # type: ignore[arg-type]
    feed(node, old)
    assert len(found(old, "bread")) > 0
    assert found(new, "bread") == []
    assert new.is_behind
    feed(node, new)
    assert not new.is_behind, "the last of the old ones went with the first of the new"
    assert node.database.value("SELECT count(*) FROM journal_vectors") == len(TEXTS)
    assert node.database.rows("SELECT name FROM journal_models") == [(MODEL,)]
    assert found(old, "bread") == []


def test_the_index_is_built_anew_after_a_repair() -> None:
    node = filled(*TEXTS)
    vectors = Vectors(node.database, HashingEmbedder())
    feed(node, vectors)
    before = node.database.rows("SELECT * FROM journal_vectors")
    with node.database.transaction():
        vectors.forget()
    assert found(vectors, "bread") == []
    feed(node, vectors)
    assert node.database.rows("SELECT * FROM journal_vectors") == before


def test_what_grows_is_fed_from_where_it_stood() -> None:
    node = filled(*TEXTS)
    vectors = Vectors(node.database, HashingEmbedder())
    feed(node, vectors)
    node.write("something about onions", Moment(1.0, START_MS + 2_000))
    assert feed(node, vectors) == 1
    assert found(vectors, "onion", 1) == ["something about onions"]


def test_a_query_of_nothing_is_near_nothing() -> None:
    node = filled(*TEXTS)
    vectors = Vectors(node.database, HashingEmbedder())
    feed(node, vectors)
    assert found(vectors, "?!") == []


def test_without_the_extension_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlite_vec", None)
    database = Database.open(":memory:", schemas=JOURNALS_SCHEMA)
    with pytest.raises(StoreUnreadable, match="without sqlite-vec"):
        Vectors(database, HashingEmbedder()).find("notes", "bread", now_ms=LATER)


# --- the built-in embedder ------------------------------------------------------------------------


@given(st.text())
def test_any_text_has_one_vector(text: str) -> None:
    first, second = HashingEmbedder().embed([text, text])
    assert first == second
    assert len(first) == DIMENSION


def test_the_same_bytes_on_every_machine() -> None:
    """Vectors are stored under the model's name: other bytes want another name."""
    (vector,) = HashingEmbedder().embed(["Epochs name one run of one log, Grüße!"])
    assert hashlib.sha256(vector).hexdigest()[:16] == "5c4107af87c034eb"


def test_what_is_beyond_the_limit_is_not_looked_at() -> None:
    long = "word " * TEXT_CHARS_MAX
    assert HashingEmbedder().embed([long]) == HashingEmbedder().embed([long[:TEXT_CHARS_MAX]])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_quantised_is_at_full_scale(values: list[float]) -> None:
    signed = [byte - 256 if byte > 127 else byte for byte in quantised(values)]
    largest = max(map(abs, values))
    assert max(map(abs, signed)) == (127 if largest else 0)


# --- recall, and rankings joined ------------------------------------------------------------------

CORPUS = {
    # an entry, and what somebody might ask who looks for it
    "An epoch is one run of one log, named by sixteen random bytes.": [
        "what are epochs",
        "epochen of a log",
    ],
    "Trust can be removed; the peer is told, and its links end.": [
        "removing trust",
        "trust removal",
    ],
    "The outbox keeps a task until the receiver has acknowledged it.": [
        "acknowledgement of tasks",
        "outboxes",
    ],
    "A checkpoint signs the root of a Merkle tree.": ["signed checkpoints", "merkle trees"],
    "Agents run in jailed processes without a network.": [
        "jails for agents",
        "network of an agent",
    ],
    "A revocation takes a key back for ever.": ["revoking keys", "revoked"],
    "The gate decides whether a host call may happen.": [
        "who decides about host calls",
        "deciding gates",
    ],
    "Backoff doubles the pause between two attempts to dial.": [
        "dialling again",
        "pausing between attempts",
    ],
    "Hybrid clocks never run more than five minutes ahead.": [
        "clock ahead of time",
        "hybrid clock",
    ],
    "An allowlist that is empty allows nothing.": ["empty allowlists", "allow-list"],
    "Fuel bounds what a guest computes.": ["computing guests", "guest fuel"],
    "Secrets are put in after every check.": ["where are secrets inserted", "secret"],
}


def recall(mode: str) -> float:
    """The share of questions whose entry is among the first three."""
    node = filled(*CORPUS)
    vectors, search = Vectors(node.database, HashingEmbedder()), Search(node.database)
    feed(node, vectors)
    with node.database.transaction():
        while search.feed():
            pass
    right = asked = 0
    for text, queries in CORPUS.items():
        for query in queries:
            by_words = [h.seen.entry.text for h in search.find("notes", query, now_ms=LATER)]
            by_meaning = found(vectors, query)
            both = [one for one, _ in fused([by_words, by_meaning])]
            ranking = {"keyword": by_words, "vector": by_meaning, "hybrid": both}[mode]
            right += text in ranking[:3]
            asked += 1
    return right / asked


def test_recall() -> None:
    """Meaning finds other forms of words, which keywords miss; together they lose nothing."""
    keyword, vector, hybrid = recall("keyword"), recall("vector"), recall("hybrid")
    print(f"recall@3: keyword {keyword:.2f}, vector {vector:.2f}, hybrid {hybrid:.2f}")
    assert vector >= 0.9
    assert hybrid >= 0.9
    assert hybrid > keyword


def test_rankings_are_joined_by_rank_alone() -> None:
    assert fused([]) == []
    assert [thing for thing, _ in fused([["a", "b", "c"], ["c", "a"]])] == ["a", "c", "b"]
    assert fused([["a"], ["a"]]) == [("a", 2 / 61)]
    assert [thing for thing, _ in fused([["a"], ["b"]])] == ["a", "b"]
