"""A message in a few words, so that one envelope can be followed through a trace by its id."""

from identity import envelope
from identity.errors import IdentityError
from sync.journal_errors import JournalError
from sync.proto import journal_messages as sync_messages
from sync.proto.messages import ENVELOPE, HELLO, unpack_hello
from testnet.world.site import NETWORK

ID_DIGITS = 8


def short(id: bytes) -> str:
    """The digits of an id that traces show."""
    return id.hex()[:ID_DIGITS]


def words(message_type: int, body: bytes) -> str:
    """Such as ``task 1f2e3d4c``."""
    if message_type == ENVELOPE:
        return _envelope(body)
    if message_type == HELLO:
        return f"hello of run {unpack_hello(body).hex()[:4]}"
    try:
        message = sync_messages.parse(body)
    except JournalError:
        return "sync, malformed"
    return f"sync {type(message).__name__.lower()} {len(body)} B"


def _envelope(body: bytes) -> str:
    try:
        kind = envelope.peek(body).kind.value
        return f"{kind} {short(envelope.envelope_id(body, network=NETWORK))}"
    except IdentityError:
        return "an envelope, malformed"
