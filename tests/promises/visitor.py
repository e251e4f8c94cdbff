"""A peer made by hand: it speaks the handshake byte by byte and may break any rule of it."""

import contextlib
import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from akshi_mesh.transport.handshake import Dialling
from akshi_mesh.transport.records import RecordReader, RecordWriter
from akshi_mesh.transport.wire import CREDIT, ENVELOPE, HEADER_BYTES, READY, pack, unpack_credit
from identity.did import Did
from identity.envelope import Kind, seal
from identity.keys import SigningKey
from tests.promises.world import WAIT_S, Node

NETWORK = "akshi"
WINDOW_BYTES = 65_536
PATIENCE_S = 8.0  # longer than a node waits for a first record


def fresh_key() -> SigningKey:
    return SigningKey.from_seed(secrets.token_bytes(32))


def now_us() -> int:
    return time.time_ns() // 1_000


def dialling(key: SigningKey, node: Node, *, network: str = NETWORK) -> Dialling:
    return Dialling(
        key=key,
        peer=Did.parse(node.did).public_key,
        network=network,
        ephemeral_secret=secrets.token_bytes(32),
    )


@contextlib.contextmanager
def connected(node: Node) -> Iterator[socket.socket]:
    host, _, port = node.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as stream:
        yield stream


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def everything(stream: socket.socket) -> bytes:
    """All bytes until the other end closes; fails if it does not."""
    heard = b""
    with contextlib.suppress(ConnectionResetError):
        while data := stream.recv(4_096):
            heard += data
    return heard


def answer_to(node: Node, sent: bytes, *, hangs_up: bool = False) -> bytes:
    """What the node says to these bytes before it closes; `hangs_up`: they are our last word."""
    with connected(node) as stream:
        stream.sendall(sent)
        if hangs_up:
            stream.shutdown(socket.SHUT_WR)
        return everything(stream)


def message(stream: socket.socket) -> bytes:
    """One handshake message."""
    length = int.from_bytes(_exactly(stream, 2), "big")
    return _exactly(stream, length)


def _exactly(stream: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = stream.recv(length - len(data))
        assert more, "closed in the middle of a message"
        data += more
    return data


@dataclass
class Visitor:
    """A live link to a node, under a key that it trusts."""

    key: SigningKey
    stream: socket.socket
    writer: RecordWriter
    reader: RecordReader
    room: int = WINDOW_BYTES

    @classmethod
    @contextlib.contextmanager
    def at(cls, node: Node, key: SigningKey, *, stamp: int | None = None) -> Iterator[Self]:
        began = dialling(key, node)
        with connected(node) as stream:
            stream.sendall(framed(began.hail(stamp or now_us())))
            keys = began.settle(message(stream), now_us() // 1_000)
            visitor = cls(key, stream, RecordWriter(keys.send, 0), RecordReader(keys.receive))
            visitor.send(READY, b"")
            yield visitor

    def send(self, message_type: int, body: bytes) -> None:
        self.stream.sendall(self.writer.seal(pack(message_type, body), 0))

    def say(self, envelope: bytes) -> None:
        """Send an envelope as an honest sender does: as far as there is credit."""
        while self.room < len(envelope) + HEADER_BYTES:
            lane, amount = unpack_credit(self.hear(CREDIT))
            self.room += amount if lane == 0 else 0
        self.room -= len(envelope) + HEADER_BYTES
        self.send(ENVELOPE, envelope)

    def hear(self, message_type: int) -> bytes:
        """The next message of this type; others are passed over."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            data = self.stream.recv(65_536)
            assert data, "the node closed the link"
            for kind, body in self.reader.feed(data):
                if kind == message_type:
                    return body
        raise AssertionError(f"no message of type {message_type:#x}")

    def forge(self, node: Node) -> None:
        """Send what claims to be ours and has another signature."""
        data = seal(
            self.key,
            kind=Kind.RECEIPT,
            body=b"\x80",
            network=NETWORK,
            nonce=secrets.token_bytes(16),
            issued_ms=now_us() // 1_000,
            audience=Did.parse(node.did).public_key,
        )
        self.send(ENVELOPE, data[:-1] + bytes([data[-1] ^ 1]))

    @property
    def is_open(self) -> bool:
        """Whether the node holds the link still: what it says is read and thrown away."""
        self.stream.settimeout(0.05)
        try:
            while data := self.stream.recv(65_536):
                self.reader.feed(data)
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False
        finally:
            self.stream.settimeout(PATIENCE_S)
        return False
