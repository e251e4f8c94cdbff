"""What a journal is made of: names, logs, entries and their places, as values.

A journal is a name. Each (journal, author, epoch) is one append-only log of entries; all logs of
a name, merged by (hybrid time, author, epoch, sequence), are the journal that people read.
Spec: docs/spec/journal.md.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

from identity import cbor
from identity.errors import MalformedCbor
from sync.hybrid_clock import TIME_MAX
from sync.journal_errors import (
    EntryTooLarge,
    MalformedCursor,
    MalformedEntry,
    MalformedJournalName,
)
from sync.merkle import leaf_hash

ENTRY_BYTES_MAX: Final = 16 * 1024
ORIGINATOR_CHARS_MAX: Final = 512  # a did:key and an agent's name
TAG_CHARS_MAX: Final = 128
NONCE_BYTES: Final = 16
EPOCH_BYTES: Final = 16
KEY_BYTES: Final = 32
TASK_ID_BYTES: Final = 32
LOG_ID_BYTES: Final = 16
EPOCHS_PER_AUTHOR_MAX: Final = 4_096
SIZE_MAX: Final = 1 << 40  # leaves of one log; a sequence number shares a row id with its log
# What one signature covers beyond the one before it, and so what is unverified at a time: one
# message carries it whole. Tighter than the 256 entries or 1 MiB that the design allows.
BATCH_ENTRIES_MAX: Final = 256
BATCH_BYTES_MAX: Final = 48 * 1024

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_CURSOR = re.compile(r"([0-9a-f]{16})-([0-9a-f]{32})-(0|[1-9][0-9]{0,12})")


def check_name(name: str) -> str:
    """`name`, if it can be a journal's.

    Raises:
        MalformedJournalName: empty, too long, or with a character that a right's glob,
            a path or a shell would read as something else.
    """
    if _NAME.fullmatch(name) is None:
        raise MalformedJournalName(name)
    return name


@dataclass(frozen=True, slots=True, order=True)
class LogName:
    """Which log: one author's entries in one journal during one run of one process."""

    journal: str
    author: bytes
    epoch: bytes

    def __post_init__(self) -> None:
        check_name(self.journal)
        assert len(self.author) == KEY_BYTES
        assert len(self.epoch) == EPOCH_BYTES

    @property
    def id(self) -> bytes:
        """16 bytes that stand for the log on the wire and on disk."""
        spelled = cbor.dumps(["akshi-mesh/log", self.journal, self.author, self.epoch])
        return hashlib.sha256(spelled).digest()[:LOG_ID_BYTES]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing written into a journal, as its author signed it."""

    time: int
    nonce: bytes
    originator: str
    tag: str
    text: str
    task_id: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.time <= TIME_MAX:
            raise MalformedEntry("time out of range")
        if len(self.nonce) != NONCE_BYTES:
            raise MalformedEntry("the nonce is not 16 bytes")
        if len(self.originator) > ORIGINATOR_CHARS_MAX:
            raise MalformedEntry("the originator is too long")
        if len(self.tag) > TAG_CHARS_MAX:
            raise MalformedEntry(f"the tag is longer than {TAG_CHARS_MAX} characters")
        if self.task_id is not None and len(self.task_id) != TASK_ID_BYTES:
            raise MalformedEntry("the task id is not 32 bytes")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The inverse of `encode`.

        Raises:
            MalformedEntry: anything but what `encode` writes.
        """
        if len(data) > ENTRY_BYTES_MAX:
            raise EntryTooLarge(len(data), bytes_max=ENTRY_BYTES_MAX)
        try:
            fields = cbor.loads(data, size_max=ENTRY_BYTES_MAX)
        except MalformedCbor as failure:
            raise MalformedEntry(failure.why) from failure
        if type(fields) is not dict or not _FIELDS.issuperset(fields):
            raise MalformedEntry("not a map of the six fields")
        time, nonce = fields.get(1), fields.get(2)
        originator, tag, text = fields.get(3), fields.get(4), fields.get(5)
        task_id = fields.get(6)
        if type(time) is not int or type(nonce) is not bytes or type(text) is not str:
            raise MalformedEntry("a field is missing or of the wrong type")
        if type(originator) is not str or type(tag) is not str:
            raise MalformedEntry("a field is missing or of the wrong type")
        if len(fields) == 6 and type(task_id) is not bytes:
            raise MalformedEntry("the task id is not bytes")
        assert task_id is None or type(task_id) is bytes
        return cls(time, nonce, originator, tag, text, task_id)

    def encode(self) -> bytes:
        """The bytes of the leaf.

        Raises:
            EntryTooLarge: beyond `ENTRY_BYTES_MAX`.
            MalformedEntry: text that is not unicode.
        """
        fields: dict[int, cbor.Value] = {
            1: self.time,
            2: self.nonce,
            3: self.originator,
            4: self.tag,
            5: self.text,
        }
        if self.task_id is not None:
            fields[6] = self.task_id
        try:
            data = cbor.dumps(fields)
        except MalformedCbor as failure:
            raise MalformedEntry(failure.why) from failure
        if len(data) > ENTRY_BYTES_MAX:
            raise EntryTooLarge(len(data), bytes_max=ENTRY_BYTES_MAX)
        return data

    @property
    def id(self) -> str:
        """How people name the entry: its nonce, which is unique unless its author wills."""
        return self.nonce.hex()

    @property
    def leaf(self) -> bytes:
        return leaf_hash(self.encode())


_FIELDS: Final = frozenset({1, 2, 3, 4, 5, 6})


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the merged view: after the entry with this time, log and sequence number."""

    time: int
    log: bytes
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`.

        Raises:
            MalformedCursor: not a cursor.
        """
        found = _CURSOR.fullmatch(text)
        if found is None or int(found[1], 16) > TIME_MAX:
            raise MalformedCursor(text)
        return cls(int(found[1], 16), bytes.fromhex(found[2]), int(found[3]))

    def __str__(self) -> str:
        return f"{self.time:016x}-{self.log.hex()}-{self.seq}"
