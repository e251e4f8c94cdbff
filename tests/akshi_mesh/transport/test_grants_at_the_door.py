"""Grants in the handshake: a valid one lets a stranger in; with any other it gets no byte."""

from contextlib import suppress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair

from akshi_mesh.transport import wire
from akshi_mesh.transport.errors import HandshakeFailed, Stranger
from akshi_mesh.transport.handshake import (
    HAIL_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    Answering,
    Dialling,
    Hail,
)
from akshi_mesh.transport.limits import (
    GRANT_LOOKS_PER_S_MAX,
    GRANT_LOOKS_PER_SOURCE_MAX,
    LINES_PER_MINUTE_MAX,
    GrantLooks,
)
from identity.errors import IdentityError
from identity.grants import CHAIN_BYTES_MAX, Grant, make_grant, open_grant
from identity.keys import SigningKey, twin
from identity.trust import Right
from sandbox.bounds import Scope
from tests.akshi_mesh.transport.test_door import forged, framed, running, said
from tests.akshi_mesh.transport.test_handshake import read
from tests.akshi_mesh.transport.world import NETWORK, WALL_MS, Node, at, key_of, start_virtual

ALICE, BOB, EVE = key_of(1), key_of(2), key_of(3)
HOUR_MS = 3_600_000


def grant_to(holder: SigningKey, giver: SigningKey = BOB, until_ms: int = WALL_MS + 1_000) -> Grant:
    return make_grant(
        giver,
        holder.public_key,
        rights=[Right.parse("a2a:echo")],
        scope=Scope(),
        network=NETWORK,
        nonce=bytes(16),
        issued_ms=until_ms - HOUR_MS,
        until_ms=until_ms,
    )


