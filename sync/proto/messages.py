"""What nodes say over a link, by type byte; the high nibble is its class for the transport.

0x10 HELLO     {1: epoch, 16 bytes: one run of this process}
0x20 ENVELOPE  one sealed envelope
0x30 SYNC      one message of a journal session
"""

from typing import Final

from identity import cbor
from identity.errors import MalformedCbor
from sync.errors import MalformedHello

HELLO: Final = 0x10
ENVELOPE: Final = 0x20
SYNC: Final = 0x30

EPOCH_BYTES: Final = 16
_EPOCH: Final = 1


def pack_hello(epoch: bytes) -> bytes:
    """The first message on every link, in both directions."""
    return cbor.dumps({_EPOCH: epoch})


def unpack_hello(body: bytes) -> bytes:
    """The peer's epoch. Keys we do not know belong to newer nodes and are passed over.

    Raises:
        MalformedHello: not a map with an epoch of 16 bytes.
    """
    try:
        fields = cbor.loads(body)
    except MalformedCbor as malformed:
        raise MalformedHello(str(malformed)) from malformed
    epoch = fields.get(_EPOCH) if isinstance(fields, dict) else None
    if type(epoch) is not bytes or len(epoch) != EPOCH_BYTES:
        raise MalformedHello("want an epoch of 16 bytes")
    return epoch
