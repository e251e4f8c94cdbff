"""By words, by meaning, by both: what each finds, and that feeding catches up first."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from akshi_mesh.finder import Finder
from sandbox.find import FindEntries
from sync.embedding import HashingEmbedder
from sync.journal_errors import MalformedQuery
from tests.sync.journal_mesh import START_MS, Mesh, Node

LATER = START_MS + 100_000


class Transactions:
    """As much of a mesh as feeding needs."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._node.database.transaction():
            yield


@pytest.fixture
def finder() -> Finder:
    mesh = Mesh(1)
    (node,) = mesh.nodes
    for text in ("journals are replicated", "the price of bread", "replicate"):
        mesh.now_s += 0.01
        mesh.write(node, text)
    return Finder(Transactions(node), node.database, HashingEmbedder())  # type: ignore[arg-type]


async def texts(finder: Finder, wish: FindEntries) -> list[str]:
    return [hit.seen.entry.text for hit in await finder.find("notes", wish, now_ms=LATER)]


async def test_each_mode_finds_what_it_is_for(finder: Finder) -> None:
    assert finder.is_behind
    assert await texts(finder, FindEntries("replicate", "keyword")) == ["replicate"]
    near = await texts(finder, FindEntries("replicate", "vector", 2))
    assert set(near) == {"replicate", "journals are replicated"}
    both = await texts(finder, FindEntries("replicate", "hybrid", 2))
    assert both[0] == "replicate", "what both find comes first"
    assert not finder.is_behind


async def test_a_query_without_a_word(finder: Finder) -> None:
    with pytest.raises(MalformedQuery):
        await finder.find("notes", FindEntries("?!", "keyword"), now_ms=LATER)
    assert await texts(finder, FindEntries("?!", "hybrid")) == []
