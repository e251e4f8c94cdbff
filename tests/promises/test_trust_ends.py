"""Promises 1, 4 and 6 where trust begins and ends: names, ends, removal, revocation, dialling."""

import secrets
import signal
import subprocess
from collections.abc import Iterator

import pytest

from identity.keys import SigningKey
from identity.revocation import seal_revocation
from tests.promises import world
from tests.promises.visitor import NETWORK, Visitor, fresh_key, now_us
from tests.promises.world import HOSTILE, Node, agent

MADE_UP = 400
FOREVER = "fuel = 1_000_000_000_000_000\nwall_clock_s = 3600"


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Node, Node]]:
    with world.directory() as directory:
        alice = world.node(directory, "alice")
        bob = world.node(
            directory,
            "bob",
            agent("echo", "echo") + agent("spin", HOSTILE / "hostile.wasm", limits=FOREVER),
        )
        with world.running(alice, bob):
            yield alice, bob


@pytest.fixture
def alice(pair: tuple[Node, Node]) -> Iterator[Node]:
    """Trusted by bob for all agents, and linked; afterwards nobody trusts anybody."""
    alice, bob = pair
    bob.trust(alice, "a2a:*", address=False)
    alice.trust(bob)
    world.wait_until(lambda: linked(alice, bob), "link")
    yield alice
    for node, other in (pair, pair[::-1]):
        node.type("trust", "remove", other.did)


@pytest.fixture
def bob(pair: tuple[Node, Node]) -> Node:
    return pair[1]


def linked(one: Node, other: Node) -> bool:
    return one.is_linked(other.did) and other.is_linked(one.did)


def test_trust_removed_ends_the_link_and_what_runs_for_it(alice: Node, bob: Node) -> None:
    """Promise 1: nothing that a removed peer asked for runs on, and its link is gone."""
    task = alice.must("task", "send", "bob/spin", "spin", "--no-wait").out.strip()
    world.wait_until(lambda: running(bob, "spin") == 1, "spinning task")
    workers = set(bob.workers())
    bob.must("trust", "remove", "alice")
    world.wait_until(lambda: running(bob, "spin") == 0, "end of the task")
    world.wait_until(lambda: not workers <= set(bob.workers()), "end of its worker")
    world.wait_until(lambda: not bob.is_linked(alice.did), "end of the link")
    assert "canceled" in bob.must("task", "get", task).out
    (killed,) = (line for line in audit(bob, "spin") if line["event"] == "killed")
    assert killed["task_id"] == task
    world.wait_until(lambda: not alice.is_linked(bob.did), "end of the link at the other side")
    assert bob.peer(alice.did) is None
    # Trusted again, it may read how that task ended.
    bob.trust(alice, "a2a:*", address=False)
    world.wait_until(lambda: "canceled" in alice.must("task", "get", task).out, "result")
    assert "no longer trusted" in alice.must("task", "get", task).out


def running(node: Node, name: str) -> int:
    agents = node.must("agents", "list", "--json").objects
    return int(next(a["tasks_running"] for a in agents if a["name"] == name))


def audit(node: Node, name: str) -> list[dict[str, object]]:
    return node.must("audit", "tail", "--agent", name, "-n", "1000", "--json").objects


def test_trust_ends_by_itself_at_its_time(alice: Node, bob: Node) -> None:
    """Promise 1: after `--until` the link closes and tasks wait or are refused."""
    assert alice.must("task", "send", "bob/echo", "in time").out == "in time\n"
    bob.must("trust", "add", alice.did, "--until", "1s")
    world.wait_until(lambda: not bob.is_linked(alice.did), "end of the link")
    world.wait_until(lambda: not alice.is_linked(bob.did), "end of the link at the other side")
    assert "expired" in bob.must("trust", "show", "alice").out
    refused = bob.type("task", "send", "alice/echo", "hello")
    assert refused.code == 3
    assert f"hint: akshi-node trust add {alice.did}" in refused.err
    waiting = alice.type("task", "send", "bob/echo", "too late", "--timeout", "1s")
    assert waiting.code == 4
    bob.must("trust", "add", alice.did, "--until", "1h")
    task = waiting.err.split("task ", 1)[1].split()[0]
    world.wait_until(lambda: "completed" in alice.must("task", "get", task).out, "late answer")


def test_names_are_ours_and_unique(alice: Node, bob: Node) -> None:
    """Promise 6: a name is what this operator calls a node, and it never means two."""
    other = str(fresh_key().did)
    taken = alice.type("trust", "add", other, "--name", "bob")
    assert (taken.code, alice.peer(other)) == (3, None)
    assert f"the name 'bob' belongs to {bob.did}" in taken.err
    for wrong in ("self", "a/b", "", "x" * 65, ".."):
        assert alice.type("trust", "add", other, "--name", wrong).code == 2
    alice.must("trust", "add", bob.did, "--name", "robert")
    assert alice.must("task", "send", "robert/echo", "hello").out == "hello\n"
    assert alice.type("task", "send", "bob/echo", "hello").code == 2
    alice.must("trust", "add", bob.did, "--name", "bob")


