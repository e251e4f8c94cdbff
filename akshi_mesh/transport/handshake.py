"""What the two handshake messages say, and who may be on the other side.

    dialler                                   listener
      │ 1: Noise e, es, s ───────────────────▶ whose static key? nobody's: 0 bytes, close
      │    ss, {key, stamp, versions, grant} ▶ key = that of s = the one on file, or a grant for it
      │                                        stamp, version, room: accept or a reason
      ◀─── 2: Noise e, ee, se, {keys, version | reason}
      │ first record ────────────────────────▶ opens: now, and only now, the link lives

One key serves Ed25519 and X25519 (docs/adr/0001). A Montgomery key u belongs to exactly two
Edwards keys, A and −A, so whom a static key may belong to is *computed* and looked up; no
index by converted key exists that could be out of date. What decides is the comparison
after it: libsodium's conversion of the claimed key must be the static key, and the claimed
key the one on file.

Spec: docs/spec/handshake.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final, Self

from akshi_mesh.transport.errors import (
    DialFailed,
    MalformedPayload,
    Refused,
    StaleStamp,
    Stranger,
    WrongIdentity,
)
from akshi_mesh.transport.noise import IK, KEY_BYTES, Cipher, Handshake
from identity import cbor
from identity.errors import MalformedCbor, WeakKey
from identity.grants import CHAIN_BYTES_MAX
from identity.keys import SigningKey, twin, x25519_public

VERSIONS: Final = (1, 1)  # the lowest and the highest this node speaks
MESSAGE_BYTES_MAX: Final = 512  # both messages are about 200 bytes, without a grant
HAIL_BYTES_MAX: Final = MESSAGE_BYTES_MAX + CHAIN_BYTES_MAX  # message 1 may carry one
# e, s and its tag, the tag of the payload, and a payload without a grant.
_PLAIN_HAIL_BYTES_MAX: Final = 32 + 48 + 16 + 64
VERSION_MAX: Final = 0xFFFF
BAN_PAUSE_S_MAX: Final = 3600.0  # their clock may be wrong, so we ask again after this
STAMP_MAX: Final = (1 << 63) - 1  # microseconds for 292,000 years; fits a database's integer
STAMP_AHEAD_MAX: Final = 24 * 3600 * 1_000_000  # of our clock; what a peer may lift ours to
_PRIME: Final = (1 << 255) - 19

known_x25519_public = lru_cache(maxsize=1024)(x25519_public)  # 37 us a conversion (measured)


class Reason(IntEnum):
    """Why a trusted peer is refused; the numbers are the wire's."""

    VERSION = 1
    STALE = 2
    BUSY = 3
    BANNED = 4
    NO_GRANT = 5


@dataclass(frozen=True, slots=True)
class Hail:
    """The payload of message 1: who calls, when, and what it speaks."""

    key: bytes
    stamp: int
    versions: tuple[int, int]
    grant: bytes = b""  # the chain by which it wants to be let in, or none

    def dumps(self) -> bytes:
        fields: dict[int, cbor.Value] = {1: self.key, 2: self.stamp, 3: list(self.versions)}
        return cbor.dumps({**fields, 4: self.grant} if self.grant else fields)

    @classmethod
    def loads(cls, data: bytes) -> Self:
        """The payload of message 1, or MalformedPayload."""
        fields = _fields(data, {1, 2, 3}, {1, 2, 3, 4}, size_max=HAIL_BYTES_MAX)
        grant = _chain(fields[4]) if 4 in fields else b""
        return cls(_key(fields[1]), _uint(fields[2], STAMP_MAX), _range(fields[3]), grant)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a trusted peer is refused. `detail`: our versions, its highest stamp, the ban's end."""

    reason: int
    detail: int | tuple[int, int] = 0

    def failure(self, now_ms: int) -> DialFailed:
        """The same as the dialler's error."""
        match self.reason, self.detail:
            case Reason.STALE, int(highest):
                return StaleStamp(highest)
            case Reason.VERSION, (int(low), int(high)):
                return Refused(f"it speaks versions {low} to {high}, this node {VERSIONS[1]}")
            case Reason.BUSY, _:
                return Refused("it is busy")
            case Reason.BANNED, int(until_ms):
                pause_s = min(max(until_ms - now_ms, 0) / 1000, BAN_PAUSE_S_MAX)
                return Refused(f"it has banned this node for {pause_s:.0f} s", pause_s=pause_s)
            case Reason.NO_GRANT, _:
                return Refused("it asks for a grant that this node does not have")
        return Refused(f"it refused for reason {self.reason}")