class Desk:
    """As the node's: looks, keeps, shows; counts how often it looked."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.to_show: dict[bytes, bytes] = {}
        self.looks = 0

    def chain_for(self, peer: bytes) -> bytes:
        return self.to_show.get(peer, b"")

    def why_not(self, peer: bytes, chain: bytes) -> str | None:
        self.looks += 1
        try:
            open_grant(
                chain,
                network=NETWORK,
                now_ms=self._node.wall_ms,
                holder=peer,
                issuer=self._node.pk,
            )
        except IdentityError as refusal:
            return str(refusal)
        return None

    def take(self, peer: bytes, chain: bytes) -> None:
        if self.why_not(peer, chain) is None:
            self._node.trusted.add(peer)


def host() -> tuple[Node, Desk]:
    bob = Node(2)
    bob.desk = desk = Desk(bob)
    return bob, desk


def hail_with(chain: bytes, key: SigningKey = ALICE) -> bytes:
    dialling = Dialling(
        key=key, peer=BOB.public_key, network=NETWORK, ephemeral_secret=b"\x44" * 32
    )
    return framed(dialling.hail(WALL_MS * 1000, chain))


async def test_a_valid_grant_lets_a_stranger_in(autojump_clock: MockClock) -> None:
    alice, (bob, _) = Node(1, trusted={BOB.public_key}), host()
    alice.desk = shows = Desk(alice)
    shows.to_show[bob.pk] = grant_to(ALICE).raw
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        alice.links.keep(bob.pk, at(bob))
        await bob.ears.wait_up()
        # Trust that ends, as a grant's does, ends the link within a second.
        bob.trusted.clear()
        began = trio.current_time()
        await bob.ears.wait_down()
        assert trio.current_time() - began <= 1.0
        nursery.cancel_scope.cancel()


BAD = {
    "for somebody else": grant_to(EVE).raw,
    "from somebody else": grant_to(ALICE, EVE).raw,
    "over": grant_to(ALICE, until_ms=WALL_MS).raw,
    "another signature": grant_to(ALICE).raw[:-1] + b"\0",
    "no grant at all": b"\x80" * 400,
    "as long as may be": bytes(CHAIN_BYTES_MAX),
}


@pytest.mark.parametrize("what", BAD)
async def test_with_any_other_grant_a_stranger_gets_no_byte(
    what: str, autojump_clock: MockClock
) -> None:
    bob, _ = host()
    async with running(bob) as nursery:
        answer, took_s = await said(bob, nursery, hail_with(BAD[what]))
    assert answer == b""
    assert took_s < 1
    assert (bob.stamps.writes, bob.ears.events, bob.trusted) == (0, [], set())
    name, facts = bob.ears.notes[0]
    assert name == "link.stranger"
    assert facts["did"] == str(ALICE.did)
    assert facts["why"]


async def test_a_replayed_grant_keeps_nothing(autojump_clock: MockClock) -> None:
    """Message 1 may be a recording: until a first record opens, nothing was taken."""
    bob, _ = host()
    async with running(bob) as nursery:
        answer, _ = await said(bob, nursery, hail_with(grant_to(ALICE).raw))
        assert len(answer) > 100
    assert (bob.stamps.writes, bob.ears.events, bob.trusted) == (0, [], set())


async def test_a_grant_that_ends_before_the_first_record_lets_nobody_in(
    autojump_clock: MockClock,
) -> None:
    bob, _ = host()
    ours, theirs = memory_stream_pair()
    dialling = Dialling(
        key=ALICE, peer=BOB.public_key, network=NETWORK, ephemeral_secret=b"\x44" * 32
    )
    async with running(bob) as nursery:
        nursery.start_soon(bob.links.accept, theirs, "127.0.0.1")
        await ours.send_all(framed(dialling.hail(WALL_MS * 1000, grant_to(ALICE).raw)))
        keys = dialling.settle(bytes(await ours.receive_some())[2:], WALL_MS)
        bob.wall_ms += 1_000
        await ours.send_all(framed(keys.send.seal(wire.pack(wire.READY, b""))))
        assert await ours.receive_some() == b""
    assert (bob.stamps.writes, bob.ears.events) == (0, [])


async def test_looks_at_grants_of_strangers_are_rationed(autojump_clock: MockClock) -> None:
    bob, desk = host()
    count = GRANT_LOOKS_PER_SOURCE_MAX + 3
    async with running(bob) as nursery:
        for number in range(count):
            key = SigningKey.from_seed(bytes([99, number]) + bytes(30))
            assert (await said(bob, nursery, hail_with(grant_to(EVE).raw, key)))[0] == b""
    assert desk.looks == GRANT_LOOKS_PER_SOURCE_MAX
    assert count < LINES_PER_MINUTE_MAX


def test_a_source_gets_its_share_and_all_together_theirs() -> None:
    looks = GrantLooks()
    assert sum(looks.may_look("a", 0.0) for _ in range(20)) == GRANT_LOOKS_PER_SOURCE_MAX
    assert looks.may_look("a", 1.0)
    assert not looks.may_look("a", 1.0)
    crowd = sum(looks.may_look(str(number), 1.0) for number in range(3 * GRANT_LOOKS_PER_S_MAX))
    assert crowd <= GRANT_LOOKS_PER_S_MAX
    assert looks.may_look(None, 2.0), "loopback shares only the ration of all"


def test_no_grant_is_looked_at_before_the_static_key_is_proven() -> None:
    """A message that does not open costs no look, whatever it carries."""
    asked: list[bytes] = []

    def is_granted(key: bytes, _chain: bytes) -> bool:
        asked.append(key)
        return True

    message = bytearray(hail_with(grant_to(ALICE).raw)[2:])
    message[-1] ^= 1
    listener = Answering(key=BOB, network=NETWORK, ephemeral_secret=b"\x32" * 32)
    with pytest.raises(HandshakeFailed):
        listener.read(
            bytes(message),
            is_trusted=lambda _: False,
            asks_name=lambda _: True,
            asks_grant=lambda: True,
            is_granted=is_granted,
        )
    assert asked == []


def test_a_grant_is_none_for_the_twin_of_who_is_on_file() -> None:
    """One secret, two names: who is trusted under one gets in under no other."""
    chain = grant_to(ALICE).raw
    bob = Node(2)
    message = forged(ALICE, bob, Hail(twin(ALICE.public_key), 1, (1, 1), chain).dumps())[2:]
    listener = Answering(key=BOB, network=NETWORK, ephemeral_secret=b"\x32" * 32)
    with pytest.raises(Stranger):
        listener.read(
            message,
            is_trusted=lambda key: key == ALICE.public_key,
            asks_name=lambda _: True,
            asks_grant=lambda: True,
            is_granted=lambda _key, _chain: True,
        )


def test_a_short_message_never_asks_for_a_look() -> None:
    asks: list[str] = []

    def asks_grant() -> bool:
        asks.append("asked")
        return True

    listener = Answering(key=BOB, network=NETWORK, ephemeral_secret=b"\x32" * 32)
    with suppress(Stranger):
        listener.read(
            hail_with(b"")[2:],
            is_trusted=lambda _: False,
            asks_name=lambda _: False,
            asks_grant=asks_grant,
        )
    assert asks == []


@given(st.binary(min_size=1, max_size=600))
def test_any_chain_is_carried_as_it_is(chain: bytes) -> None:
    hail = Hail(ALICE.public_key, 7, (1, 1), chain)
    assert Hail.loads(hail.dumps()) == hail
    assert read(hail_with(chain)[2:], ALICE.public_key).grant == chain


def test_the_longest_chain_fits_message_1() -> None:
    assert len(hail_with(bytes(CHAIN_BYTES_MAX))) - 2 <= HAIL_BYTES_MAX
    assert len(hail_with(b"")) - 2 <= MESSAGE_BYTES_MAX


async def test_a_message_1_that_is_longer_is_not_read(autojump_clock: MockClock) -> None:
    bob, _ = host()
    async with running(bob) as nursery:
        answer, _ = await said(bob, nursery, framed(bytes(HAIL_BYTES_MAX + 1)))
    assert answer == b""
    assert "too long" in str(bob.ears.notes[0][1]["why"])
