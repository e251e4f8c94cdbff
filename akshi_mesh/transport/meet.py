"""The handshake over a stream: two scripts, one for each side.

    introduce   dials:   message 1 → message 2 ←                    ready to send
    receive     listens: message 1 ← (or silence) → message 2 → first record ←   ready, and live

Whatever goes wrong ends in one of `TransportError`; the caller closes the stream. Nothing
here changes anything outside: a replayed message 1 gets as far as message 2 and no further.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio

from akshi_mesh.transport.errors import (
    HandshakeFailed,
    MalformedRecord,
    NoAnswer,
    TurnedAway,
    Unreachable,
)
from akshi_mesh.transport.handshake import (
    HAIL_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    VERSIONS,
    Answering,
    Dialling,
    Hail,
    Keys,
    Reason,
    Refusal,
    common_version,
)
from akshi_mesh.transport.records import LENGTH_BYTES, RecordReader, RecordWriter
from akshi_mesh.transport.wire import READY, pack
from identity.did import Did
from identity.keys import SigningKey

HAIL_S: Final = 1.0  # message 1 must be complete
ANSWER_S: Final = 5.0  # message 2, and the first record after it
_CHUNK_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Met:
    """A finished handshake: whom we talk to, and with what."""

    peer: bytes
    writer: RecordWriter
    reader: RecordReader
    arrived: list[tuple[int, bytes]]
    stamp: int
    grant: bytes = b""  # the chain a caller showed, checked if it was let in by it


async def introduce(
    stream: trio.abc.Stream,
    *,
    key: SigningKey,
    peer: bytes,
    network: str,
    stamp: int,
    ephemeral_secret: bytes,
    now_ms: int,
    grant: bytes = b"",
) -> Met:
    """Say who we are to `peer` and make the link live at its end.

    Raises:
        NoAnswer: closed without a byte; it may not trust us.
        StaleStamp, Refused: its own words.
        Unreachable: no answer in time.
        HandshakeFailed: somebody else answers at this address.
    """
    dialling = Dialling(key=key, peer=peer, network=network, ephemeral_secret=ephemeral_secret)
    buffer = bytearray()
    try:
        with trio.fail_after(ANSWER_S):
            await _send_message(stream, dialling.hail(stamp, grant))
            message = await _receive_message(stream, buffer, bytes_max=MESSAGE_BYTES_MAX)
    except trio.TooSlowError as failure:
        raise Unreachable(f"no answer within {ANSWER_S:.0f} s") from failure
    if message is None:
        raise NoAnswer(str(Did(peer)), str(key.did))
    keys = dialling.settle(message, now_ms)
    writer, reader = _halves(keys)
    try:
        await stream.send_all(writer.seal(pack(READY, b""), trio.current_time()))
    except trio.BrokenResourceError as failure:
        raise HandshakeFailed("the connection broke after message 2") from failure
    return Met(peer, writer, reader, reader.feed(bytes(buffer)), stamp)


async def receive(
    stream: trio.abc.Stream,
    *,
    key: SigningKey,
    network: str,
    ephemeral_secret: bytes,
    is_trusted: Callable[[bytes], bool],
    asks_name: Callable[[bytes], bool],
    refusal: Callable[[Hail], Refusal | None],
    asks_grant: Callable[[], bool] = lambda: False,
    is_granted: Callable[[bytes, bytes], bool] = lambda _key, _chain: False,
) -> Met:
    """Hear who calls, and wait until its first record proves that it is no replay.

    Args:
        stream: a fresh connection; not one byte is written to it for a stranger.
        key: this node's.
        network: the network's name.
        ephemeral_secret: 32 fresh random bytes.
        is_trusted: by Ed25519 key; this and the next, and the last two: see `Answering.read`.
        asks_name: by static key, whether a stranger's name is worth a Diffie-Hellman.
        refusal: the reason why a trusted caller is not let in, if there is one.
        asks_grant: whether a stranger's grant may be looked at.
        is_granted: by proven key and chain.

    Raises:
        Stranger: it heard nothing.
        HandshakeFailed: garbage, slow, a replay, or refused by `refusal`.
        MalformedRecord: its first record is not what follows a handshake.
    """
    answering = Answering(key=key, network=network, ephemeral_secret=ephemeral_secret)
    buffer = bytearray()
    try:
        with trio.fail_after(HAIL_S):
            message = await _receive_message(stream, buffer, bytes_max=HAIL_BYTES_MAX)
        if message is None:
            raise HandshakeFailed("closed before message 1")
        hail = answering.read(
            message,
            is_trusted=is_trusted,
            asks_name=asks_name,
            asks_grant=asks_grant,
            is_granted=is_granted,
        )
        version = common_version(hail.versions)
        refused = refusal(hail) if version else Refusal(Reason.VERSION, VERSIONS)
        with trio.fail_after(ANSWER_S):
            if version is None or refused:
                assert refused is not None, "no common version is a refusal"
                await _send_message(stream, answering.refuse(refused))
                raise TurnedAway(hail.key, why=Reason(refused.reason).name.lower())
            answer, keys = answering.accept(version)
            await _send_message(stream, answer)
            writer, reader = _halves(keys)
            arrived = await _first_record(stream, reader, bytes(buffer))
    except trio.TooSlowError as failure:
        raise HandshakeFailed("too slow") from failure
    if arrived[0][0] != READY:
        raise MalformedRecord("the first message is not ready")
    return Met(hail.key, writer, reader, arrived[1:], hail.stamp, hail.grant)


async def _first_record(
    stream: trio.abc.Stream, reader: RecordReader, data: bytes
) -> list[tuple[int, bytes]]:
    arrived = reader.feed(data)
    while not arrived:
        arrived = reader.feed(await _receive_some(stream))
    return arrived


def _halves(keys: Keys) -> tuple[RecordWriter, RecordReader]:
    return RecordWriter(keys.send, trio.current_time()), RecordReader(keys.receive)


async def _send_message(stream: trio.abc.Stream, message: bytes) -> None:
    try:
        await stream.send_all(len(message).to_bytes(LENGTH_BYTES, "big") + message)
    except trio.BrokenResourceError:
        # Closed at the other end; what it said before, if anything, is read next.
        return


async def _receive_message(
    stream: trio.abc.Stream, buffer: bytearray, *, bytes_max: int
) -> bytes | None:
    """The next handshake message; None if the other end closed without a byte."""
    while True:
        if len(buffer) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(buffer[:LENGTH_BYTES], "big")
            if end > LENGTH_BYTES + bytes_max:
                raise HandshakeFailed("a handshake message is too long")
            if len(buffer) >= end:
                message = bytes(buffer[LENGTH_BYTES:end])
                del buffer[:end]
                return message
        try:
            data = await stream.receive_some(_CHUNK_BYTES)
        except trio.BrokenResourceError:
            data = b""
        if not data:
            if buffer:
                raise HandshakeFailed("closed within a handshake message")
            return None
        buffer += data


async def _receive_some(stream: trio.abc.Stream) -> bytes:
    try:
        data = await stream.receive_some(_CHUNK_BYTES)
    except trio.BrokenResourceError as failure:
        raise HandshakeFailed("the connection broke before the first record") from failure
    if not data:
        raise HandshakeFailed("closed before the first record")
    return bytes(data)
