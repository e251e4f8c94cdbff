"""The only door that httpcore is given: it resolves once, checks, and connects to what it checked.

name ── resolve once ──▶ all addresses ── any not public? ──▶ refused
                               │ no, or the owner said it is fine
                               ▼
              connect to one of exactly these, in their order
"""

import socket
from collections.abc import Iterable

import httpcore
import trio

from sandbox.endpoint import Address
from sandbox.net.errors import AddressRefused
from sandbox.net.names import Lookup, Resolver, addresses_of
from sandbox.net.stream import GuardedStream

CONNECT_S = 10.0  # for each address; a reachable one needs three round trips at most


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connections to checked addresses.

    Args:
        is_private: addresses that are not public are fine, too.
        lookup: a name's addresses as text; the system's resolver if None.
    """

    def __init__(self, *, is_private: bool, lookup: Lookup | None = None) -> None:
        self._is_private = is_private
        self._lookup = lookup or Resolver()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> GuardedStream:
        """Connect to `host`.

        Raises:
            NameUnknown, AddressRefused, httpcore.ConnectError, httpcore.ConnectTimeout:
                nothing of the request has left.
        """
        assert local_address is None, "the system chooses where we come from"
        assert not socket_options, "streams are as they are"
        try:
            with trio.fail_after(timeout if timeout is not None else float("inf")):
                addresses = await addresses_of(
                    host, lookup=self._lookup, is_private=self._is_private
                )
                return GuardedStream(await _first(addresses, port))
        except trio.TooSlowError as failure:
            raise httpcore.ConnectTimeout(f"no connection to {host} in {timeout:g} s") from failure
        except OSError as failure:
            why = (failure.strerror or "no connection").lower()
            raise httpcore.ConnectError(f"{host} port {port}: {why}") from failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the signature is httpcore's
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> GuardedStream:
        """Never: a local socket is no place in the world."""
        raise AddressRefused(path, why="a local socket")

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


async def _first(addresses: Iterable[Address], port: int) -> socket.socket:
    """A connection to the first address that takes one. Raises OSError, of the last one."""
    failure = OSError("no address")
    for address in addresses:
        try:
            with trio.fail_after(CONNECT_S):
                return await _connect(address, port)
        except OSError as refused:
            failure = refused
        except trio.TooSlowError:
            failure = OSError(0, f"no connection in {CONNECT_S:g} s")
    raise failure


async def _connect(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with trio.socket.socket(family, socket.SOCK_STREAM) as connecting:
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await connecting.connect((str(address), port))
        connected = socket.socket(fileno=connecting.detach())
        connected.setblocking(False)
        return connected
