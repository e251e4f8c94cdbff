"""Nobody gets by somebody else what it could not get itself: two hops, grants, and forged ones."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.promises import world
from tests.promises.world import Node, agent

SECOND = 1.0  # after an end or a withdrawal, until nothing is left of it
FOREVER = "fuel = 1_000_000_000_000_000\nwall_clock_s = 3600"
# Each ends with its grant or its trust, so no test shares one with another.
STRANGERS = ("dave", "erin", "frank", "grace")


@pytest.fixture(scope="module")
def mesh() -> Iterator[dict[str, Node]]:
    """Alice asks bob's relay; carol's agent may use files. Dave and erin come with grants."""
    with world.directory() as directory:
        shelf = directory / "shelf"
        shelf.mkdir()
        (shelf / "a.txt").write_text("words")
        carol = world.node(
            directory,
            "carol",
            agent("every", "every", capabilities=["filesystem", "journal"], files=[str(shelf)])
            + agent("hostile", world.HOSTILE / "hostile.wasm", limits=FOREVER),
        )
        bob = world.node(
            directory, "bob", agent("relay", "relay", capabilities=["a2a"], peers=["carol/*"])
        )
        nodes = {name: world.node(directory, name) for name in ("alice", *STRANGERS)}
        nodes |= {"bob": bob, "carol": carol}
        with world.running(*nodes.values()):
            bob.trust(carol)
            carol.trust(bob, "a2a:every", address=False, caps=("filesystem",))
            nodes["alice"].trust(bob)
            for name in ("alice", *STRANGERS):
                nodes[name].trust(carol)
            yield nodes


def told(task: dict[str, Any]) -> dict[str, str]:
    assert task["state"] == "TASK_STATE_COMPLETED", task["why"]
    found: dict[str, str] = json.loads(task["text"])
    return found


def grants(node: Node, holder: Node) -> list[dict[str, Any]]:
    found = node.must("grant", "list", "--json").objects
    return [one for one in found if one["holder"] == holder.did]


def refusals(node: Node) -> list[dict[str, Any]]:
    lines = node.must("audit", "tail", "--json", "-n", "200").objects
    return [line for line in lines if line["event"] == "refused"]


def test_the_deputy_does_its_own_work_with_its_own_rights(mesh: dict[str, Node]) -> None:
    answers = told(mesh["bob"].ask("self/relay", "carol/every try"))
    assert answers["filesystem"] == "ok"
    assert answers["journal"] == "not-allowed", "the agent has it, and bob was not given it"


def test_a_peer_makes_no_deputy_use_what_it_was_not_given(mesh: dict[str, Node]) -> None:
    alice, bob, carol = mesh["alice"], mesh["bob"], mesh["carol"]
    bob.type("trust", "remove", "alice")
    bob.trust(alice, "a2a:relay", address=False, caps=("a2a",))
    world.wait_until(lambda: alice.is_linked(bob.did), "link")
    assert told(alice.ask("bob/relay", "carol/every try"))["filesystem"] == "not-allowed"
    last = [line for line in refusals(carol) if line["function"] == "filesystem.list-files"][-1]
    assert last["originator"] == f"{bob.did}/relay"
    assert f"the task of {alice.did} may not use filesystem here" in last["detail"]
    # What alice is given at bob's goes through to carol, as far as bob has it there.
    bob.must("trust", "add", "alice", "--cap", "filesystem", "--cap", "journal")
    answers = told(alice.ask("bob/relay", "carol/every try"))
    assert answers["filesystem"] == "ok"
    assert answers["journal"] == "not-allowed"


def test_a_relay_without_the_right_to_send_is_told_what_would_allow_it(
    mesh: dict[str, Node],
) -> None:
    alice, bob = mesh["alice"], mesh["bob"]
    bob.type("trust", "remove", "alice")
    bob.trust(alice, "a2a:relay", address=False, caps=())
    world.wait_until(lambda: alice.is_linked(bob.did), "link")
    task = alice.ask("bob/relay", "carol/every try")
    assert task["state"] == "TASK_STATE_FAILED"
    assert f"{alice.did} may not use a2a here" in task["why"]
    assert f"akshi-node trust add {alice.did} --cap a2a" in task["why"]


def test_a_hop_that_is_on_file_narrows_whoever_brings_its_work(mesh: dict[str, Node]) -> None:
    alice, bob, carol = mesh["alice"], mesh["bob"], mesh["carol"]
    bob.type("trust", "remove", "alice")
    bob.trust(alice, "a2a:relay", address=False, caps=("a2a", "filesystem"))
    carol.trust(alice, "a2a:every", address=False, caps=())
    try:
        world.wait_until(lambda: alice.is_linked(bob.did), "link")
        assert told(alice.ask("carol/every", "try"))["filesystem"] == "not-allowed"
        assert told(alice.ask("bob/relay", "carol/every try"))["filesystem"] == "not-allowed"
    finally:
        carol.must("trust", "remove", "alice")


def test_a_scope_narrows_the_owners_own_task(mesh: dict[str, Node]) -> None:
    carol = mesh["carol"]
    assert told(carol.ask("self/every", "try"))["filesystem"] == "ok"
    done = carol.must("task", "send", "self/every", "try", "--scope", "journal")
    answers = json.loads(done.out)
    assert (answers["filesystem"], answers["journal"]) == ("not-allowed", "ok")


def test_a_grant_lets_a_stranger_in_for_what_it_says_and_its_end_ends_it(
    mesh: dict[str, Node],
) -> None:
    carol, dave, erin = mesh["carol"], mesh["dave"], mesh["erin"]
    made = carol.must(
        "grant", "make", dave.did, "--allow", "a2a:every", "--cap", "filesystem", "--until", "1h"
    )
    word = dave.home / "grant.txt"
    word.write_text(made.out)
    dave.must("grant", "use", str(word))
    world.wait_until(lambda: dave.is_linked(carol.did), "link by grant")
    answers = told(dave.ask("carol/every", "try"))
    assert (answers["filesystem"], answers["journal"]) == ("ok", "not-allowed")
    # Handed on, narrower only.
    wider = ("--allow", "a2a:every", "--cap", "journal", "--until", "30m", "--from", "carol")
    refused = dave.type("grant", "make", erin.did, *wider)
    assert refused.code == 3
    assert "a hop widens its parent" in refused.err
    longer = dave.type(
        "grant", "make", erin.did, "--allow", "a2a:every", "--until", "2h", "--from", "carol"
    )
    assert "outlives its parent" in longer.err
    handed = dave.must(
        "grant", "make", erin.did, "--allow", "a2a:every", "--until", "30m", "--from", "carol"
    )
    word.write_text(handed.out)
    # Stolen by somebody it is not for.
    assert "link 2 is for" in mesh["alice"].type("grant", "use", str(word)).err
    erin.must("grant", "use", str(word))
    world.wait_until(lambda: erin.is_linked(carol.did), "link by what was handed on")
    assert told(erin.ask("carol/every", "try"))["filesystem"] == "not-allowed"
    # The middle link is withdrawn: both are out at once.
    (given,) = (g for g in grants(carol, dave) if g["side"] == "given")
    began = time.monotonic()
    carol.must("grant", "drop", given["id"])
    world.wait_until(
        lambda: not (carol.is_linked(dave.did) or carol.is_linked(erin.did)), "end of both links"
    )
    assert time.monotonic() - began < SECOND + 1, "said by the node within a second"
    again = (*grants(carol, dave), *grants(carol, erin))
    assert [g for g in again if g["side"] == "shown"] == []
    trail = carol.must("audit", "tail", "--json", "-n", "200").objects
    codes = [line["code"] for line in trail if line["event"] == "trust"]
    assert {"grant-given", "grant-shown", "grant-withdrawn"} <= set(codes)


def test_a_grant_that_ends_takes_its_link_along(mesh: dict[str, Node]) -> None:
    carol, frank = mesh["carol"], mesh["frank"]
    made = carol.must("grant", "make", frank.did, "--allow", "a2a:*", "--until", "4s", "--json")
    (given,) = made.objects
    word = frank.home / "short.txt"
    word.write_text(given["text"])
    frank.must("grant", "use", str(word))
    world.wait_until(lambda: carol.is_linked(frank.did), "link by grant")
    spinning = frank.must("task", "send", "carol/hostile", "spin", "--no-wait").out.strip()
    client = carol.process.client
    world.wait_until(lambda: any(t["id"] == spinning for t in client.task_list(limit=50)), "task")
    world.wait_until(lambda: client.task_get(spinning)["final"], "end of the task")
    ended = client.task_get(spinning)
    assert ended["state"] == "TASK_STATE_CANCELED", ended["why"]
    assert 0 <= ended["updated_ms"] - given["until_ms"] <= 1000 * SECOND
    assert not carol.is_linked(frank.did)
    refused = frank.type("grant", "use", str(word))
    assert refused.code != 0
    assert "expired" in refused.err


def test_a_removed_node_keeps_no_grant(mesh: dict[str, Node]) -> None:
    carol, grace = mesh["carol"], mesh["grace"]
    made = carol.must("grant", "make", grace.did, "--allow", "a2a:every", "--until", "1h")
    word = grace.home / "removed.txt"
    word.write_text(made.out)
    grace.must("grant", "use", str(word))
    world.wait_until(lambda: carol.is_linked(grace.did), "link by grant")
    carol.must("trust", "remove", grace.did)
    world.wait_until(lambda: not carol.is_linked(grace.did), "end of the link")
    grace.must("grant", "use", str(word))
    carol.wait_event("link.stranger", did=grace.did)
    assert not carol.is_linked(grace.did)