@dataclass(frozen=True, slots=True)
class Answer:
    """The payload of message 2: both keys again, and the version or why not."""

    listener: bytes
    dialler: bytes
    outcome: int | Refusal

    def dumps(self) -> bytes:
        fields: dict[int, cbor.Value] = {1: self.listener, 2: self.dialler}
        if isinstance(self.outcome, Refusal):
            detail = self.outcome.detail
            fields[4] = int(self.outcome.reason)
            fields[5] = list(detail) if isinstance(detail, tuple) else detail
        else:
            fields[3] = self.outcome
        return cbor.dumps(fields)

    @classmethod
    def loads(cls, data: bytes) -> Self:
        """The payload of message 2, or MalformedPayload."""
        fields = _fields(data, {1, 2, 3}, {1, 2, 4, 5})
        listener, dialler = _key(fields[1]), _key(fields[2])
        if 3 in fields:
            return cls(listener, dialler, _uint(fields[3], VERSION_MAX))
        detail = fields[5]
        of_reason = _range(detail) if type(detail) is list else _uint(detail, STAMP_MAX)
        return cls(listener, dialler, Refusal(_uint(fields[4], VERSION_MAX), of_reason))


@dataclass(frozen=True, slots=True)
class Keys:
    """What a handshake leaves: a cipher for each direction, and the version both speak."""

    send: Cipher
    receive: Cipher
    version: int


class Dialling:
    """The dialler's half: `hail`, then `settle` with the answer."""

    def __init__(
        self, *, key: SigningKey, peer: bytes, network: str, ephemeral_secret: bytes
    ) -> None:
        self._me = key.public_key
        self._peer = peer
        self._noise = Handshake(
            IK,
            initiator=True,
            prologue=prologue(network, peer),
            static_secret=key.x25519_secret(),
            ephemeral_secret=ephemeral_secret,
            remote_static=known_x25519_public(peer),
        )

    def hail(self, stamp: int, grant: bytes = b"") -> bytes:
        """Message 1, with the chain of a grant if there is one for this peer."""
        return self._noise.write(Hail(self._me, stamp, VERSIONS, grant).dumps())

    def settle(self, message: bytes, now_ms: int) -> Keys:
        """Take message 2.

        Raises:
            HandshakeFailed: not the peer, or not meant for us.
            StaleStamp, Refused: the peer, saying why not.
        """
        answer = Answer.loads(self._noise.read(message))
        if (answer.listener, answer.dialler) != (self._peer, self._me):
            raise WrongIdentity("message 2 names other keys")
        if isinstance(answer.outcome, Refusal):
            raise answer.outcome.failure(now_ms)
        if not VERSIONS[0] <= answer.outcome <= VERSIONS[1]:
            raise MalformedPayload("message 2 picks a version that was not offered")
        return Keys(*self._noise.split(), answer.outcome)


