"""The bytes in docs/spec/handshake.md are the bytes this program makes."""

from pathlib import Path

from akshi_mesh.transport import wire
from akshi_mesh.transport.handshake import Answer, Answering, Dialling, prologue
from akshi_mesh.transport.records import RecordWriter
from identity.keys import x25519_public
from tests.akshi_mesh.transport.world import key_of

SPEC = Path(__file__).parents[3] / "docs" / "spec" / "handshake.md"


def blocks() -> list[bytes]:
    """The runs of hexadecimal in §1, one value each."""
    example = SPEC.read_text().split("## 1. Example")[1].split("## 2.")[0]
    values, run = [], ""
    for line in [*example.splitlines(), ""]:
        is_hex = line.startswith("    ")
        run += line.strip() if is_hex else ""
        if run and (not is_hex or len(run) == 64):
            values.append(bytes.fromhex(run))
            run = ""
    return values


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def test_the_example_is_byte_exact() -> None:
    dialler, listener = key_of(1), key_of(2)
    dialling = Dialling(
        key=dialler, peer=listener.public_key, network="akshi", ephemeral_secret=b"\x31" * 32
    )
    answering = Answering(key=listener, network="akshi", ephemeral_secret=b"\x32" * 32)
    first = dialling.hail(1_800_000_000_000_000)
    hail = answering.read(first, is_trusted=lambda _: True, asks_name=lambda _: True)
    second, _ = answering.accept(1)
    keys = dialling.settle(second, 0)
    messages = wire.pack(wire.READY, b"") + wire.pack(wire.ENVELOPE, b"hello")
    assert blocks() == [
        dialler.public_key,
        listener.public_key,
        x25519_public(dialler.public_key),
        x25519_public(listener.public_key),
        prologue("akshi", listener.public_key),
        hail.dumps(),
        framed(first),
        Answer(listener.public_key, dialler.public_key, 1).dumps(),
        framed(second),
        messages,
        RecordWriter(keys.send, 0.0).seal(messages, 0.0),
    ]
