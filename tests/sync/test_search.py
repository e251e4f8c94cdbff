"""Search finds by words, ranks by BM25, and sees only what the view shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.clock import Moment
from sync.journal_errors import MalformedQuery
from sync.store.search import Search
from tests.sync.journal_mesh import START_MS, Mesh, Node

TEXTS = ["the cat sat", "a dog and a cat and a cat", "nothing of the kind", "Straße nach Süden"]


def filled() -> tuple[Node, Search]:
    mesh = Mesh(1)
    (node,) = mesh.nodes
    for text in TEXTS:
        mesh.now_s += 0.01
        mesh.write(node, text)
    return node, Search(node.database)


def feed(node: Node, search: Search, limit: int = 256) -> bool:
    with node.database.transaction():
        return search.feed(limit)


def test_it_is_fed_in_slices_off_the_receive_path() -> None:
    node, search = filled()
    assert search.is_behind
    assert search.find("notes", "cat", now_ms=START_MS) == []
    assert feed(node, search, 3) is True
    assert feed(node, search, 3) is False
    assert not search.is_behind
    assert len(search.find("notes", "cat", now_ms=START_MS + 100)) == 2


def test_more_and_rarer_words_score_higher() -> None:
    node, search = filled()
    feed(node, search)
    hits = search.find("notes", "cat dog", now_ms=START_MS + 100)
    assert [hit.seen.entry.text for hit in hits] == [TEXTS[1], TEXTS[0]]
    assert hits[0].score > hits[1].score
    assert search.find("notes", "süden", now_ms=START_MS + 100)[0].seen.entry.text == TEXTS[3]
    assert search.find("other", "cat", now_ms=START_MS + 100) == []


def test_entries_that_wait_outside_the_view_are_not_found() -> None:
    node, search = filled()
    early = Moment(0.0, START_MS + 3_600_000)
    node.write("a cat from the future", early)
    feed(node, search)
    assert len(search.find("notes", "cat", now_ms=START_MS + 100)) == 2
    assert len(search.find("notes", "cat", now_ms=early.wall_ms)) == 3


@given(st.text(max_size=60))
def test_any_query_has_results_or_no_word(query: str) -> None:
    node, search = filled()
    feed(node, search)
    try:
        search.find("notes", query, now_ms=START_MS)
    except MalformedQuery:
        assert not any(character.isalnum() for character in query)


def test_a_query_holds_words_and_no_operators() -> None:
    node, search = filled()
    feed(node, search)
    now_ms = START_MS + 100
    assert search.find("notes", 'cat" OR text:*', now_ms=now_ms)
    with pytest.raises(MalformedQuery):
        search.find("notes", '"*', now_ms=now_ms)


def test_an_entry_is_found_by_its_id_before_and_after_it_is_indexed() -> None:
    node, search = filled()
    entry = node.view.read("notes", now_ms=START_MS + 100)[1].entry
    before = node.view.why(entry.id, now_ms=START_MS + 100)
    feed(node, search)
    assert before == node.view.why(entry.id, now_ms=START_MS + 100)
    assert [fact["shown"] for fact in before] == [True]
    assert before[0]["seq"] == 1
    assert node.view.why("not hex", now_ms=0) == node.view.why("00", now_ms=0) == []


def test_the_index_can_be_built_anew() -> None:
    node, search = filled()
    feed(node, search)
    with node.database.transaction():
        search.forget()
    assert search.is_behind
    feed(node, search)
    assert len(search.find("notes", "cat", now_ms=START_MS + 100)) == 2
