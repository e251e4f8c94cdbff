"""Two nodes talk over loopback, and over memory in virtual time."""

from functools import partial

import pytest
import trio
from trio.testing import MockClock

from akshi_mesh.transport.address import Address
from akshi_mesh.transport.errors import ListenRefused, SelfDial, Unreachable
from akshi_mesh.transport.handshake import STAMP_AHEAD_MAX, STAMP_MAX
from akshi_mesh.transport.keeper import PAUSE_MAX_S
from akshi_mesh.transport.tcp import TcpStream, connect_tcp
from akshi_mesh.transport.wire import ENVELOPE, SYNC
from tests.akshi_mesh.transport.world import (
    WALL_MS,
    Node,
    at,
    start_real,
    start_virtual,
    trusting,
)


async def test_two_nodes_exchange_messages_over_loopback() -> None:
    """What one sends, the other gets, in order, with who sent it."""
    alice, bob = trusting(1, 2)
    async with trio.open_nursery() as nursery:
        address = await start_real(nursery, bob)
        await start_real(nursery, alice)
        alice.links.keep(bob.pk, [address])
        with trio.fail_after(5):
            await alice.ears.wait_up()
            await bob.ears.wait_up()
            for number in range(100):
                assert alice.links.send(bob.pk, ENVELOPE, b"task %d" % number)
            assert bob.links.send(alice.pk, SYNC, b"frontier")
            await bob.ears.wait_messages(100)
            await alice.ears.wait_messages(1)
        nursery.cancel_scope.cancel()
    assert bob.ears.heard_messages == [(alice.pk, ENVELOPE, b"task %d" % n) for n in range(100)]
    assert alice.ears.heard_messages == [(bob.pk, SYNC, b"frontier")]


async def test_two_nodes_in_virtual_time(autojump_clock: MockClock) -> None:
    """The same code over memory streams."""
    alice, bob = trusting(1, 2)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        alice.links.keep(bob.pk, at(bob))
        await alice.ears.wait_up()
        await bob.ears.wait_up()
        assert alice.links.send(bob.pk, ENVELOPE, b"hello")
        await bob.ears.wait_messages(1)
        nursery.cancel_scope.cancel()
    assert bob.ears.heard_messages == [(alice.pk, ENVELOPE, b"hello")]


async def test_the_dialler_of_a_mute_close_reads_what_to_type(
    autojump_clock: MockClock,
) -> None:
    """Only one side trusts: the other's operator, and this one's, know what to do."""
    alice, bob = trusting(1, 2)
    bob.trusted.clear()
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        alice.links.keep(bob.pk, at(bob))
        facts = await alice.ears.wait_note("link.unreached")
        assert facts["why"] == (
            f"no answer: {bob.did} may not trust this node; there: akshi-node trust add {alice.did}"
        )
        [info] = alice.links.links()
        assert info.last_failure == facts["why"]
        assert info.state == "waiting"
        assert (await bob.ears.wait_note("link.stranger"))["did"] == alice.did
        bob.trusted.add(alice.pk)
        began = trio.current_time()
        await alice.ears.wait_up()
        assert trio.current_time() - began < PAUSE_MAX_S
        [info] = alice.links.links()
        assert (info.state, info.last_failure, info.dialled_by_us) == ("up", None, True)
        assert (await alice.ears.wait_note("link.unreached")) == facts, "said once"
        assert len(alice.ears.notes) == 1
        nursery.cancel_scope.cancel()


async def test_a_stale_stamp_heals_by_one_redial(autojump_clock: MockClock) -> None:
    """The dialler's clock went back a day; its peer remembers."""
    alice, bob = trusting(1, 2)
    bob.stamps.accept(alice.pk, alice.stamps.clock_us + STAMP_AHEAD_MAX)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        alice.links.keep(bob.pk, at(bob))
        await alice.ears.wait_up()
        assert trio.current_time() == 0.0
        nursery.cancel_scope.cancel()
    assert alice.ears.notes == []
    assert bob.stamps.seen[alice.pk] == alice.stamps.clock_us + STAMP_AHEAD_MAX + 1


