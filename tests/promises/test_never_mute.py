"""Promise 6, denied is never mute to those we know: who is refused reads why, and what to type."""

from collections.abc import Iterator

import pytest

from akshi_mesh.transport import handshake
from akshi_mesh.transport.errors import Refused
from tests.promises import world
from tests.promises.visitor import (
    Visitor,
    answer_to,
    connected,
    dialling,
    framed,
    fresh_key,
    message,
    now_us,
)
from tests.promises.world import Node, agent

NOTES = '[[journals]]\nname = "notes"\nscope = "mesh"\n'


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Node, Node]]:
    """Two nodes; what they allow each other is for each test to say."""
    with world.directory() as directory:
        alice = world.node(
            directory,
            "alice",
            NOTES + agent("relay", "relay", capabilities=["a2a"], peers=["bob/*"]),
        )
        bob = world.node(directory, "bob", NOTES + agent("echo", "echo") + agent("other", "echo"))
        with world.running(alice, bob):
            yield alice, bob


@pytest.fixture
def alice(pair: tuple[Node, Node]) -> Iterator[Node]:
    yield pair[0]
    for node, other in (pair, pair[::-1]):
        node.type("trust", "remove", other.did)


@pytest.fixture
def bob(pair: tuple[Node, Node]) -> Node:
    return pair[1]


def meet(
    alice: Node, bob: Node, *, of_alice: tuple[str, ...] = (), of_bob: tuple[str, ...] = ()
) -> None:
    """Both trust each other; `of_alice` are the rights that alice gives bob."""
    bob.trust(alice, *of_bob, address=False)
    alice.trust(bob, *of_alice)
    world.wait_until(lambda: alice.is_linked(bob.did) and bob.is_linked(alice.did), "link")


@pytest.fixture
def strangers() -> Iterator[tuple[Node, Node]]:
    """A pair of their own: lines about strangers are rationed, and other tests use the ration."""
    with world.directory() as directory:
        alice = world.node(directory, "alice", NOTES)
        bob = world.node(directory, "bob", NOTES + agent("echo", "echo"))
        with world.running(alice, bob):
            yield alice, bob


def test_trust_on_one_side_only(strangers: tuple[Node, Node]) -> None:
    """Promise 6: the dialler reads what to type over there; the other operator reads it, too."""
    alice, bob = strangers
    alice.trust(bob)
    command = f"akshi-node trust add {alice.did}"
    world.wait_until(lambda: command in alice.must("peers").out, "reason in peers")
    assert alice.events("link.unreached", did=bob.did)[-1]["hint"].endswith(command)
    assert bob.wait_event("link.stranger", did=alice.did)["hint"] == command
    waiting = alice.type("task", "send", "bob/echo", "hello", "--timeout", "1s")
    assert waiting.code == 4
    assert f"akshi-node: hint: on the other machine: {command}" in waiting.err
    task = waiting.err.split("task ", 1)[1].split()[0]
    shown = alice.must("task", "get", task)
    assert command in shown.err
    assert "queued" in shown.out
    assert command in alice.must("why", task).err
    doctor = alice.type("doctor")
    assert command in doctor.out + doctor.err
    bob.trust(alice, "a2a:echo", address=False)
    world.wait_until(lambda: "completed" in alice.must("task", "get", task).out, "answer")


def test_a_right_is_missing(alice: Node, bob: Node) -> None:
    """Promises 1 and 6: the sender reads which right; both operators read the command."""
    meet(alice, bob, of_bob=("a2a:other",))
    command = f"akshi-node trust add {alice.did} --allow a2a:echo"
    refused = alice.type("task", "send", "bob/echo", "hello")
    assert refused.code == 3
    assert f'refused: bob says "no right a2a:echo; there: {command}"' in refused.err
    assert f"hint: on the other machine: {command}" in refused.err
    task = refused.err.split("task ", 1)[1].split()[0]
    why = alice.must("why", task)
    assert command in why.out
    assert command in why.err
    assert "the peer refused it" in why.out
    assert bob.wait_event("envelope.refused", did=alice.did)["why"].endswith(command)
    assert command in bob.must("status").out
    there = bob.must("why", task)
    assert command in there.out
    # The refused task stays refused, a new one is done.
    bob.must("trust", "add", alice.did, "--allow", "a2a:echo")
    assert alice.must("task", "send", "bob/echo", "hello").out == "hello\n"
    assert "rejected" in alice.must("task", "get", task).out


