"""What peers may do: rights first, then existence; each no is a sentence with its remedy."""

from pathlib import Path

import pytest

from akshi_mesh.config.model import Config, JournalConfig
from akshi_mesh.policy import NodePolicy
from akshi_mesh.trust_book import TrustBook
from identity.files import create_node_key
from identity.keys import SigningKey
from identity.trust import Right
from sandbox.agent_spec import AgentSpec

ME = SigningKey.from_seed(b"m" * 32)
PEER = SigningKey.from_seed(b"p" * 32)


@pytest.fixture
def book(tmp_path: Path) -> TrustBook:
    home = tmp_path / "home"
    create_node_key(home)
    return TrustBook(home, now_ms=lambda: 1_000)


@pytest.fixture
def policy(book: TrustBook) -> NodePolicy:
    config = Config(
        agents=(AgentSpec("echo", "/echo.wasm", workers=3),),
        journals=(JournalConfig("notes", "mesh"), JournalConfig("diary", "local")),
    )
    return NodePolicy(config, me=ME.public_key, trust=book)


def allow(book: TrustBook, *rights: str, until_ms: int | None = None) -> None:
    book.replace(
        book.store.add(
            PEER.public_key, rights=[Right.parse(right) for right in rights], until_ms=until_ms
        )
    )


def test_trust_alone_allows_nothing(book: TrustBook, policy: NodePolicy) -> None:
    allow(book)
    refusal = policy.may_task(PEER.public_key, "echo")
    assert refusal is not None
    assert f"akshi-node trust add {PEER.did} --allow a2a:echo" in refusal
    assert not policy.may_sync(PEER.public_key, "notes")
    assert not policy.author_admitted("notes", PEER.public_key)


def test_who_lacks_the_right_does_not_learn_which_agents_there_are(
    book: TrustBook, policy: NodePolicy
) -> None:
    allow(book, "a2a:other")
    known, unknown = (policy.may_task(PEER.public_key, name) for name in ("echo", "nosuch"))
    assert known is not None
    assert unknown == known.replace("a2a:echo", "a2a:nosuch")


def test_the_right_allows_what_it_names(book: TrustBook, policy: NodePolicy) -> None:
    allow(book, "a2a:echo", "journal:notes")
    assert policy.may_task(PEER.public_key, "echo") is None
    assert policy.may_sync(PEER.public_key, "notes")
    assert policy.author_admitted("notes", PEER.public_key)


def test_a_local_journal_is_shared_with_nobody(book: TrustBook, policy: NodePolicy) -> None:
    allow(book, "journal:*")
    assert not policy.may_sync(PEER.public_key, "diary")
    assert not policy.author_admitted("diary", PEER.public_key)


def test_expired_trust_is_none(book: TrustBook, policy: NodePolicy) -> None:
    allow(book, "a2a:*", "journal:*", until_ms=1_000)
    assert policy.may_task(PEER.public_key, "echo") is not None
    assert not policy.may_sync(PEER.public_key, "notes")


def test_the_node_itself_needs_no_right_but_an_agent(policy: NodePolicy) -> None:
    assert policy.may_task(ME.public_key, "echo") is None
    assert policy.may_task(ME.public_key, "nosuch") == "no agent 'nosuch' on this node"


def test_slots_are_the_workers_of_agents_that_exist(policy: NodePolicy) -> None:
    assert (policy.slots("echo"), policy.slots("nosuch")) == (3, 0)


def test_a_change_is_on_disk_before_anybody_hears_of_it(book: TrustBook, tmp_path: Path) -> None:
    seen: list[bool] = []
    again = TrustBook(tmp_path / "home", now_ms=lambda: 1_000)
    book.listen(
        lambda _before, _after: seen.append(
            TrustBook(tmp_path / "home", now_ms=lambda: 0).store.get(PEER.public_key) is not None
        )
    )
    allow(book)
    allow(book)  # no change, no news
    assert seen == [True]
    assert again.store.get(PEER.public_key) is None


def test_out_is_whoever_may_not_be_served_now(book: TrustBook) -> None:
    assert book.is_out(PEER.public_key)
    allow(book)
    assert not book.is_out(PEER.public_key)
    allow(book, until_ms=1_000)
    assert book.is_out(PEER.public_key)
