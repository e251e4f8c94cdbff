"""Signed statements of how long a log is and what is in it: one signature covers all before it.

A checkpoint is an envelope of kind `checkpoint`, signed by the log's author. Its body is a map
{1 journal, 2 epoch, 3 size, 4 root, 5 previous log [epoch, size, root]}; field 5 is absent
when the author knew of no log of its own before this one, and is the same in every checkpoint
of a log. Spec: docs/spec/journal.md.
"""

from dataclasses import dataclass, field
from typing import Final, Protocol, Self

from identity import cbor, envelope
from identity.errors import MalformedCbor
from sync.clock import Moment
from sync.journal import EPOCH_BYTES, SIZE_MAX, LogName
from sync.journal_errors import MalformedCheckpoint, MalformedJournalName
from sync.merkle import HASH_BYTES

BODY_BYTES_MAX: Final = 512
# A checkpoint says what a log holds, not when: each entry carries its own time, and the view
# makes those ahead of us wait. So the hour on the envelope is not judged.
_ANY_TIME_MS: Final = (1 << 64) - 1


class Sealer(Protocol):
    """Whoever can sign for one of our authors: the node's key or an agent's."""

    @property
    def public_key(self) -> bytes: ...

    def seal(self, kind: envelope.Kind, body: bytes, *, now: Moment) -> tuple[bytes, bytes]:
        """The id and the bytes of a sealed envelope."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Previous:
    """The head of the author's log before this one, as the author still had it."""

    epoch: bytes
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What an author signed: the first `size` entries of `log` have this root."""

    log: LogName
    size: int
    root: bytes
    previous: Previous | None = None
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def body(self) -> bytes:
        """What goes into the envelope."""
        fields: dict[int, cbor.Value] = {
            1: self.log.journal,
            2: self.log.epoch,
            3: self.size,
            4: self.root,
        }
        if self.previous is not None:
            fields[5] = [self.previous.epoch, self.previous.size, self.previous.root]
        return cbor.dumps(fields)

    def sealed(self, author: Sealer, now: Moment) -> Self:
        """This statement, signed by the log's author."""
        assert author.public_key == self.log.author
        _, raw = author.seal(envelope.Kind.CHECKPOINT, self.body, now=now)
        return type(self)(self.log, self.size, self.root, self.previous, raw)

    @classmethod
    def open(cls, data: bytes, *, network: str) -> Self:
        """Check the signature and the form of a checkpoint.

        Raises:
            MalformedCheckpoint: not a checkpoint, or a body that `body` would not write.
            IdentityError: whatever `open_envelope` raises.

        Cost: one Ed25519 verification.
        """
        opened = envelope.open_envelope(data, network=network, me=None, now_ms=_ANY_TIME_MS)
        if opened.kind is not envelope.Kind.CHECKPOINT:
            raise MalformedCheckpoint(f"an envelope of kind {opened.kind.value}")
        if opened.topic is not None or opened.in_reply_to is not None:
            raise MalformedCheckpoint("a checkpoint has no topic and answers nothing")
        return cls._parse(opened.body, author=opened.author, raw=data)

    @classmethod
    def _parse(cls, body: bytes, *, author: bytes, raw: bytes) -> Self:
        try:
            fields = cbor.loads(body, size_max=BODY_BYTES_MAX)
        except MalformedCbor as failure:
            raise MalformedCheckpoint(failure.why) from failure
        if type(fields) is not dict or not {1, 2, 3, 4} <= fields.keys() <= {1, 2, 3, 4, 5}:
            raise MalformedCheckpoint("not a map of the five fields")
        journal, epoch, previous = fields[1], fields[2], fields.get(5)
        if type(journal) is not str or type(epoch) is not bytes or len(epoch) != EPOCH_BYTES:
            raise MalformedCheckpoint("the journal or the epoch is malformed")
        size, root = _head(fields[3], fields[4])
        before = None
        if 5 in fields:
            if type(previous) is not list or len(previous) != 3:
                raise MalformedCheckpoint("the previous log is malformed")
            if type(previous[0]) is not bytes or len(previous[0]) != EPOCH_BYTES:
                raise MalformedCheckpoint("the previous log is malformed")
            before = Previous(previous[0], *_head(previous[1], previous[2]))
            if before.epoch == epoch:
                raise MalformedCheckpoint("a log cannot come before itself")
        try:
            log = LogName(journal, author, epoch)
        except MalformedJournalName as failure:
            raise MalformedCheckpoint(str(failure)) from failure
        return cls(log, size, root, before, raw)


def _head(size: object, root: object) -> tuple[int, bytes]:
    if type(size) is not int or not 1 <= size <= SIZE_MAX:
        raise MalformedCheckpoint("the size is out of range")
    if type(root) is not bytes or len(root) != HASH_BYTES:
        raise MalformedCheckpoint("the root is not 32 bytes")
    return size, root
