"""What two nodes say about journals: seven messages, each one deterministic CBOR map.

    Names    these journals I share with you
    Digest   all I have of them hashes to this
    Have     log by log: how much, and which
    Want     send me this log from here
    Entries  a stretch of a log, with the checkpoint or the fork proof that covers it
    Probe    which leaf have you at this index (when two histories seem to differ)
    Leaf     this one, with its path to a signed root
    Refuse   I do not take this author's entries in this journal

Each can be lost, doubled or late without harm. Spec: docs/spec/journal.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from identity import cbor
from identity.errors import MalformedCbor
from sync.journal import (
    BATCH_BYTES_MAX,
    BATCH_ENTRIES_MAX,
    ENTRY_BYTES_MAX,
    KEY_BYTES,
    LOG_ID_BYTES,
    SIZE_MAX,
    check_name,
)
from sync.journal_errors import MalformedJournalName, MalformedMessage
from sync.merkle import HASH_BYTES, PATH_HASHES_MAX

MESSAGE_BYTES_MAX: Final = 60 * 1024
NAMES_MAX: Final = 128  # journals shared with one peer; the rest stays unshared
TAG_BYTES: Final = 8
SIZE_BYTES: Final = 8
ROW_BYTES: Final = LOG_ID_BYTES + SIZE_BYTES + TAG_BYTES
ROWS_MAX: Final = 1_000  # rows of one message
SIGNED_BYTES_MAX: Final = 8 * 1024  # a checkpoint or a fork proof
# So that the fullest batch, a proof and an attestation always fit one message.
ATTESTATION_BYTES_MAX: Final = 2 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """How much we have of one log, and a tag that differs when its content does."""

    log: bytes
    size: int
    tag: bytes

    def __bytes__(self) -> bytes:
        return self.log + self.size.to_bytes(SIZE_BYTES) + self.tag


@dataclass(frozen=True, slots=True)
class Names:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    digest: bytes


@dataclass(frozen=True, slots=True)
class Have:
    """Rows in order of log. With bounds it is all there is between them, both inclusive."""

    rows: tuple[Row, ...]
    bounds: tuple[bytes, bytes] | None


@dataclass(frozen=True, slots=True)
class Want:
    log: bytes
    start: int
    needs_attestation: bool


@dataclass(frozen=True, slots=True)
class Entries:
    log: bytes
    start: int
    entries: tuple[bytes, ...]
    checkpoint: bytes | None
    proof: bytes | None
    attestation: bytes | None

    @property
    def end(self) -> int:
        return self.start + len(self.entries)


@dataclass(frozen=True, slots=True)
class Probe:
    log: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Leaf:
    checkpoint: bytes
    index: int
    leaf: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Refuse:
    journal: str
    author: bytes


Message: TypeAlias = Names | Digest | Have | Want | Entries | Probe | Leaf | Refuse


def encode(message: Message) -> bytes:
    """The bytes of `message`, at most `MESSAGE_BYTES_MAX`."""
    data = cbor.dumps(_fields(message))
    assert len(data) <= MESSAGE_BYTES_MAX, "whoever built it kept to the limits"
    return data


def _fields(message: Message) -> dict[int, cbor.Value]:
    match message:
        case Names(names):
            return {0: 0, 1: list(names)}
        case Digest(digest):
            return {0: 1, 1: digest}
        case Have(rows, bounds):
            have: dict[int, cbor.Value] = {0: 2, 1: b"".join(map(bytes, rows))}
            if bounds is not None:
                have[2] = b"".join(bounds)
            return have
        case Want(log, start, needs_attestation):
            want: dict[int, cbor.Value] = {0: 3, 1: log, 2: start}
            if needs_attestation:
                want[3] = True
            return want
        case Entries(log, start, entries, checkpoint, proof, attestation):
            fields: dict[int, cbor.Value] = {0: 4, 1: log, 2: start, 3: list(entries)}
            for key, value in ((4, checkpoint), (5, proof), (6, attestation)):
                if value is not None:
                    fields[key] = value
            return fields
        case Probe(log, index):
            return {0: 5, 1: log, 2: index}
        case Leaf(checkpoint, index, leaf, path):
            return {0: 6, 1: checkpoint, 2: index, 3: leaf, 4: b"".join(path)}
        case Refuse(journal, author):
            return {0: 7, 1: journal, 2: author}


def parse(data: bytes) -> Message:
    """The message in `data`; nothing in it is verified.

    Raises:
        MalformedMessage: no correct node sends this.
    """
    try:
        fields = cbor.loads(data, size_max=MESSAGE_BYTES_MAX)
    except MalformedCbor as failure:
        raise MalformedMessage(failure.why) from failure
    if type(fields) is not dict or type(fields.get(0)) is not int:
        raise MalformedMessage("not a map with a kind")
    number = fields[0]
    if type(number) is not int or number not in _PARSERS:
        raise MalformedMessage(f"unknown kind {number}")
    needed, allowed, parser = _PARSERS[number]
    if not needed <= fields.keys() <= allowed:
        raise MalformedMessage(f"kind {number} with fields {sorted(map(str, fields))}")
    return parser(fields)


_Fields: TypeAlias = dict[int, cbor.Value]


def _names(fields: _Fields) -> Names:
    names = fields[1]
    if type(names) is not list or len(names) > NAMES_MAX:
        raise MalformedMessage("names are not an array of at most 128")
    return Names(tuple(_name(name) for name in names))


def _digest(fields: _Fields) -> Digest:
    return Digest(_bytes(fields[1], HASH_BYTES))


def _have(fields: _Fields) -> Have:
    data = fields[1]
    if type(data) is not bytes or len(data) % ROW_BYTES or len(data) > ROWS_MAX * ROW_BYTES:
        raise MalformedMessage("rows are not whole rows")
    cut = (LOG_ID_BYTES, LOG_ID_BYTES + SIZE_BYTES, ROW_BYTES)
    rows = []
    for at in range(0, len(data), ROW_BYTES):
        row = data[at : at + ROW_BYTES]
        size = int.from_bytes(row[cut[0] : cut[1]])
        if size > SIZE_MAX:
            raise MalformedMessage("a size is out of range")
        rows.append(Row(row[: cut[0]], size, row[cut[1] :]))
    if any(a.log >= b.log for a, b in pairwise(rows)):
        raise MalformedMessage("rows are not in order")
    if 2 not in fields:
        return Have(tuple(rows), None)
    bounds = _bytes(fields[2], 2 * LOG_ID_BYTES)
    first, last = bounds[:LOG_ID_BYTES], bounds[LOG_ID_BYTES:]
    if first > last or (rows and not first <= rows[0].log <= rows[-1].log <= last):
        raise MalformedMessage("rows lie outside their bounds")
    return Have(tuple(rows), (first, last))


def _want(fields: _Fields) -> Want:
    if 3 in fields and fields[3] is not True:
        raise MalformedMessage("the attestation flag is not true")
    return Want(_bytes(fields[1], LOG_ID_BYTES), _size(fields[2]), 3 in fields)


def _entries(fields: _Fields) -> Entries:
    entries = fields[3]
    if type(entries) is not list or len(entries) > BATCH_ENTRIES_MAX:
        raise MalformedMessage("entries are not an array of at most 256")
    total = 0
    for entry in entries:
        if type(entry) is not bytes or not 0 < len(entry) <= ENTRY_BYTES_MAX:
            raise MalformedMessage("an entry is not 1 to 16,384 bytes")
        total += len(entry)
    if total > BATCH_BYTES_MAX:
        raise MalformedMessage(f"{total} bytes of entries under one signature")
    limits = ((4, SIGNED_BYTES_MAX), (5, SIGNED_BYTES_MAX), (6, ATTESTATION_BYTES_MAX))
    covers = [_signed(fields[key], most) if key in fields else None for key, most in limits]
    if (covers[0] is None) == (covers[1] is None):
        raise MalformedMessage("entries want one checkpoint or one proof")
    if covers[0] is not None and not entries:
        raise MalformedMessage("a checkpoint without entries")
    start = _size(fields[2])
    if start + len(entries) > SIZE_MAX:
        raise MalformedMessage("a size is out of range")
    return Entries(_bytes(fields[1], LOG_ID_BYTES), start, tuple(entries), *covers)


def _probe(fields: _Fields) -> Probe:
    return Probe(_bytes(fields[1], LOG_ID_BYTES), _size(fields[2]))


def _leaf(fields: _Fields) -> Leaf:
    path = fields[4]
    if type(path) is not bytes or len(path) % HASH_BYTES:
        raise MalformedMessage("a path is not whole hashes")
    if len(path) > PATH_HASHES_MAX * HASH_BYTES:
        raise MalformedMessage("a path is too long")
    hashes = tuple(path[i : i + HASH_BYTES] for i in range(0, len(path), HASH_BYTES))
    return Leaf(_signed(fields[1]), _size(fields[2]), _bytes(fields[3], HASH_BYTES), hashes)


def _refuse(fields: _Fields) -> Refuse:
    return Refuse(_name(fields[1]), _bytes(fields[2], KEY_BYTES))


_PARSERS: Final[dict[int, tuple[set[int], set[int], Callable[[_Fields], Message]]]] = {
    0: ({0, 1}, {0, 1}, _names),
    1: ({0, 1}, {0, 1}, _digest),
    2: ({0, 1}, {0, 1, 2}, _have),
    3: ({0, 1, 2}, {0, 1, 2, 3}, _want),
    4: ({0, 1, 2, 3}, {0, 1, 2, 3, 4, 5, 6}, _entries),
    5: ({0, 1, 2}, {0, 1, 2}, _probe),
    6: ({0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}, _leaf),
    7: ({0, 1, 2}, {0, 1, 2}, _refuse),
}


def _name(value: object) -> str:
    if type(value) is not str:
        raise MalformedMessage("a name is not text")
    try:
        return check_name(value)
    except MalformedJournalName as failure:
        raise MalformedMessage(str(failure)) from failure


def _bytes(value: object, length: int) -> bytes:
    if type(value) is not bytes or len(value) != length:
        raise MalformedMessage(f"want {length} bytes")
    return value


def _size(value: object) -> int:
    if type(value) is not int or not 0 <= value <= SIZE_MAX:
        raise MalformedMessage("a size is out of range")
    return value


def _signed(value: object, bytes_max: int = SIGNED_BYTES_MAX) -> bytes:
    if type(value) is not bytes or not 0 < len(value) <= bytes_max:
        raise MalformedMessage(f"a signed part is not 1 to {bytes_max:,} bytes")
    return value