TOMORROW = WALL_MS * 1_000 + STAMP_AHEAD_MAX


@pytest.mark.parametrize("highest", [TOMORROW + 1, STAMP_MAX - 1, STAMP_MAX])
async def test_a_peer_cannot_lift_our_stamps_far(autojump_clock: MockClock, highest: int) -> None:
    """Its word would be stored, and no stamp after it would rise."""
    alice, bob = trusting(1, 2)
    bob.stamps.accept(alice.pk, highest)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        alice.links.keep(bob.pk, at(bob))
        facts = await alice.ears.wait_note("link.unreached")
        assert "days ahead of our clock" in str(facts["why"])
        assert "date" in str(facts["hint"])
        nursery.cancel_scope.cancel()
    assert alice.stamps.sent[bob.pk] == alice.stamps.clock_us


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
async def test_when_both_dial_one_link_stays_and_both_agree(
    autojump_clock: MockClock, order: tuple[int, int]
) -> None:
    """The one dialled by the smaller key, and messages pass on it."""
    nodes = {node.number: node for node in trusting(1, 2)}
    first, second = nodes[order[0]], nodes[order[1]]
    smaller = min(nodes.values(), key=lambda node: node.pk)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [first, second])
        first.links.keep(second.pk, at(second))
        second.links.keep(first.pk, at(first))
        await trio.sleep(60)
        for node, other in ((first, second), (second, first)):
            [info] = node.links.links()
            assert (info.state, info.dialled_by_us) == ("up", node is smaller)
            assert node.links.send(other.pk, ENVELOPE, b"hello")
            await other.ears.wait_messages(1)
            ups = [what for what, _ in node.ears.events if what == "up"]
            assert len(ups) == len(node.ears.downs) + 1
        nursery.cancel_scope.cancel()


async def test_forgetting_closes_at_once_and_dials_no_more(autojump_clock: MockClock) -> None:
    """Trust removed: the peer learns nothing, and does not come back in."""
    alice, bob = trusting(1, 2)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        alice.links.keep(bob.pk, at(bob))
        await bob.ears.wait_up()
        bob.trusted.clear()
        bob.links.forget(alice.pk, "trust was removed")
        assert bob.ears.downs == ["trust was removed"]
        assert not bob.links.send(alice.pk, ENVELOPE, b"x")
        assert bob.links.links() == []
        await alice.ears.wait_down()
        assert alice.ears.downs == ["the peer closed the connection"]
        await trio.sleep(100)
        assert bob.ears.events == [("up", alice.pk), ("down", alice.pk)]
        alice.links.forget(bob.pk, "done")
        count = len(alice.ears.notes)
        await trio.sleep(100)
        assert len(alice.ears.notes) == count
        nursery.cancel_scope.cancel()


async def test_trust_that_expires_closes_the_link_within_a_second(
    autojump_clock: MockClock,
) -> None:
    alice, bob = trusting(1, 2)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        alice.links.keep(bob.pk, at(bob))
        await bob.ears.wait_up()
        await trio.sleep(7.5)
        bob.trusted.clear()
        expired_at = trio.current_time()
        await bob.ears.wait_down()
        assert trio.current_time() - expired_at <= 1.0
        assert bob.ears.downs == ["it is trusted no more"]
        nursery.cancel_scope.cancel()


async def test_a_peer_we_do_not_trust_is_not_dialled(autojump_clock: MockClock) -> None:
    alice, bob = trusting(1, 2)
    alice.trusted.clear()
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        alice.links.keep(bob.pk, at(bob))
        facts = await alice.ears.wait_note("link.unreached")
        assert facts["hint"] == f"akshi-node trust add {bob.did}"
        nursery.cancel_scope.cancel()
    assert bob.ears.notes == []


