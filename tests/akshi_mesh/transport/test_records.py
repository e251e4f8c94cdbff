"""Records and messages: whole, in order, or the link ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.transport import records, wire
from akshi_mesh.transport.errors import MalformedRecord
from akshi_mesh.transport.noise import Cipher
from akshi_mesh.transport.records import PAYLOAD_BYTES_MAX, REKEY_S, RecordReader, RecordWriter

KEY = b"\x05" * 32
TYPES = st.sampled_from([wire.HELLO, wire.ENVELOPE, wire.SYNC, wire.PING, wire.PONG])
MESSAGES = st.lists(
    st.tuples(st.sampled_from([wire.HELLO, wire.ENVELOPE, wire.SYNC]), st.binary(max_size=200)),
    min_size=1,
    max_size=8,
)


def seal(messages: list[tuple[int, bytes]], writer: RecordWriter, now: float = 0.0) -> bytes:
    return writer.seal(b"".join(wire.pack(*message) for message in messages), now)


@given(st.lists(MESSAGES, min_size=1, max_size=4), st.data())
def test_what_is_sealed_arrives_however_it_is_cut(
    batches: list[list[tuple[int, bytes]]], data: st.DataObject
) -> None:
    writer, reader = RecordWriter(Cipher(KEY), 0.0), RecordReader(Cipher(KEY))
    stream = b"".join(seal(batch, writer) for batch in batches)
    arrived = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        arrived += reader.feed(stream[:size])
        stream = stream[size:]
    assert arrived == [message for batch in batches for message in batch]
    assert not reader.is_partial


@given(st.binary(max_size=400))
def test_any_bytes_are_messages_or_malformed(data: bytes) -> None:
    try:
        messages = wire.unpack(data)
    except MalformedRecord:
        return
    assert b"".join(wire.pack(*message) for message in messages) == data


@given(st.binary(max_size=400))
def test_any_bytes_off_the_wire_are_waited_for_or_malformed(data: bytes) -> None:
    """Without the key nobody makes a record."""
    reader = RecordReader(Cipher(KEY))
    try:
        assert reader.feed(data) == []
    except MalformedRecord:
        return
    assert len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big")


def test_a_changed_byte_anywhere_is_noticed() -> None:
    record = seal([(wire.ENVELOPE, b"task")], RecordWriter(Cipher(KEY), 0.0))
    for position in range(2, len(record)):
        changed = bytearray(record)
        changed[position] ^= 1
        with pytest.raises(MalformedRecord):
            RecordReader(Cipher(KEY)).feed(changed)


def test_a_record_comes_once_and_in_order() -> None:
    writer, reader = RecordWriter(Cipher(KEY), 0.0), RecordReader(Cipher(KEY))
    first, second = (seal([(wire.ENVELOPE, body)], writer) for body in (b"1", b"2"))
    with pytest.raises(MalformedRecord):
        RecordReader(Cipher(KEY)).feed(second)
    reader.feed(first)
    with pytest.raises(MalformedRecord):
        reader.feed(first)


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"\x20",
        b"\x20\x00",
        b"\x20\x00\x02a",
        wire.pack(0x20, b"a") + b"\x20",
        b"\x40\x00\x00",
        b"\xff\x00\x00",
        b"\x06\x00\x00",
        b"\x0f\x00\x00",
        b"\x00\x00\x01a",
        b"\x01\x00\x01a",
        b"\x03\x00\x00",
        b"\x04\x00\x01a",
        b"\x05\x00\xc9" + bytes(201),
        b"\x20\xff\xff" + bytes(65_535 - 20),
        b"\x20" + (65_001).to_bytes(2, "big") + bytes(65_001),
        wire.pack(wire.REKEY, b"") + wire.pack(wire.PING, b""),
    ],
    ids=lambda plaintext: plaintext[:4].hex() or "empty",
)
def test_a_malformed_record_under_the_right_key_is_refused(plaintext: bytes) -> None:
    sealed = Cipher(KEY).seal(plaintext)
    record = len(sealed).to_bytes(2, "big") + sealed
    with pytest.raises(MalformedRecord):
        RecordReader(Cipher(KEY)).feed(record)


def test_credit_names_a_lane_that_exists() -> None:
    assert wire.unpack_credit(wire.pack_credit(1, 70_000)[3:]) == (1, 70_000)
    with pytest.raises(MalformedRecord):
        wire.unpack_credit(wire.pack_credit(2, 1)[3:])


def test_the_largest_message_fits_and_leaves_room_for_a_rekey() -> None:
    writer = RecordWriter(Cipher(KEY), 0.0, records_max=1)
    reader = RecordReader(Cipher(KEY))
    messages = wire.pack(wire.ENVELOPE, bytes(wire.BODY_BYTES_MAX))
    messages += wire.pack(wire.ENVELOPE, bytes(PAYLOAD_BYTES_MAX - len(messages) - 3))
    record = writer.seal(messages, 0.0)
    assert len(record) == 2 + 65_535
    assert [len(body) for _, body in reader.feed(record)] == [65_000, 510, 0]


def test_the_key_changes_after_so_many_records_at_both_ends_at_once() -> None:
    writer = RecordWriter(Cipher(KEY), 0.0, records_max=3)
    reader = RecordReader(Cipher(KEY))
    kinds = []
    for number in range(10):
        arrived = reader.feed(seal([(wire.ENVELOPE, b"%d" % number)], writer))
        assert arrived[0] == (wire.ENVELOPE, b"%d" % number)
        kinds.append(len(arrived))
    assert kinds == [1, 1, 2, 1, 1, 2, 1, 1, 2, 1]
    assert records.REKEY_RECORDS == 1 << 20


def test_the_key_changes_after_ten_minutes() -> None:
    writer, reader = RecordWriter(Cipher(KEY), 100.0), RecordReader(Cipher(KEY))
    message = [(wire.ENVELOPE, b"x")]
    assert reader.feed(seal(message, writer, 100.0 + REKEY_S - 0.1)) == message
    assert reader.feed(seal(message, writer, 100.0 + REKEY_S))[-1] == (wire.REKEY, b"")
    assert reader.feed(seal(message, writer, 101.0 + REKEY_S)) == message
    assert reader.feed(seal(message, writer, 100.0 + 2 * REKEY_S))[-1] == (wire.REKEY, b"")


def test_after_a_rekey_the_old_key_opens_nothing() -> None:
    writer = RecordWriter(Cipher(KEY), 0.0, records_max=1)
    stale = Cipher(KEY)
    first = seal([(wire.ENVELOPE, b"1")], writer)
    stale.open(first[2:])
    second = seal([(wire.ENVELOPE, b"2")], writer)
    reader = RecordReader(stale)
    with pytest.raises(MalformedRecord):
        reader.feed(second)