def test_a_node_does_not_dial_whom_it_does_not_trust(alice: Node) -> None:
    """Promise 1: `--peer` never trusts; an untrusted DID ends the start, with the line to type."""
    with world.directory() as directory:
        node = world.node(directory, "new")
        at_home = ["--home", str(node.home), "--listen", "127.0.0.1:0"]
        peer = f"{alice.did}@{alice.address}"
        for arguments in (["run", *at_home, "--peer", peer], [*at_home, "--peer", alice.did]):
            done = subprocess.run(
                [*node.process.command, *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=world.WAIT_S,
            )
            assert done.returncode == 3, done
            assert f"akshi-node: error: not trusted: {alice.did}" in done.stderr
            hint = f"akshi-node: hint: akshi-node --home {node.home} trust add {alice.did}"
            assert hint in done.stderr
            assert done.stdout == ""
        assert alice.events("link.up", did=node.must("whoami").out.strip()) == []


def test_bare_peer_runs_a_node_that_dials(pair: tuple[Node, Node]) -> None:
    """DESIGN §1: `akshi-node --peer did:key:…` is a node; SIGTERM ends it with 0."""
    bob = pair[1]
    with world.directory() as directory:
        node = world.node(directory, "laptop")
        did = node.must("whoami").out.strip()
        node.must("trust", "add", bob.did)
        bob.must("trust", "add", did)
        command = [*node.process.command, "--home", str(node.home), "--listen", "off", "--peer"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([*command, f"{bob.did}@{bob.address}"], **quiet)  # type: ignore[call-overload]
        try:
            world.wait_until(lambda: bob.is_linked(did), "link")
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(world.WAIT_S) == 0


def test_bare_peer_in_a_home_whose_node_runs_has_that_node_dial(alice: Node, bob: Node) -> None:
    """DESIGN §1: one node a home; a second `--peer` is its errand."""
    alice.must("trust", "remove", "bob")
    alice.must("trust", "add", bob.did, "--name", "bob")
    assert not alice.is_linked(bob.did)
    unknown = alice.type("--peer", bob.did)
    assert (unknown.code, "no address is known" in unknown.err) == (2, True)
    dials = alice.must("--peer", f"{bob.did}@{bob.address}")
    assert "the node that runs here dials" in dials.out
    world.wait_until(lambda: linked(alice, bob), "link")


def test_a_revoked_key_is_dropped_by_everybody_for_good(pair: tuple[Node, Node]) -> None:
    """Promise 4: one operator takes the proof, the others hear of it; no restart brings it back."""
    alice, bob = pair
    with world.directory() as directory:
        lost = world.node(directory, "lost", agent("echo", "echo"))
        with world.running(lost):
            for node in pair:
                node.trust(lost, "a2a:*")
                lost.trust(node, "a2a:*", address=False)
            alice.trust(bob)
            bob.trust(alice, address=False)
            world.wait_until(
                lambda: linked(alice, bob) and linked(alice, lost) and linked(bob, lost), "links"
            )
            proof = lost.home / "security" / "revocation.cbor"
            forged = directory / "forged.cbor"
            forged.write_bytes(proof.read_bytes()[:-1] + b"\x00")
            assert alice.type("trust", "revoked", str(forged)).code != 0
            assert linked(alice, lost)
            said = alice.must("trust", "revoked", str(proof)).out
            assert lost.did in said
            for node in pair:
                node.wait_event("trust.revoked", did=lost.did)
                world.wait_until(lambda node=node: not node.is_linked(lost.did), "end of the link")  # type: ignore[misc]
            assert linked(alice, bob), "nobody else is touched"
            bob.process.kill()
            bob.start(listen=bob.address)
            assert "revoked" in bob.must("trust", "show", lost.did).out
            again = bob.type("trust", "add", lost.did)
            assert again.code == 3
            assert "never comes back" in again.err
            assert not bob.is_linked(lost.did)
            assert lost.type("task", "send", "bob/echo", "hello", "--timeout", "1s").code == 4


def test_whoever_makes_up_revocations_fills_neither_disk_nor_time(
    pair: tuple[Node, Node],
) -> None:
    """Promise 4: hearsay about keys that mean nothing here is passed over."""
    bob = pair[1]
    key = fresh_key()
    bob.must("trust", "add", str(key.did))
    with Visitor.at(bob, key) as visitor:
        before = len(bob.must("trust", "list", "--json").objects)
        for _ in range(MADE_UP):
            visitor.say(revocation(fresh_key()))
        trusted = fresh_key()
        bob.must("trust", "add", str(trusted.did))
        visitor.say(revocation(trusted))
        bob.wait_event("trust.revoked", did=str(trusted.did))
        assert len(bob.must("trust", "list", "--json").objects) == before + 1
        assert bob.type("trust", "add", str(trusted.did)).code == 3
        assert visitor.is_open


def revocation(key: SigningKey) -> bytes:
    nonce = secrets.token_bytes(16)
    return seal_revocation(key, network=NETWORK, nonce=nonce, issued_ms=now_us() // 1_000)
