"""Two nodes talk over loopback, and over memory in virtual time."""

import trio

from akshi_mesh.transport.wire import ENVELOPE, SYNC
from tests.akshi_mesh.transport.world import at, start_real, start_virtual, trusting


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
    assert bob.ears.messages == [(alice.pk, ENVELOPE, b"task %d" % n) for n in range(100)]
    assert alice.ears.messages == [(bob.pk, SYNC, b"frontier")]


async def test_two_nodes_in_virtual_time(autojump_clock: trio.testing.MockClock) -> None:
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
    assert bob.ears.messages == [(alice.pk, ENVELOPE, b"hello")]
