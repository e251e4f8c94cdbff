"""Connections of one agent, kept for a while and used again only for what was checked.

A line belongs to one origin and to one answer to "may it be a private address?". Two agents
never share one: what a server knows about a connection it knows about one agent.
"""

import ssl
from collections.abc import Callable
from typing import Final

import httpcore

from sandbox.endpoint import Url
from sandbox.net.backend import GuardedBackend
from sandbox.net.line import Line
from sandbox.net.names import Lookup

KEPT_S: Final = 5.0  # as httpx; servers close after 5 to 75 s
KEPT_MAX: Final = 8  # of one agent; it has no more workers


class Lines:
    """The idle connections of one agent, and how it gets new ones."""

    def __init__(self, tls: Callable[[], ssl.SSLContext], lookup: Lookup | None) -> None:
        self._tls = tls
        self._backends = {
            is_private: GuardedBackend(is_private=is_private, lookup=lookup)
            for is_private in (False, True)
        }
        self._idle: dict[tuple[str, bool], list[Line]] = {}

    @property
    def idle(self) -> int:
        return sum(map(len, self._idle.values()))

    async def take(self, url: Url, *, is_private: bool) -> Line:
        """A connection to the origin of `url`, checked now or when it was made.

        Raises:
            NameUnknown, AddressRefused, httpcore.NetworkError, httpcore.TimeoutException:
                there is none, and nothing of a request has left.
        """
        kept = self._idle.get((url.origin, is_private), [])
        while kept:
            line = kept.pop()
            if line.is_fresh(KEPT_S):
                return line
            await line.aclose()
        stream: httpcore.AsyncNetworkStream
        stream = await self._backends[is_private].connect_tcp(url.host, url.port)
        if url.scheme == "https":
            stream = await stream.start_tls(self._tls(), server_hostname=url.host)
        return Line(stream)

    async def give_back(self, line: Line, url: Url, *, is_private: bool) -> None:
        """Keep `line` if another request may go over it, else close it."""
        await self.sweep()
        if not line.rest() or self.idle >= KEPT_MAX:
            await line.aclose()
        else:
            self._idle.setdefault((url.origin, is_private), []).append(line)

    async def sweep(self) -> None:
        """Close what has been idle for too long, or was closed at its other end."""
        for place, kept in list(self._idle.items()):
            for line in [line for line in kept if not line.is_fresh(KEPT_S)]:
                kept.remove(line)
                await line.aclose()
            if not kept:
                self._idle.pop(place, None)

    async def aclose(self) -> None:
        """Close all that are idle."""
        while self._idle:
            _, kept = self._idle.popitem()
            for line in kept:
                await line.aclose()


def url_of(url: Url) -> httpcore.URL:
    """`url` in parts: nobody reads the text a second time."""
    return httpcore.URL(
        scheme=url.scheme.encode(),
        host=url.host.encode(),
        port=url.port,
        target=url.target.encode(),
    )
