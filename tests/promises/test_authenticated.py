"""Promise 4, at the door: nothing a node acts on is unauthenticated."""

import contextlib
import secrets
import socket
import sqlite3
import threading
from collections.abc import Iterator

import pytest

from akshi_mesh.transport import handshake
from akshi_mesh.transport.handshake import Hail
from akshi_mesh.transport.noise import IK, Handshake
from identity.did import Did
from identity.keys import SigningKey, twin
from sync.store.database import Database
from tests.promises import world
from tests.promises.visitor import (
    NETWORK,
    Visitor,
    answer_to,
    connected,
    dialling,
    everything,
    framed,
    fresh_key,
    message,
    now_us,
)
from tests.promises.world import Node

# Points of small order, as the first 32 bytes of message 1 (the ephemeral key): RFC 7748 §6.1,
# and the list at cr.yp.to/ecdh.html#validate.
LOW_ORDER = [
    bytes(32),
    bytes([1]) + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


@pytest.fixture(scope="module")
def host() -> Iterator[Node]:
    with world.directory() as directory:
        node = world.node(directory, "host")
        with world.running(node):
            yield node


@pytest.fixture
def known(host: Node) -> SigningKey:
    """A key that the host trusts, for nothing but to connect."""
    key = fresh_key()
    host.must("trust", "add", str(key.did))
    return key


def stamps(node: Node) -> list[tuple[bytes, int, int]]:
    """What the node has stored of handshakes."""
    with contextlib.closing(sqlite3.connect(node.home / "node.db")) as database:
        return sorted(database.execute("SELECT peer, sent, accepted FROM stamps"))


def test_a_stranger_hears_nothing_and_the_operator_reads_who_it_was(host: Node) -> None:
    """Promises 4 and 6: a valid key that is not trusted gets 0 bytes and a closed connection."""
    stranger, before = fresh_key(), stamps(host)
    assert answer_to(host, framed(dialling(stranger, host).hail(now_us()))) == b""
    assert answer_to(host, framed(dialling(stranger, host).hail(now_us()))) == b""
    line = host.wait_event("link.stranger", did=str(stranger.did))
    assert line["hint"] == f"akshi-node trust add {stranger.did}"
    assert len(host.events("link.stranger", did=str(stranger.did))) == 1, "one line per key"
    assert host.peer(str(stranger.did)) is None
    assert stamps(host) == before


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x00",
        framed(b"GET / HTTP/1.1\r\n\r\n"),
        b"\xff" * 600,
        framed(secrets.token_bytes(146)),
    ],
    ids=["silence", "one byte", "http", "too long", "noise"],
)
def test_garbage_hears_nothing(host: Node, sent: bytes) -> None:
    """Promise 4: what is no handshake is closed without a byte."""
    assert answer_to(host, sent) == b""


def test_low_order_keys_do_not_disturb_the_listener(host: Node, known: SigningKey) -> None:
    """Promise 4: points of small order are garbage like any other, and the next caller comes in."""
    for point in LOW_ORDER:
        for sign in (point, point[:-1] + bytes([point[-1] | 0x80])):
            assert answer_to(host, framed(sign + secrets.token_bytes(114))) == b""
    with Visitor.at(host, known):
        world.wait_until(lambda: host.is_linked(str(known.did)), "link")
    refused = host.type("trust", "add", str(Did(bytes([1]) + bytes(31))))
    assert refused.code in (2, 3)
    assert "key" in refused.err


def test_another_network_is_nothing_to_us(host: Node, known: SigningKey) -> None:
    """Promise 4: a handshake of another network does not open, though the key is trusted."""
    other = dialling(known, host, network="another")
    assert answer_to(host, framed(other.hail(now_us()))) == b""
    host.wait_event("link.garbled")


def test_the_twin_of_a_trusted_key_is_refused(host: Node, known: SigningKey) -> None:
    """Promise 4: −A is another DID with the same secret; neither door nor trust takes it for A."""
    other = twin(known.public_key)
    hail = Hail(other, now_us(), handshake.VERSIONS).dumps()
    peer = Did.parse(host.did).public_key
    noise = Handshake(
        IK,
        initiator=True,
        prologue=handshake.prologue(NETWORK, peer),
        static_secret=known.x25519_secret(),
        ephemeral_secret=secrets.token_bytes(32),
        remote_static=handshake.known_x25519_public(peer),
    )
    assert answer_to(host, framed(noise.write(hail))) == b""
    refused = host.type("trust", "add", str(Did(other)))
    assert refused.code == 3
    assert str(known.did) in refused.err
    assert "hint: " in refused.err


