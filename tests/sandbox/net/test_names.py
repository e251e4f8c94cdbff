"""Names are looked up once, all addresses are looked at, few are tried."""

import socket
from collections.abc import Sequence

import pytest
import trio

from sandbox.net import names as module
from sandbox.net.errors import AddressRefused, NameUnknown
from sandbox.net.names import ADDRESSES_MAX, Resolver, addresses_of
from tests.sandbox.net.world import names


async def found(host: str, *answers: str, is_private: bool = False) -> Sequence[str]:
    lookup = names({host: list(answers)})
    addresses = await addresses_of(host, lookup=lookup, is_private=is_private)
    return [str(address) for address in addresses]


async def test_an_address_needs_no_resolver() -> None:
    for address in ("8.8.8.8", "2606:4700::1111"):
        addresses = await addresses_of(address, lookup=names({}), is_private=False)
        assert [str(one) for one in addresses] == [address]
    with pytest.raises(AddressRefused):
        await addresses_of("127.0.0.1", lookup=names({}), is_private=False)


async def test_few_are_tried_of_many() -> None:
    many = [f"8.8.8.{number}" for number in range(100)]
    assert await found("a.example", *many) == many[:ADDRESSES_MAX]


async def test_every_one_is_looked_at() -> None:
    many = [f"8.8.8.{number}" for number in range(100)]
    with pytest.raises(AddressRefused, match="loopback"):
        await found("a.example", *many, "127.0.0.1")
    assert await found("a.example", "127.0.0.1", "::1", is_private=True) == ["127.0.0.1", "::1"]
    for odd in ("fe80::1%lo", "127.1", "0x7f.1", ""):
        with pytest.raises(AddressRefused):
            await found("a.example", odd, is_private=True)


async def test_no_address_is_an_error() -> None:
    with pytest.raises(NameUnknown, match="no address"):
        await found("a.example")
    with pytest.raises(NameUnknown, match="name or service not known"):
        await addresses_of("b.example", lookup=names({}), is_private=False)


async def test_the_systems_resolver_knows_this_machine() -> None:
    assert "127.0.0.1" in await Resolver()("127.0.0.1")


async def test_a_resolver_that_hangs_holds_up_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cancelling does not wait for it, and other threads of the node are not its own."""
    import threading

    release = threading.Event()

    def hang(host: str) -> Sequence[str]:
        release.wait(5)
        return []

    monkeypatch.setattr(module, "_getaddrinfo", hang)
    resolver = Resolver(threads_max=1)
    with trio.move_on_after(0.02) as first:
        await resolver("slow.example")
    assert first.cancelled_caught
    with trio.fail_after(2):
        assert await trio.to_thread.run_sync(socket.gethostname)
    with trio.move_on_after(0.02) as second:
        await resolver("slow.example")
    assert second.cancelled_caught
    release.set()