async def test_a_banned_peer_is_told_until_when(autojump_clock: MockClock) -> None:
    """Three bad signatures later: closed with the reason, refused with the reason."""
    alice, bob = trusting(1, 2)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        alice.links.keep(bob.pk, at(bob))
        await bob.ears.wait_up()
        bob.links.ban(alice.pk, until_ms=bob.wall_ms + 600_000, why="3 bad signatures")
        facts = await alice.ears.wait_note("link.unreached")
        assert alice.ears.downs == ["the peer closed it: 3 bad signatures"]
        assert facts["why"] == "it has banned this node for 600 s"
        assert (await bob.ears.wait_note("link.refused"))["why"] == "refused: banned"
        bob.links.keep(alice.pk, at(alice))
        assert (await bob.ears.wait_note("link.unreached"))["why"] == "this node has banned it"
        bob.wall_ms += 600_000
        await alice.ears.wait_up(2)
        assert trio.current_time() == pytest.approx(600, abs=2)
        nursery.cancel_scope.cancel()


async def test_an_older_link_is_replaced_only_by_a_live_one(autojump_clock: MockClock) -> None:
    """The peer restarted and we have not noticed yet."""
    alice, bob = trusting(1, 2)
    again = Node(1, trusted={bob.pk}, stamps=alice.stamps)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        alice.links.keep(bob.pk, at(bob))
        await bob.ears.wait_up()
        await start_virtual(nursery, [again])
        again.links = again.make({2: bob}, nursery)
        await nursery.start(partial(again.links.run, listen=None))
        again.links.keep(bob.pk, at(bob))
        await bob.ears.wait_up(2)
        assert bob.ears.downs == ["replaced by a newer link"]
        assert bob.links.send(alice.pk, ENVELOPE, b"to the new one")
        await again.ears.wait_messages(1)
        nursery.cancel_scope.cancel()


async def test_the_first_address_that_leads_to_the_peer_is_taken(
    autojump_clock: MockClock,
) -> None:
    alice, bob, eve = trusting(1, 2, 3)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob, eve])
        alice.links.keep(bob.pk, [Address("127.0.0.1", 99), *at(eve), *at(bob)])
        await alice.ears.wait_up()
        assert alice.links.links()[0].address == "127.0.0.1:2"
        nursery.cancel_scope.cancel()


async def test_somebody_else_at_the_address_is_not_the_peer(autojump_clock: MockClock) -> None:
    """Eve does not hold bob's key: message 1 does not open for her, and she can say nothing."""
    alice, bob, eve = trusting(1, 2, 3)
    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob, eve])
        alice.links.keep(bob.pk, at(eve))
        facts = await alice.ears.wait_note("link.unreached")
        assert str(facts["why"]).startswith("no answer: ")
        nursery.cancel_scope.cancel()
    assert eve.ears.events == []


@pytest.mark.parametrize("answer", [bytes(32), bytes(200), b"\xff" * 3, b""])
async def test_any_answer_that_is_not_message_2_is_survived(
    autojump_clock: MockClock, answer: bytes
) -> None:
    alice, bob = trusting(1, 2)

    async def speak_nonsense(stream: trio.abc.Stream, _host: str) -> None:
        await stream.receive_some()
        await stream.send_all(len(answer).to_bytes(2, "big") + answer)
        await trio.sleep(1)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        bob.links.accept = speak_nonsense  # type: ignore[method-assign]
        alice.links.keep(bob.pk, at(bob))
        why = (await alice.ears.wait_note("link.unreached"))["why"]
        assert why == f"not {bob.did} answers at 127.0.0.1:2"
        nursery.cancel_scope.cancel()


async def test_a_peer_that_does_not_answer_is_given_up(autojump_clock: MockClock) -> None:
    alice, bob = trusting(1, 2)

    async def be_mute(_stream: trio.abc.Stream, _host: str) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        bob.links.accept = be_mute  # type: ignore[method-assign]
        alice.links.keep(bob.pk, at(bob))
        await trio.sleep(1)
        assert alice.links.links()[0].state == "dialling"
        assert (await alice.ears.wait_note("link.unreached"))["why"] == "no answer within 5 s"
        nursery.cancel_scope.cancel()


