"""Who wrote an entry is who signed it; for whom is that author's word."""

from pathlib import Path

import pytest

from akshi_mesh.api.shapes import EntryInfo
from akshi_mesh.cli import output
from akshi_mesh.cli.journal import _print
from akshi_mesh.cli.session import Session
from akshi_mesh.home import Home
from akshi_mesh.journal_book import JournalBook
from identity.attestation import attest
from identity.cid import wasm_cid
from identity.did import Did
from identity.keys import SigningKey
from sync.author import Author
from sync.clock import Moment
from tests.sync.journal_mesh import NETWORK, START_MS, Node

NOW = Moment(1.0, START_MS + 1_000)
VICTIM = str(SigningKey.from_seed(b"v" * 32).did)
AGENT = SigningKey.from_seed(b"a" * 32)
DAY_MS = 24 * 3600 * 1000


def written(originator: str = VICTIM) -> Node:
    """Two entries which claim to be for somebody else: of the node, and of an agent of it."""
    node = Node(1)
    node.keys[AGENT.public_key] = Author(AGENT, network=NETWORK, nonce=lambda: bytes(16))
    node.start(NOW)
    word = attest(
        node.key,
        AGENT.public_key,
        name="scribe",
        wasm_cid=wasm_cid(bytes(32)),
        capabilities=[],
        network=NETWORK,
        nonce=bytes(16),
        issued_ms=NOW.wall_ms,
        until_ms=NOW.wall_ms + DAY_MS,
    )
    with node.database.transaction():
        node.engine.introduce(AGENT.public_key, node=node.id, attestation=word)
        for author in (node.id, AGENT.public_key):
            node.engine.append("notes", author, tag="t", text="pay", originator=originator, now=NOW)
        node.engine.flush(NOW)
    return node


def read(node: Node, *, now_ms: int = NOW.wall_ms) -> list[EntryInfo]:
    book = JournalBook(
        node.database,
        network=NETWORK,
        scopes={},
        now_ms=lambda: now_ms,
        name_of=lambda key: "mallory" if key == node.id else str(Did(key)),
    )
    return book.journal_read("notes", after=None, limit=10)["entries"]


def test_the_writer_is_who_signed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = read(written())
    assert [entry["writer"] for entry in entries] == ["mallory", "mallory/scribe"]
    assert {entry["originator"] for entry in entries} == {VICTIM}
    _print(Session(Home(tmp_path), None, as_json=False), entries, empty="", ids=False)
    for line in capsys.readouterr().out.splitlines():
        assert f"  for {VICTIM}  " in line, "a claim, and said to be one"
        assert f"{output.when(NOW.wall_ms)}  mallory" in line


def test_for_whom_is_called_as_people_here_do() -> None:
    ours = str(Did(Node(1).id))
    assert {entry["originator_name"] for entry in read(written(ours))} == {"mallory"}


def test_a_claim_that_is_no_did_cannot_pass_for_a_name() -> None:
    assert {entry["originator_name"] for entry in read(written("mallory"))} == {"'mallory'"}


def test_a_word_out_of_its_time_names_nobody() -> None:
    late = read(written(), now_ms=NOW.wall_ms + 2 * DAY_MS)
    assert [entry["writer"] for entry in late] == ["mallory", str(AGENT.did)]