def test_a_replayed_first_message_changes_nothing(host: Node, known: SigningKey) -> None:
    """Promise 4: a recorded message 1 gets no link, moves no stamp, disturbs no link."""
    old = framed(dialling(known, host).hail(now_us()))
    with Visitor.at(host, known) as visitor:
        world.wait_until(lambda: host.is_linked(str(known.did)), "link")
        since, before = host.peer(str(known.did)), stamps(host)
        assert since is not None
        newer = framed(dialling(known, host).hail(now_us()))
        for recorded in (old, newer, newer):
            # A trusted key always gets message 2; whoever cannot go on gets nothing more.
            answer = answer_to(host, recorded, hangs_up=True)
            assert len(answer) == 2 + int.from_bytes(answer[:2], "big")
        assert stamps(host) == before
        assert visitor.is_open
        now = host.peer(str(known.did))
        assert now is not None
        assert (now["state"], now["address"]) == ("linked", since["address"])
        assert abs(now["since_ms"] - since["since_ms"]) < 1_000, "the same link as before"


class Tape:
    """A wire that somebody has tapped: passes everything on and keeps what the dialler said."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._to = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.said: list[bytearray] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        host, port = self._server.getsockname()
        return f"{host}:{port}"

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(self._to)
                self.said.append(bytearray())
                for one, other, kept in ((near, far, self.said[-1]), (far, near, bytearray())):
                    threading.Thread(target=_pump, args=(one, other, kept), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            kept += data
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def test_a_whole_recorded_link_is_worth_nothing(host: Node) -> None:
    """Promise 4: who plays back all that a node ever said neither links nor disturbs the link."""
    with world.directory() as directory:
        guest = world.node(directory, "guest")
        tape = Tape(host.address)
        with world.running(guest), contextlib.closing(tape):
            host.trust(guest, address=False)
            guest.must("trust", "add", host.did, "--name", "host", "--address", tape.address)
            world.wait_until(lambda: host.is_linked(guest.did), "link through the tape")
            before, up = stamps(host), len(host.events("link.up", did=guest.did))
            for recorded in list(map(bytes, tape.said)):
                answer = answer_to(host, recorded, hangs_up=True)
                assert len(answer) < 512, "message 2, and not one record"
            assert stamps(host) == before
            assert host.is_linked(guest.did)
            assert len(host.events("link.up", did=guest.did)) == up
            assert host.events("link.refused", did=guest.did)[-1]["why"] == "refused: stale"


def test_a_stale_stamp_heals_by_itself(host: Node) -> None:
    """Promise 4: a node whose clock or disk went back is told so, and comes in at once."""
    with world.directory() as directory:
        guest = world.node(directory, "late")
        with world.running(guest):
            guest_did = guest.did
            host.trust(guest, address=False)
            guest.trust(host)
            world.wait_until(lambda: host.is_linked(guest_did), "first link")
        forget_stamps(guest, ahead_of=host)
        with world.running(guest):
            world.wait_until(lambda: host.is_linked(guest_did), "link after the stale stamp")
            assert guest.is_linked(host.did)
            refusals = host.events("link.refused", did=guest_did)
            assert [line["why"] for line in refusals] == ["refused: stale"]


def forget_stamps(guest: Node, *, ahead_of: Node) -> None:
    """The guest's record of stamps is lost, and the host has seen one from an hour ahead."""
    key = Did.parse(guest.did).public_key
    for home, change in (
        (guest.home, ("DELETE FROM stamps", ())),
        (
            ahead_of.home,
            (
                "UPDATE stamps SET accepted = ? WHERE peer = ?",
                (now_us() + 3_600_000_000, key),
            ),
        ),
    ):
        database = Database.open(str(home / "node.db"), schemas=())
        with contextlib.closing(database), database.transaction():
            database.execute(*change)
            assert database.changes() == 1


def test_a_link_needs_a_first_record_that_opens(host: Node, known: SigningKey) -> None:
    """Promise 4: message 2 alone proves nothing about who asked for it."""
    began = dialling(known, host)
    with connected(host) as stream:
        stream.sendall(framed(began.hail(now_us())))
        began.settle(message(stream), 0)
        stream.sendall(framed(secrets.token_bytes(40)))
        assert everything(stream) == b""
    assert not host.is_linked(str(known.did))
    assert not host.events("link.up", did=str(known.did))
