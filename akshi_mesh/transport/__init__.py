"""Links between nodes: who may connect, and messages that arrive sealed, in order, or not at all.

The service is `akshi_mesh.transport.links.Links`; here are the values and the ports around it.
Spec: docs/spec/handshake.md.
"""

from akshi_mesh.transport.address import Address, PeerAddress
from akshi_mesh.transport.keeper import Keeper
from akshi_mesh.transport.ports import LinkInfo, LinkSink, StampStore
from akshi_mesh.transport.wire import BODY_BYTES_MAX, ENVELOPE, HELLO, SYNC

__all__ = [
    "BODY_BYTES_MAX",
    "ENVELOPE",
    "HELLO",
    "SYNC",
    "Address",
    "Keeper",
    "LinkInfo",
    "LinkSink",
    "PeerAddress",
    "StampStore",
]
