"""Who comes in, seen from outside: strangers hear nothing, replays change nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from akshi_mesh.transport import wire
from akshi_mesh.transport.handshake import Dialling, Hail, prologue
from akshi_mesh.transport.limits import HALF_OPEN_MAX
from akshi_mesh.transport.meet import ANSWER_S, HAIL_S
from akshi_mesh.transport.noise import IK, Handshake
from identity.keys import SigningKey, twin, x25519_public
from tests.akshi_mesh.transport.test_noise import LOW_ORDER
from tests.akshi_mesh.transport.world import (
    NETWORK,
    WALL_MS,
    Node,
    at,
    key_of,
    start_real,
    start_virtual,
    trusting,
)


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def hail_from(key: SigningKey, to: Node, *, stamp: int = WALL_MS * 1000) -> bytes:
    dialling = Dialling(key=key, peer=to.pk, network=NETWORK, ephemeral_secret=b"\x44" * 32)
    return framed(dialling.hail(stamp))


def forged(key: SigningKey, to: Node, payload: bytes) -> bytes:
    noise = Handshake(
        IK,
        initiator=True,
        prologue=prologue(NETWORK, to.pk),
        static_secret=key.x25519_secret(),
        ephemeral_secret=b"\x45" * 32,
        remote_static=x25519_public(to.pk),
    )
    return framed(noise.write(payload))


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [node])
        yield nursery
        nursery.cancel_scope.cancel()


async def said(node: Node, nursery: trio.Nursery, data: bytes) -> tuple[bytes, float]:
    """All that `node` answers to `data` until it closes, and how long it took."""
    ours, theirs = memory_stream_pair()
    nursery.start_soon(node.links.accept, theirs, "203.0.113.9")
    began = trio.current_time()
    await ours.send_all(data)
    answer = b""
    while chunk := await ours.receive_some():
        answer += chunk
    return answer, trio.current_time() - began


async def test_a_stranger_gets_no_byte_and_a_closed_connection(
    autojump_clock: MockClock,
) -> None:
    """A valid key is not enough; the operator reads whom to trust."""
    alice, bob = Node(1), Node(2)
    async with running(bob) as nursery:
        answer, _ = await said(bob, nursery, hail_from(alice.key, bob))
    assert answer == b""
    assert bob.ears.events == []
    assert bob.ears.notes == [
        (
            "link.stranger",
            {
                "did": alice.did,
                "source": "203.0.113.9",
                "hint": f"akshi-node trust add {alice.did}",
            },
        )
    ]


async def test_a_stranger_is_named_once_and_strangers_ten_times_a_minute(
    autojump_clock: MockClock,
) -> None:
    bob = Node(2)
    async with running(bob) as nursery:
        for number in [*range(10, 40), *range(10, 40)]:
            answer, _ = await said(bob, nursery, hail_from(key_of(number), bob))
            await trio.sleep(0.1)
            assert answer == b""
    assert len([name for name, _ in bob.ears.notes if name == "link.stranger"]) == 10


async def test_the_twin_of_a_trusted_did_is_refused(autojump_clock: MockClock) -> None:
    """Same secret, same X25519 key, other DID: not the one on file."""
    alice, bob = trusting(1, 2)
    payload = Hail(twin(alice.pk), WALL_MS * 1000, (1, 1)).dumps()
    async with running(bob) as nursery:
        answer, _ = await said(bob, nursery, forged(alice.key, bob, payload))
    assert answer == b""
    assert bob.stamps.writes == 0
    assert bob.ears.notes[0][0] == "link.stranger"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff" + bytes(600),
        b"\x00\x00",
        b"\x00\xc8" + bytes(200),
        *(framed(point + bytes(150)) for point in LOW_ORDER),
    ],
    ids=lambda data: data[:6].hex(),
)
async def test_garbage_and_low_order_keys_get_nothing_and_disturb_nobody(
    autojump_clock: MockClock, data: bytes
) -> None:
    alice, bob = trusting(1, 2)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        answer, took_s = await said(bob, nursery, data)
        assert (answer, took_s) == (b"", 0.0), "refused by its length, before it is all there"
        alice.links.keep(bob.pk, at(bob))
        await bob.ears.wait_up()
        nursery.cancel_scope.cancel()
    assert bob.ears.notes[0][0] == "link.garbled"


async def test_message_1_must_be_complete_within_a_second(autojump_clock: MockClock) -> None:
    """A byte now and then buys no more time."""
    alice, bob = trusting(1, 2)
    ours, theirs = memory_stream_pair()
    async with running(bob) as nursery:
        nursery.start_soon(bob.links.accept, theirs, "127.0.0.1")
        began = trio.current_time()

        async def dribble() -> None:
            for byte in hail_from(alice.key, bob):
                await ours.send_all(bytes([byte]))
                await trio.sleep(0.3)

        with pytest.raises(trio.BrokenResourceError):
            await dribble()
        assert trio.current_time() - began == pytest.approx(1.2)
    assert HAIL_S == 1.0
    assert [facts["why"] for name, facts in bob.ears.notes] == ["too slow"]


async def test_a_replayed_message_1_changes_no_state(autojump_clock: MockClock) -> None:
    """Neither a recorded one that was never used, nor one whose link is live."""
    alice, bob = trusting(1, 2)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        unused = hail_from(alice.key, bob, stamp=WALL_MS * 1000 - 5)
        answer, took_s = await said(bob, nursery, unused)
        assert len(answer) > 100, "a trusted key gets message 2"
        assert took_s == ANSWER_S
        assert (bob.stamps.writes, bob.ears.events) == (0, [])

        alice.links.keep(bob.pk, at(bob))
        await bob.ears.wait_up()
        before = (dict(bob.stamps.seen), list(bob.ears.events))
        for replay in (unused, hail_from(alice.key, bob, stamp=WALL_MS * 1000)):
            answer, _ = await said(bob, nursery, replay)
            assert len(answer) > 100
            assert (bob.stamps.seen, bob.ears.events) == before
        assert alice.links.send(bob.pk, wire.ENVELOPE, b"still there")
        await bob.ears.wait_messages(1)
        nursery.cancel_scope.cancel()


async def test_a_first_record_that_is_not_ready_is_no_link(autojump_clock: MockClock) -> None:
    alice, bob = trusting(1, 2)
    ours, theirs = memory_stream_pair()
    dialling = Dialling(key=alice.key, peer=bob.pk, network=NETWORK, ephemeral_secret=b"\x44" * 32)
    async with running(bob) as nursery:
        nursery.start_soon(bob.links.accept, theirs, "127.0.0.1")
        await ours.send_all(framed(dialling.hail(WALL_MS * 1000)))
        answer = bytes(await ours.receive_some())
        keys = dialling.settle(answer[2:], WALL_MS)
        await ours.send_all(framed(keys.send.seal(wire.pack(wire.ENVELOPE, b"x"))))
        assert await ours.receive_some() == b""
    assert (bob.stamps.writes, bob.ears.events) == (0, [])


async def test_trust_is_asked_again_when_the_first_record_opens(
    autojump_clock: MockClock,
) -> None:
    alice, bob = trusting(1, 2)
    ours, theirs = memory_stream_pair()
    dialling = Dialling(key=alice.key, peer=bob.pk, network=NETWORK, ephemeral_secret=b"\x44" * 32)
    async with running(bob) as nursery:
        nursery.start_soon(bob.links.accept, theirs, "127.0.0.1")
        await ours.send_all(framed(dialling.hail(WALL_MS * 1000)))
        keys = dialling.settle(bytes(await ours.receive_some())[2:], WALL_MS)
        bob.trusted.clear()
        await ours.send_all(framed(keys.send.seal(wire.pack(wire.READY, b""))))
        assert await ours.receive_some() == b""
    assert (bob.stamps.writes, bob.ears.events) == (0, [])


async def test_a_good_peer_connects_through_a_flood(autojump_clock: MockClock) -> None:
    """200 half-open connections hold 64 slots; the oldest one makes room for the good peer."""
    alice, bob = trusting(1, 2)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        loris = []
        for _ in range(200):
            ours, theirs = memory_stream_pair()
            nursery.start_soon(bob.links.accept, theirs, "127.0.0.1")
            await ours.send_all(b"\x00")
            loris.append(ours)
        await trio.testing.wait_all_tasks_blocked()
        assert len(bob.links._door._half_open) == HALF_OPEN_MAX
        for crowded_out in loris[: 200 - HALF_OPEN_MAX]:
            assert await crowded_out.receive_some() == b""
        assert trio.current_time() == 0.0, "closed to make room, not because it was slow"
        began = trio.current_time()
        alice.links.keep(bob.pk, at(bob))
        await bob.ears.wait_up()
        assert trio.current_time() == began, "without waiting for any of them to time out"
        nursery.cancel_scope.cancel()


async def test_one_source_is_cut_off_before_it_costs_anything(
    autojump_clock: MockClock,
) -> None:
    bob = Node(2)
    async with running(bob) as nursery:
        for _ in range(4):
            ours, theirs = memory_stream_pair()
            nursery.start_soon(bob.links.accept, theirs, "203.0.113.9")
            await ours.send_all(b"\x00")
        answer, took_s = await said(bob, nursery, b"\x00")
        assert (answer, took_s) == (b"", 0.0)
    assert bob.ears.notes[0][1]["why"] == "too many handshakes at once"


async def test_the_listener_on_loopback_refuses_a_stranger_too() -> None:
    """The same over real TCP: zero bytes, closed."""
    alice, bob = Node(1), Node(2)
    async with trio.open_nursery() as nursery:
        address = await start_real(nursery, bob)
        with trio.fail_after(5):
            stream = await trio.open_tcp_stream(address.host, address.port)
            await stream.send_all(hail_from(alice.key, bob))
            assert await stream.receive_some() == b""
            await bob.ears.wait_note("link.stranger")
        await stream.aclose()
        nursery.cancel_scope.cancel()
