"""The handshake machine, against published vectors and against hostile keys."""

import json
from pathlib import Path
from typing import Any

import pytest

from akshi_mesh.transport.errors import HandshakeFailed
from akshi_mesh.transport.noise import IK, Cipher, Handshake, Pattern

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "noise.json").read_text())["vectors"]
# Noise, revision 34, §7.5. The node speaks IK; the others hold the machine to more vectors.
PATTERNS = {
    "NN": Pattern("NN", False, False, (("e",), ("e", "ee"))),
    "KK": Pattern("KK", True, True, (("e", "es", "ss"), ("e", "ee", "se"))),
    "XK": Pattern("XK", False, True, (("e", "es"), ("e", "ee"), ("s", "se"))),
    "XX": Pattern("XX", False, False, (("e",), ("e", "ee", "s", "es"), ("s", "se"))),
    "IK": IK,
}
# RFC 7748 §6.1 and the points of order 1, 2, 4 and 8: every shared secret with them is zero.
LOW_ORDER = [
    bytes(32),
    bytes([1]) + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


def side(vector: dict[str, Any], name: str) -> Handshake:
    def key(field: str) -> bytes | None:
        text = vector.get(f"{name}_{field}")
        return bytes.fromhex(text) if text else None

    return Handshake(
        PATTERNS[vector["protocol_name"].split("_")[1]],
        initiator=name == "init",
        prologue=key("prologue") or b"",
        ephemeral_secret=key("ephemeral") or b"",
        static_secret=key("static"),
        remote_static=key("remote_static"),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["protocol_name"])
def test_every_message_and_transport_ciphertext_is_the_published_one(
    vector: dict[str, Any],
) -> None:
    """Each message of the handshake, its hash, and what is sealed after it."""
    sides = [side(vector, "init"), side(vector, "resp")]
    messages = [
        (bytes.fromhex(message["payload"]), bytes.fromhex(message["ciphertext"]))
        for message in vector["messages"]
    ]
    handshakes = len(PATTERNS[vector["protocol_name"].split("_")[1]].messages)
    for turn, (payload, ciphertext) in enumerate(messages[:handshakes]):
        writer, reader = sides[turn % 2], sides[1 - turn % 2]
        assert writer.write(payload) == ciphertext
        assert reader.read(ciphertext) == payload
    assert [each.handshake_hash.hex() for each in sides] == [vector["handshake_hash"]] * 2
    ciphers = [each.split() for each in sides]
    for turn, (payload, ciphertext) in enumerate(messages[handshakes:], handshakes):
        assert ciphers[turn % 2][0].seal(payload) == ciphertext
        assert ciphers[1 - turn % 2][1].open(ciphertext) == payload


def test_all_five_patterns_are_there() -> None:
    """A vector file that lost its contents would pass every test above."""
    assert sorted(v["protocol_name"].split("_")[1] for v in VECTORS) == sorted(PATTERNS)


def listener() -> Handshake:
    return Handshake(
        IK,
        initiator=False,
        prologue=b"p",
        ephemeral_secret=b"\x22" * 32,
        static_secret=b"\x11" * 32,
    )


@pytest.mark.parametrize("point", LOW_ORDER, ids=bytes.hex)
def test_a_key_of_low_order_is_a_failed_handshake(point: bytes) -> None:
    """libsodium raises RuntimeError there; nobody above may see it."""
    with pytest.raises(HandshakeFailed, match="low order"):
        listener().read(point + bytes(100))


@pytest.mark.parametrize("size", [0, 1, 31, 32, 79, 80, 95, 96, 200])
def test_garbage_of_any_length_is_a_failed_handshake(size: int) -> None:
    with pytest.raises(HandshakeFailed):
        listener().read(b"\x09" * size)


@pytest.mark.parametrize("size", [0, 31, 32, 33, 47, 48, 96])
def test_garbage_instead_of_message_2_is_a_failed_handshake(size: int) -> None:
    """PyNaCl raises a plain ValueError for what is shorter than a tag."""
    vector = next(v for v in VECTORS if v["protocol_name"].startswith("Noise_IK_"))
    dialler = side(vector, "init")
    dialler.write(b"")
    with pytest.raises(HandshakeFailed):
        dialler.read(b"\x09" * size)


def test_a_changed_byte_anywhere_in_message_1_is_noticed() -> None:
    vector = next(v for v in VECTORS if v["protocol_name"].startswith("Noise_IK_"))
    message = bytes.fromhex(vector["messages"][0]["ciphertext"])
    for position in range(len(message)):
        changed = bytearray(message)
        changed[position] ^= 1
        with pytest.raises(HandshakeFailed):
            side(vector, "resp").read(bytes(changed))


def test_the_static_key_is_shown_before_it_is_used() -> None:
    """Who refuses there has spent one Diffie-Hellman, not two."""
    vector = next(v for v in VECTORS if v["protocol_name"].startswith("Noise_IK_"))
    responder = side(vector, "resp")
    steps: list[str] = []
    mixed = responder._mix_dh

    def watch(step: str) -> None:
        steps.append(step)
        mixed(step)

    responder._mix_dh = watch  # type: ignore[method-assign]

    def refuse(_static: bytes) -> None:
        raise HandshakeFailed("not today")

    with pytest.raises(HandshakeFailed, match="not today"):
        responder.read(bytes.fromhex(vector["messages"][0]["ciphertext"]), refuse)
    assert steps == ["es"]


def test_a_rekeyed_cipher_goes_on_and_cannot_open_the_past() -> None:
    ours, theirs = Cipher(b"\x07" * 32), Cipher(b"\x07" * 32)
    before = ours.seal(b"before")
    assert theirs.open(before) == b"before"
    ours.rekey()
    after = ours.seal(b"after")
    with pytest.raises(HandshakeFailed):
        theirs.open(after)
    theirs.rekey()
    assert theirs.open(after) == b"after"