class Answering:
    """The listener's half: `read` message 1, then `accept` or `refuse`."""

    def __init__(self, *, key: SigningKey, network: str, ephemeral_secret: bytes) -> None:
        self._me = key.public_key
        self._peer = b""
        self._noise = Handshake(
            IK,
            initiator=False,
            prologue=prologue(network, self._me),
            static_secret=key.x25519_secret(),
            ephemeral_secret=ephemeral_secret,
        )

    def read(
        self,
        message: bytes,
        *,
        is_trusted: Callable[[bytes], bool],
        asks_name: Callable[[bytes], bool],
        asks_grant: Callable[[], bool] = lambda: False,
        is_granted: Callable[[bytes, bytes], bool] = lambda _key, _chain: False,
    ) -> Hail:
        """Take message 1; the caller whose `Hail` is returned may come in now.

        Args:
            message: message 1, whole.
            is_trusted: by Ed25519 key; asked once `s` is known, before `ss` is computed.
            asks_name: by static key; whether a stranger is worth one more Diffie-Hellman,
                to learn the DID for the log. Never changes what the stranger gets: nothing.
            asks_grant: whether a message long enough to hold a grant is worth one more, too.
            is_granted: by proven key and the chain it shows, whether that lets it in. Asked only
                after the message has opened, and only for keys that are not on file.

        Raises:
            Stranger: nobody we trust, this node itself included.
            HandshakeFailed: garbage, or keys that do not belong together.
        """
        on_file: list[bytes] = []
        may_look = False

        def look_up(static: bytes) -> None:
            on_file.extend(key for key in owners(static) if key != self._me and is_trusted(key))
            nonlocal may_look
            may_look = not on_file and len(message) > _PLAIN_HAIL_BYTES_MAX and asks_grant()
            if not on_file and not may_look and not asks_name(static):
                raise Stranger(None)

        hail = Hail.loads(self._noise.read(message, look_up))
        if known_static(hail.key) != self._noise.remote_static:
            raise WrongIdentity("message 1 claims a key that is not that of its static key")
        if hail.key not in on_file:  # a stranger with a name, or the twin of a trusted key
            may_look = may_look and hail.key != self._me and bool(hail.grant)
            if not may_look or not is_granted(hail.key, hail.grant):
                raise Stranger(hail.key)
        self._peer = hail.key
        return hail

    def accept(self, version: int) -> tuple[bytes, Keys]:
        """Message 2 that says yes, and the keys."""
        message = self._noise.write(Answer(self._me, self._peer, version).dumps())
        return message, Keys(*self._noise.split(), version)

    def refuse(self, refusal: Refusal) -> bytes:
        """Message 2 that says why not."""
        return self._noise.write(Answer(self._me, self._peer, refusal).dumps())


def prologue(network: str, listener: bytes) -> bytes:
    """What both sides must agree on before the first message; each field has one length."""
    name = network.encode()
    return b"akshi-mesh/1 IK" + len(name).to_bytes(2, "big") + name + listener


def common_version(theirs: tuple[int, int]) -> int | None:
    """The highest version that both speak."""
    highest = min(VERSIONS[1], theirs[1])
    return highest if highest >= max(VERSIONS[0], theirs[0]) else None


def owners(static: bytes) -> tuple[bytes, ...]:
    """The Ed25519 keys A and −A whose X25519 key is `static`, were they on the curve at all.

    The birational map backwards: y = (u − 1) / (u + 1) mod p (RFC 7748 §4.1). Public values
    only, and only to look up; `Answering.read` compares forwards, through libsodium.

    Cost: about 30 us.
    """
    u = int.from_bytes(static, "little")
    if u >= _PRIME - 1:  # not canonical, or −1, which no point has
        return ()
    y = (u - 1) * pow(u + 1, -1, _PRIME) % _PRIME
    key = y.to_bytes(KEY_BYTES, "little")
    return key, twin(key)


def known_static(key: bytes) -> bytes:
    """The X25519 key of a key that a peer claims, from memory if it was asked before.

    Raises:
        WrongIdentity: no sound Ed25519 key.
    """
    try:
        return known_x25519_public(key)
    except WeakKey as failure:
        raise WrongIdentity("message 1 claims a key that is not sound") from failure


def _fields(
    data: bytes, *allowed: set[int], size_max: int = MESSAGE_BYTES_MAX
) -> dict[int, cbor.Value]:
    try:
        value = cbor.loads(data, size_max=size_max)
    except MalformedCbor as failure:
        raise MalformedPayload(str(failure)) from failure
    if type(value) is not dict or set(value) not in allowed:
        raise MalformedPayload("other fields than the specification's")
    return value


def _key(value: cbor.Value) -> bytes:
    if type(value) is not bytes or len(value) != KEY_BYTES:
        raise MalformedPayload("a key is 32 bytes")
    return value


def _chain(value: cbor.Value) -> bytes:
    if type(value) is not bytes or not 0 < len(value) <= CHAIN_BYTES_MAX:
        raise MalformedPayload(f"a grant is 1 to {CHAIN_BYTES_MAX} bytes")
    return value


def _uint(value: cbor.Value, uint_max: int) -> int:
    if type(value) is not int or not 0 <= value <= uint_max:
        raise MalformedPayload("a number out of range")
    return value


def _range(value: cbor.Value) -> tuple[int, int]:
    if type(value) is not list or len(value) != 2:
        raise MalformedPayload("versions are [lowest, highest]")
    low, high = (_uint(item, VERSION_MAX) for item in value)
    if low > high:
        raise MalformedPayload("versions are [lowest, highest]")
    return low, high