async def test_forgetting_stops_a_dial_in_flight(autojump_clock: MockClock) -> None:
    alice, bob = trusting(1, 2)

    async def be_mute(_stream: trio.abc.Stream, _host: str) -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        await start_virtual(nursery, [alice, bob])
        bob.links.accept = be_mute  # type: ignore[method-assign]
        alice.links.keep(bob.pk, at(bob))
        await trio.sleep(1)
        alice.links.forget(bob.pk, "never mind")
        await trio.sleep(100)
        assert (alice.ears.notes, alice.links.links()) == ([], [])
        nursery.cancel_scope.cancel()


async def test_nobody_dials_themselves() -> None:
    alice = Node(1)
    with pytest.raises(SelfDial):
        alice.links.keep(alice.pk, at(alice))


async def test_a_port_in_use_names_the_remedy() -> None:
    alice, bob = trusting(1, 2)
    async with trio.open_nursery() as nursery:
        address = await start_real(nursery, alice)
        with pytest.raises(ListenRefused, match="address already in use") as refused:
            await bob.links.run(listen=address)
        assert refused.value.hint is not None
        assert "--listen" in refused.value.hint
        nursery.cancel_scope.cancel()


async def test_nobody_at_the_port_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="connection refused"):
        await connect_tcp(Address("127.0.0.1", 9))


async def test_both_ends_of_a_tcp_link_have_no_delay() -> None:
    """A peer product loses 88 ms a round trip without."""
    alice, bob = trusting(1, 2)
    async with trio.open_nursery() as nursery:
        alice.links.keep(bob.pk, [await start_real(nursery, bob)])
        await start_real(nursery, alice)
        with trio.fail_after(5):
            await alice.ears.wait_up()
            await bob.ears.wait_up()
        for node in (alice, bob):
            [live] = node.links._live.values()
            assert isinstance(live.link._stream, TcpStream)
            assert live.link._stream.has_no_delay
        nursery.cancel_scope.cancel()


async def test_a_peer_that_vanishes_is_dialled_again() -> None:
    """Over TCP: the connection breaks, the keeper dials, messages flow again."""
    alice, bob = trusting(1, 2)
    async with trio.open_nursery() as nursery:
        await start_real(nursery, alice)
        with trio.fail_after(10):
            async with trio.open_nursery() as brief:
                address = await start_real(brief, bob)
                alice.links.keep(bob.pk, [address])
                await bob.ears.wait_up()
                brief.cancel_scope.cancel()
            await alice.ears.wait_down()
            assert bob.ears.downs == ["the node is stopping"]
            bob.links = bob.make({})
            await nursery.start(partial(bob.links.run, listen=address))
            await alice.ears.wait_up(2)
            assert alice.links.send(bob.pk, ENVELOPE, bytes(60_000))
            await bob.ears.wait_messages(1)
        nursery.cancel_scope.cancel()


async def test_much_traffic_both_ways_over_tcp_arrives_whole_and_in_order() -> None:
    """Full queues, partial writes, credit, two lanes."""
    alice, bob = trusting(1, 2)
    sizes = [1, 300, 5_000, 60_000]

    async def pour(node: Node, peer: bytes, kind: int) -> None:
        for number in range(400):
            body = b"%d|" % number + bytes(sizes[number % 4])
            while not node.links.send(peer, kind, body):
                await node.ears.heard.wait()

    async with trio.open_nursery() as nursery:
        alice.links.keep(bob.pk, [await start_real(nursery, bob)])
        await start_real(nursery, alice)
        with trio.fail_after(20):
            await alice.ears.wait_up()
            await bob.ears.wait_up()
            async with trio.open_nursery() as pouring:
                for kind in (ENVELOPE, SYNC):
                    pouring.start_soon(pour, alice, bob.pk, kind)
                    pouring.start_soon(pour, bob, alice.pk, kind)
            await alice.ears.wait_messages(800)
            await bob.ears.wait_messages(800)
        nursery.cancel_scope.cancel()
    for node in (alice, bob):
        for kind in (ENVELOPE, SYNC):
            numbers = [
                int(body.split(b"|")[0]) for _, k, body in node.ears.heard_messages if k == kind
            ]
            assert numbers == list(range(400))
