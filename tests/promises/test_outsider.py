"""Promise 4: an outsider checks signature, place and order of every record, with other tools.

The copy that is checked is the one a peer holds; the only thing believed is the host's DID.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from nacl.exceptions import BadSignatureError

from tests.promises import outsider, world
from tests.promises.world import Node, agent

NETWORK = "akshi"
JOURNALS = ("notes", "scribe")
CONFIG = "".join(f'[[journals]]\nname = "{name}"\nscope = "mesh"\n' for name in JOURNALS)
ENTRIES = 9


@dataclass(frozen=True)
class Log:
    """One log as a peer holds it: entries in order, signed heads, who vouches for its author."""

    journal: str
    author: bytes
    epoch: bytes
    entries: list[bytes]
    checkpoints: list[bytes]
    attestation: bytes | None


@pytest.fixture(scope="module")
def host() -> Iterator[Node]:
    with world.directory() as directory:
        scribe = agent("scribe", "scribe", capabilities=["journal"])
        node = world.node(directory, "host", CONFIG + scribe)
        with world.running(node):
            yield node


@pytest.fixture(scope="module")
def logs(host: Node) -> list[Log]:
    """What a guest has of the journals after the host wrote them, one entry after the other."""
    with world.directory() as directory:
        guest = world.node(directory, "guest", CONFIG)
        with world.running(guest):
            host.trust(guest, "journal:*", address=False)
            guest.trust(host, "journal:*")
            for number in range(ENTRIES):
                host.must("journal", "append", "notes", f"note {number}", "--tag", "n")
                assert host.ask("self/scribe", f"line {number}")["state"].endswith("COMPLETED")
            for journal in JOURNALS:
                world.wait_until(lambda name=journal: held(guest, name) == ENTRIES, journal)  # type: ignore[misc]
            return stored(guest)


def held(node: Node, journal: str) -> int:
    return len(node.type("journal", "read", journal, "--json").out.splitlines())


def stored(node: Node) -> list[Log]:
    with contextlib.closing(sqlite3.connect(node.home / "node.db")) as rows:
        found = []
        for number, journal, author, epoch in rows.execute(
            "SELECT l.id, n.name, author, epoch FROM journal_logs l JOIN journal_names n"
            " ON n.id = l.journal"
        ).fetchall():
            entries = "SELECT data FROM journal_entries WHERE log = ? ORDER BY seq"
            heads = "SELECT data FROM journal_checkpoints WHERE log = ? ORDER BY size"
            vouched = "SELECT data FROM journal_attestations WHERE author = ?"
            found.append(
                Log(
                    journal,
                    author,
                    epoch,
                    [data for (data,) in rows.execute(entries, (number,))],
                    [data for (data,) in rows.execute(heads, (number,))],
                    next((data for (data,) in rows.execute(vouched, (author,))), None),
                )
            )
        return found


def test_every_checkpoint_verifies_with_a_hash_and_a_signature(host: Node, logs: list[Log]) -> None:
    """Promise 4: signature, journal, epoch, size and root, of each log and each signed head."""
    assert sorted(log.journal for log in logs) == sorted(JOURNALS)
    for log in logs:
        assert len(log.entries) == ENTRIES
        assert log.checkpoints
        for data in log.checkpoints:
            signed = outsider.signed(data, network=NETWORK)
            assert (signed.author, signed.kind) == (log.author, outsider.KIND.format("checkpoint"))
            assert signed.body[1] == log.journal
            assert signed.body[2] == log.epoch
            assert signed.body[4] == outsider.root(log.entries[: signed.body[3]])
        assert outsider.signed(log.checkpoints[-1], network=NETWORK).body[3] == ENTRIES


def test_who_wrote_what_in_which_order_follows_from_the_signed_roots(
    host: Node, logs: list[Log]
) -> None:
    """Promise 4: the node wrote the notes, its agent the lines; the node vouches for the agent."""
    node_key = outsider.key_of(host.did)
    said = {"notes": "note", "scribe": "line"}
    for log in logs:
        entries = [outsider.whole(data) for data in log.entries]
        assert [entry[5] for entry in entries] == [
            f"{said[log.journal]} {n}" for n in range(ENTRIES)
        ]
        times = [entry[1] for entry in entries]
        assert times == sorted(set(times))
        assert {entry[3] for entry in entries} == {host.did}, "on whose behalf"
        if log.journal == "notes":
            assert log.author == node_key
            continue
        assert log.attestation is not None
        vouched = outsider.signed(log.attestation, network=NETWORK)
        assert (vouched.author, vouched.body[1], vouched.body[2]) == (
            node_key,
            log.author,
            "scribe",
        )
        assert vouched.body[4] == ["journal"]
        assert vouched.fields[5] > vouched.fields[4]


def test_one_changed_bit_is_seen_by_the_outsider(logs: list[Log]) -> None:
    """Promise 4: a changed entry, a swapped order, a changed head, another network: none holds."""
    for log in logs:
        data = log.checkpoints[-1]
        body = outsider.signed(data, network=NETWORK).body
        changed = [log.entries[0][:-1] + bytes([log.entries[0][-1] ^ 1]), *log.entries[1:]]
        assert outsider.root(changed) != body[4]
        assert outsider.root(log.entries[::-1]) != body[4]
        with pytest.raises(BadSignatureError):
            outsider.signed(data[:-1] + bytes([data[-1] ^ 1]), network=NETWORK)
        with pytest.raises(BadSignatureError):
            outsider.signed(data, network="another")


def test_our_own_verifier_says_the_same(host: Node) -> None:
    """Promise 4, on the command line: `journal verify` holds every root and signature."""
    done = host.must("journal", "verify", "--json")
    assert all(finding["ok"] for finding in done.objects[0]["findings"])
