"""Names to addresses, once for each connection, and only addresses that may be reached."""

import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

import trio

from sandbox.endpoint import Address
from sandbox.net.errors import AddressRefused, NameUnknown
from sandbox.public_address import why_not_public

THREADS_MAX = 8  # resolvers hang for half a minute; others of the node must not wait for them
ADDRESSES_MAX = 8  # of one name that are tried

Lookup = Callable[[str], Awaitable[Sequence[str]]]


class Resolver:
    """The system's resolver, in threads of its own. Cancelling does not wait for it."""

    def __init__(self, threads_max: int = THREADS_MAX) -> None:
        self._limiter = trio.CapacityLimiter(threads_max)

    async def __call__(self, host: str) -> Sequence[str]:
        """All addresses of `host`, as text. Raises OSError."""
        found = await trio.to_thread.run_sync(
            _getaddrinfo, host, abandon_on_cancel=True, limiter=self._limiter
        )
        return list(dict.fromkeys(found))


def _getaddrinfo(host: str) -> Sequence[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def addresses_of(host: str, *, lookup: Lookup, is_private: bool) -> Sequence[Address]:
    """Where `host` may be reached.

    Raises:
        NameUnknown: no address.
        AddressRefused: any of them is not public, and `is_private` does not say so.
    """
    try:
        texts = [str(ip_address(host))]
    except ValueError:
        texts = list(await _looked_up(host, lookup))
    addresses = []
    for text in texts:
        try:
            address = ip_address(text)
        except ValueError as malformed:
            raise AddressRefused(host, why="no address at all") from malformed
        # One bad address among good ones is an attack, or a mistake; both end here.
        why = "bound to an interface" if "%" in text else why_not_public(address)
        if why is not None and not (is_private and "%" not in text):
            raise AddressRefused(host, why=f"{text} is {why}")
        addresses.append(address)
    return addresses[:ADDRESSES_MAX]


async def _looked_up(host: str, lookup: Lookup) -> Sequence[str]:
    try:
        texts = await lookup(host)
    except (OSError, UnicodeError) as failure:
        why = getattr(failure, "strerror", None) or "the resolver failed"
        raise NameUnknown(host, why=str(why).lower()) from failure
    if not texts:
        raise NameUnknown(host, why="no address")
    return texts