def test_an_agent_that_is_not_there(alice: Node, bob: Node) -> None:
    """Promise 6: with the right one reads that there is no such agent; without, nothing."""
    meet(alice, bob, of_bob=("a2a:nob*",))
    refused = alice.type("task", "send", "bob/nobody", "hello")
    assert refused.code == 3
    assert "no agent 'nobody' on this node" in refused.err
    for name in ("echo", "elsewhere"):
        unknown = alice.type("task", "send", f"bob/{name}", "hello")
        assert unknown.code == 3
        assert f"no right a2a:{name};" in unknown.err, "the same words, whether it is there or not"


def test_the_agent_that_was_refused_reads_why(alice: Node, bob: Node) -> None:
    """Promise 6: not only people: a guest whose task a peer refused is told the reason."""
    meet(alice, bob)
    relayed = alice.ask("self/relay", "bob/echo hello")
    assert relayed["state"] == "TASK_STATE_FAILED"
    assert f"akshi-node trust add {alice.did} --allow a2a:echo" in relayed["why"]


def test_a_peer_that_is_not_trusted_here(alice: Node, bob: Node) -> None:
    """Promise 6: to task or dial somebody unknown is refused at once, with the line to type."""
    hint = f"akshi-node: hint: akshi-node trust add {bob.did}"
    for refused in (
        alice.type("task", "send", f"{bob.did}/echo", "hello"),
        alice.type("--peer", f"{bob.did}@{bob.address}"),
    ):
        assert refused.code == 3
        assert f"akshi-node: error: not trusted: {bob.did}" in refused.err
        assert hint in refused.err
    unnamed = alice.type("task", "send", "bob/echo", "hello")
    assert unnamed.code == 2
    assert "nobody here is called 'bob'" in unnamed.err


def test_versions_that_have_nothing_in_common(bob: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 6: a trusted key is always answered, here with the versions that would do."""
    key = fresh_key()
    bob.must("trust", "add", str(key.did))
    monkeypatch.setattr(handshake, "VERSIONS", (2, 9))
    with pytest.raises(Refused, match="it speaks versions 1 to 1, this node 9"):
        with Visitor.at(bob, key):
            pass
    assert bob.wait_event("link.refused", did=str(key.did))["why"] == "refused: version"


def make_noise(bob: Node) -> None:
    """More strangers than the log takes lines of in a minute."""
    for _ in range(15):
        assert answer_to(bob, framed(dialling(fresh_key(), bob).hail(now_us()))) == b""
    assert len(bob.events("link.stranger")) <= 20, "at most ten a minute"


def test_a_peer_that_broke_the_rules_is_told_that_it_is_banned(bob: Node) -> None:
    """Promise 6: three forged signatures end the link; the next call hears until when."""
    key = fresh_key()
    bob.must("trust", "add", str(key.did))
    make_noise(bob)  # whatever strangers do, the lines about peers are written
    with Visitor.at(bob, key) as visitor:
        for _ in range(3):
            visitor.forge(bob)
        world.wait_until(lambda: not visitor.is_open, "end of the link")
    began = dialling(key, bob)
    with connected(bob) as stream:
        stream.sendall(framed(began.hail(now_us())))
        with pytest.raises(Refused) as refused:
            began.settle(message(stream), now_us() // 1_000)
    assert "banned" in str(refused.value)
    assert 0 < refused.value.pause_s <= 600
    assert bob.events("peer.misbehaved", did=str(key.did))
    assert bob.wait_event("link.refused", did=str(key.did))["why"] == "refused: banned"


def test_a_journal_right_on_one_side_only_shares_nothing(alice: Node, bob: Node) -> None:
    """Promises 1 and 6: mutual trust is no right; a journal is shared when both sides said so."""
    meet(alice, bob, of_alice=("journal:notes",))
    alice.must("journal", "append", "notes", "for those who may")
    bob.must("journal", "append", "notes", "bob's own")
    synced = fresh_exchange(alice, bob)
    assert synced
    assert notes(alice) == {"for those who may"}
    assert notes(bob) == {"bob's own"}
    bob.must("trust", "add", alice.did, "--allow", "journal:notes")
    both = {"for those who may", "bob's own"}
    world.wait_until(lambda: notes(alice) == notes(bob) == both, "one view")


def notes(node: Node) -> set[str]:
    return {entry["text"] for entry in node.type("journal", "read", "notes", "--json").objects}


def fresh_exchange(alice: Node, bob: Node) -> bool:
    """After this whatever the two would sync on a link has been said: a task went both ways."""
    bob.must("trust", "add", alice.did, "--allow", "a2a:echo")
    for number in range(3):
        alice.must("task", "send", "bob/echo", f"{number}")
    return True
