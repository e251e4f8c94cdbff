"""The bytes are those of the specification, and any other bytes are refused with a reason."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import cbor, envelope
from identity.errors import BadSignature, IdentityError
from identity.keys import SigningKey
from sync import merkle
from sync.checkpoint import Checkpoint, Previous
from sync.journal import Cursor, Entry, LogName
from sync.journal_errors import JournalError, MalformedCheckpoint, MalformedEntry, MalformedMessage
from sync.proto import journal_messages as messages

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "journal.json").read_text()
)
KEY = SigningKey.from_seed(bytes.fromhex(VECTORS["seed"]))
LOG = LogName("notes", KEY.public_key, bytes(16))
RAW = bytes.fromhex(VECTORS["checkpoint"]["envelope"])
NETWORK = VECTORS["network"]
MESSAGES = {name: bytes.fromhex(data) for name, data in VECTORS["messages"].items()}


def sealed(body: bytes, **fields: Any) -> bytes:
    return envelope.seal(
        KEY,
        kind=fields.pop("kind", envelope.Kind.CHECKPOINT),
        body=body,
        network=NETWORK,
        nonce=bytes(16),
        issued_ms=1,
        **fields,
    )


@pytest.mark.parametrize("case", VECTORS["entries"])
def test_entries_are_the_bytes_of_the_specification(case: dict[str, Any]) -> None:
    entry = Entry(
        case["time"],
        bytes.fromhex(case["nonce"]),
        case["originator"],
        case["tag"],
        case["text"],
        None if case["task_id"] is None else bytes.fromhex(case["task_id"]),
    )
    assert entry.encode().hex() == case["bytes"]
    assert Entry.parse(entry.encode()) == entry
    assert entry.leaf.hex() == case["leaf"]


def test_logs_and_checkpoints_are_the_bytes_of_the_specification() -> None:
    assert LOG.id.hex() == VECTORS["log_id"]
    opened = Checkpoint.open(RAW, network=NETWORK)
    assert opened.log == LOG
    assert opened.root.hex() == VECTORS["checkpoint"]["root"]
    assert opened.body.hex() == VECTORS["checkpoint"]["body"]
    leaves = [bytes.fromhex(case["leaf"]) for case in VECTORS["entries"]]
    assert opened.root == merkle.root(leaves)


def test_every_changed_byte_of_a_checkpoint_is_refused() -> None:
    for at in range(len(RAW)):
        changed = RAW[:at] + bytes([RAW[at] ^ 1]) + RAW[at + 1 :]
        with pytest.raises((IdentityError, JournalError)):
            Checkpoint.open(changed, network=NETWORK)
    with pytest.raises(BadSignature):
        Checkpoint.open(RAW, network="another")


GOOD: dict[int, cbor.Value] = {1: "notes", 2: bytes(16), 3: 2, 4: bytes(32)}
BEFORE: cbor.Value = [bytes(15) + b"\x01", 1, bytes(32)]


@pytest.mark.parametrize(
    "changes",
    [
        {1: "no/slash"},
        {1: b"notes"},
        {1: None},
        {2: bytes(15)},
        {2: "0" * 16},
        {3: 0},
        {3: -1},
        {3: True},
        {3: 1 << 41},
        {4: bytes(31)},
        {4: "x" * 32},
        {5: None},
        {5: [bytes(16), 1]},
        {5: [bytes(16), 1, bytes(32)]},  # comes before itself
        {5: [bytes(15) + b"\x01", 0, bytes(32)]},
        {5: ["e", 1, bytes(32)]},
        {6: 1},
    ],
)
def test_every_wrong_field_of_a_signed_checkpoint_is_refused(changes: dict[int, Any]) -> None:
    with pytest.raises(MalformedCheckpoint):
        Checkpoint.open(sealed(cbor.dumps({**GOOD, **changes})), network=NETWORK)


def test_a_missing_field_and_a_wrong_envelope_are_refused() -> None:
    for field in GOOD:
        body = cbor.dumps({key: value for key, value in GOOD.items() if key != field})
        with pytest.raises(MalformedCheckpoint):
            Checkpoint.open(sealed(body), network=NETWORK)
    for fields in ({"topic": "x"}, {"in_reply_to": bytes(32)}):
        with pytest.raises(MalformedCheckpoint):
            Checkpoint.open(sealed(cbor.dumps(GOOD), **fields), network=NETWORK)
    with pytest.raises(IdentityError):
        Checkpoint.open(sealed(cbor.dumps(GOOD), audience=bytes(32)), network=NETWORK)
    with pytest.raises(IdentityError):
        Checkpoint.open(sealed(cbor.dumps(GOOD), expires_ms=2), network=NETWORK)


def test_the_log_before_is_kept() -> None:
    opened = Checkpoint.open(sealed(cbor.dumps({**GOOD, 5: BEFORE})), network=NETWORK)
    assert opened.previous == Previous(bytes(15) + b"\x01", 1, bytes(32))
    assert cbor.loads(opened.body) == {**GOOD, 5: BEFORE}


ENTRY: dict[int, Any] = {1: 1, 2: bytes(16), 3: "o", 4: "t", 5: "x", 6: bytes(32)}


@pytest.mark.parametrize(
    "changes",
    [
        {1: -1},
        {1: 1 << 63},
        {1: "1"},
        {2: bytes(15)},
        {2: "0" * 16},
        {3: "o" * 513},
        {3: b"o"},
        {4: "t" * 129},
        {4: None},
        {5: b"x"},
        {5: "x" * 16_384},
        {6: bytes(31)},
        {6: None},
        {7: 1},
    ],
)
def test_every_wrong_field_of_an_entry_is_refused(changes: dict[int, Any]) -> None:
    assert Entry.parse(cbor.dumps(ENTRY)).tag == "t"
    with pytest.raises(MalformedEntry):
        Entry.parse(cbor.dumps({**ENTRY, **changes}))


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_the_bytes_of_the_specification(name: str) -> None:
    assert messages.encode(messages.parse(MESSAGES[name])) == MESSAGES[name]


@given(st.one_of(st.binary(max_size=200), st.sampled_from(list(MESSAGES.values()))), st.data())
def test_any_bytes_are_a_message_or_malformed(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, max(len(data) - 1, 0)))
    changed = data[:at] + draw.draw(st.binary(max_size=3)) + data[at + 1 :]
    for candidate in (data, changed):
        try:
            assert messages.encode(messages.parse(candidate)) == candidate
        except MalformedMessage:
            continue


values = st.recursive(
    st.integers(-5, 1 << 42)
    | st.binary(max_size=70)
    | st.text(max_size=5)
    | st.none()
    | st.booleans(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(st.integers(0, 8), st.dictionaries(st.integers(1, 7), values, max_size=6))
def test_any_fields_are_a_message_or_malformed(kind: int, fields: dict[int, Any]) -> None:
    data = cbor.dumps({0: kind, **fields})
    try:
        assert messages.encode(messages.parse(data)) == data
    except MalformedMessage:
        return


@given(st.dictionaries(st.integers(1, 7), values, max_size=6) | st.binary(max_size=60))
def test_any_bytes_are_an_entry_or_malformed(fields: Any) -> None:
    data = fields if type(fields) is bytes else cbor.dumps(fields)
    try:
        assert Entry.parse(data).encode() == data
    except MalformedEntry:
        return


@given(st.text(max_size=70))
def test_any_text_is_a_cursor_or_malformed(text: str) -> None:
    try:
        assert str(Cursor.parse(text)) == text
    except JournalError:
        return


@given(st.integers(0, (1 << 63) - 1), st.binary(min_size=16, max_size=16), st.integers(0, 1 << 40))
def test_cursors_survive_being_written_down(time: int, log: bytes, seq: int) -> None:
    assert Cursor.parse(str(Cursor(time, log, seq))) == Cursor(time, log, seq)
