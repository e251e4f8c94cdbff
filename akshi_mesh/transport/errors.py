"""Everything `akshi_mesh.transport` raises on purpose.

Choose by who must act:

    MalformedAddress, SelfDial    the caller passed nonsense        -> fix the caller
    ListenRefused                 the machine would not let us listen -> the operator
    DialFailed and its kinds      this attempt is over              -> the keeper tries again
    HandshakeFailed and its kinds the other end is not who it must be -> close, say nothing
    MalformedRecord, FlowViolated the peer broke the protocol       -> the link ends
    LinkLost                      weather                           -> the keeper tries again

No message here ever holds a key, a secret or bytes of a body.
"""


class TransportError(Exception):
    """Root of the package; catch it only at the edge of the node."""

    hint: str | None = None


class MalformedAddress(TransportError, ValueError):
    def __init__(self, text: str, *, why: str) -> None:
        super().__init__(f"address {text!r}: {why}")
        self.text = text


class SelfDial(TransportError, ValueError):
    """A node has no link to itself; its own agents are reached as self/agent."""

    hint = "name a peer's did, not this node's (akshi-node whoami prints this one's)"

    def __init__(self) -> None:
        super().__init__("a node does not dial itself")


class ListenRefused(TransportError):
    """The address cannot be listened on: taken, not ours, or not allowed."""

    hint = "choose another address: akshi-node run --listen HOST:PORT"

    def __init__(self, address: str, *, why: str) -> None:
        super().__init__(f"cannot listen on {address}: {why}")
        self.address = address


class HandshakeFailed(TransportError):
    """A message that no correct peer with the expected key sends, or none in time."""


class MalformedPayload(HandshakeFailed):
    """The handshake's payload is not what docs/spec/handshake.md says."""


class WrongIdentity(HandshakeFailed):
    """The claimed Ed25519 key is not the one on file, or not that of the static key."""


class Stranger(HandshakeFailed):
    """A static key that belongs to nobody we trust; it gets no byte of answer."""

    def __init__(self, claimed: bytes | None) -> None:
        super().__init__("not trusted")
        self.claimed = claimed


class TurnedAway(HandshakeFailed):
    """A trusted caller that was refused, and told why."""

    def __init__(self, peer: bytes, *, why: str) -> None:
        super().__init__(f"refused: {why}")
        self.peer = peer


class DialFailed(TransportError):
    """This attempt to reach a peer is over; `pause_s` is the least wait before the next."""

    pause_s: float = 0.0


class Unreachable(DialFailed):
    """No address of the peer took the connection."""


class NoAnswer(DialFailed):
    """The peer closed without a word, which is what a node does to those it does not trust."""

    def __init__(self, peer: str, me: str) -> None:
        super().__init__(
            f"no answer: {peer} may not trust this node; there: akshi-node trust add {me}"
        )
        self.hint = f"on the other machine: akshi-node trust add {me}"


class Refused(DialFailed):
    """The peer knows us and said why not."""

    def __init__(self, why: str, *, pause_s: float = 0.0) -> None:
        super().__init__(why)
        self.pause_s = pause_s


class StaleStamp(DialFailed):
    """The peer has seen a later stamp of ours; one redial above `highest` heals it."""

    def __init__(self, highest: int) -> None:
        super().__init__("our stamp was stale")
        self.highest = highest


class StampAhead(DialFailed):
    """The peer names a stamp of ours from days ahead. Following it would spend stamps for good."""

    hint = "compare `date` on both machines; if both are right, let the other node dial this one"

    def __init__(self, days: int) -> None:
        super().__init__(f"it has seen a stamp of ours from {days} days ahead of our clock")


class WrongPeer(DialFailed):
    """Whoever answers there does not hold the key of the peer."""

    def __init__(self, peer: str, address: str) -> None:
        super().__init__(f"not {peer} answers at {address}")


class NotTrustedHere(DialFailed):
    """The operator has not said, or no longer says, that this node trusts the peer."""

    def __init__(self, peer: str) -> None:
        super().__init__(f"not trusted: {peer}")
        self.hint = f"akshi-node trust add {peer}"


class MalformedRecord(TransportError):
    """Bytes that no correct peer sends on a live link."""

    def __init__(self, why: str) -> None:
        super().__init__(f"malformed record: {why}")


class FlowViolated(MalformedRecord):
    """The peer sent more than we had given it credit for, or gave more than it may."""


class LinkLost(TransportError):
    """The link is over; the message says why."""
