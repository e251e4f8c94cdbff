"""Where a node can be reached: host and port, alone or behind a DID.

127.0.0.1:4820    [2001:db8::7]:4820    node.example.org:4820
did:key:z6Mk…     did:key:z6Mk…@127.0.0.1:4820
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from akshi_mesh.transport.errors import MalformedAddress
from identity.did import Did
from identity.errors import MalformedDid

HOST_LENGTH_MAX: Final = 253  # the longest DNS name
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_.-]+)?")
_PORT: Final = re.compile(r"0|[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A host and a TCP port; port 0 only where one is to be chosen by the system.

    >>> str(Address.parse("[::1]:4820"))
    '[::1]:4820'
    """

    host: str
    port: int

    def __post_init__(self) -> None:
        if len(self.host) > HOST_LENGTH_MAX:
            raise MalformedAddress(self.host[:40] + "…", why="the host is too long")
        if not (_NAME.fullmatch(self.host) or _IPV6.fullmatch(self.host)):
            raise MalformedAddress(str(self), why="want host:port")
        if not 0 <= self.port <= 0xFFFF:
            raise MalformedAddress(str(self), why="a port is at most 65535")

    @classmethod
    def parse(cls, text: str) -> Self:
        host, separator, port = text.rpartition(":")
        if not separator or not _PORT.fullmatch(port):
            raise MalformedAddress(text, why="want host:port")
        if ":" in host:
            if not (host.startswith("[") and host.endswith("]")):
                raise MalformedAddress(text, why="an IPv6 host stands in brackets")
            host = host[1:-1]
            if ":" not in host:
                raise MalformedAddress(text, why="only an IPv6 host stands in brackets")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, order=True)
class PeerAddress:
    """Whom, and perhaps where: what `--peer` takes."""

    peer: Did
    address: Address | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        did, separator, address = text.partition("@")
        try:
            peer = Did.parse(did)
        except MalformedDid as failure:
            raise MalformedAddress(text, why=failure.why) from failure
        return cls(peer, Address.parse(address) if separator else None)

    def __str__(self) -> str:
        return f"{self.peer}@{self.address}" if self.address else str(self.peer)
