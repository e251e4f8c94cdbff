"""Checkpoints: other people's are read, ours are read by nobody but as they were signed."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.audit.errors import MalformedNote, NoteUnsigned
from akshi_mesh.audit.note import (
    Checkpoint,
    checkpoint_of,
    key_id,
    open_note,
    origin_of,
    verification_key,
)
from identity.keys import SigningKey
from sync import merkle
from tests.vectors.load import vectors

VECTORS = vectors("tlog")
KEY = SigningKey.from_seed(bytes(range(32)))
CHECKPOINT = Checkpoint(origin_of(KEY.public_key), 7, b"r" * 32)
NOTE = CHECKPOINT.signed(KEY)


def key_of(verification: str) -> tuple[str, bytes]:
    """Name and public key of name+id+base64, the id checked."""
    name, identifier, encoded = verification.split("+", 2)
    public_key = base64.b64decode(encoded)[1:]
    assert key_id(name, public_key).hex() == identifier
    return name, public_key


def test_the_example_of_the_specification_is_signed() -> None:
    name, public_key = key_of(VECTORS["note"]["vkey"])
    text = open_note(VECTORS["note"]["signed"].encode(), name=name, public_key=public_key)
    assert text == "This is an example message.\n"


def test_the_log_of_another_implementation_verifies() -> None:
    """Tessera's own test log: its signatures, and its roots over its entries."""
    name, public_key = key_of(VECTORS["tessera"]["vkey"])
    leaves = [merkle.leaf_hash(entry.encode()) for entry in VECTORS["tessera"]["entries"]]
    for note in VECTORS["tessera"]["checkpoints"]:
        checkpoint = Checkpoint.parse(open_note(note.encode(), name=name, public_key=public_key))
        assert checkpoint.origin == name
        assert checkpoint.root == merkle.root(leaves[: checkpoint.size])


def test_our_own_comes_back() -> None:
    assert Checkpoint.open(NOTE, KEY.public_key) == CHECKPOINT
    assert checkpoint_of(NOTE) == CHECKPOINT
    assert key_of(verification_key(KEY.public_key)) == (CHECKPOINT.origin, KEY.public_key)


def test_the_origin_begins_as_no_other_signed_format_does() -> None:
    assert CHECKPOINT.text.startswith("akshi.log/z6Mk")


@pytest.mark.parametrize("at", range(len(NOTE)))
def test_every_changed_byte_is_noticed(at: int) -> None:
    for flip in (1, 0x20, 0x80):
        changed = NOTE[:at] + bytes([NOTE[at] ^ flip]) + NOTE[at + 1 :]
        with pytest.raises((MalformedNote, NoteUnsigned)):
            Checkpoint.open(changed, KEY.public_key)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()))
def test_any_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises((MalformedNote, NoteUnsigned)):
        Checkpoint.open(data, KEY.public_key)


def test_signatures_of_others_are_passed_over_and_a_bad_one_of_ours_is_not() -> None:
    text, _, lines = NOTE.decode().rpartition("\n\n")
    other = "\u2014 example.com/witness " + base64.b64encode(b"w" * 80).decode()
    assert Checkpoint.open(f"{text}\n\n{other}\n{lines}".encode(), KEY.public_key) == CHECKPOINT
    forged = base64.b64encode(key_id(CHECKPOINT.origin, KEY.public_key) + bytes(64)).decode()
    with pytest.raises(NoteUnsigned):
        Checkpoint.open(
            f"{text}\n\n{lines}\u2014 {CHECKPOINT.origin} {forged}\n".encode(), KEY.public_key
        )
    with pytest.raises(NoteUnsigned):
        Checkpoint.open(f"{text}\n\n{other}\n".encode(), KEY.public_key)


def test_a_checkpoint_of_another_log_under_our_name_is_refused() -> None:
    other = SigningKey.from_seed(bytes(32))
    text = Checkpoint(origin_of(other.public_key), 7, b"r" * 32).text
    signature = key_id(CHECKPOINT.origin, KEY.public_key) + KEY.sign(text.encode())
    line = f"\u2014 {CHECKPOINT.origin} {base64.b64encode(signature).decode()}"
    with pytest.raises(MalformedNote):
        Checkpoint.open(f"{text}\n{line}\n".encode(), KEY.public_key)


@pytest.mark.parametrize(
    "text",
    ["a\n1\n", "a\n01\ncg==\n", "a\n-1\n\n", "\n1\n\n", f"a\n1\n{'A' * 43}=\nextension\n"],
)
def test_a_checkpoint_that_is_written_in_another_way_is_refused(text: str) -> None:
    with pytest.raises(MalformedNote):
        Checkpoint.parse(text)
