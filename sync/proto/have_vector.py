"""How two nodes find out where their journals differ: a digest, then rows, log by log."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from sync.checkpoint import Previous
from sync.journal import LOG_ID_BYTES
from sync.proto.journal_messages import ROWS_MAX, TAG_BYTES, Have, Row
from sync.proto.journal_store import Log, LogState

FIRST_LOG = bytes(LOG_ID_BYTES)
LAST_LOG = b"\xff" * LOG_ID_BYTES


def row_of(state: LogState) -> Row:
    """The row of a log; equal rows mean equal content, and equal knowledge of forks."""
    mark = tag(state.root, state.previous, frozen_at=state.frozen_at, disputed=state.disputed)
    return Row(state.id, state.size, mark)


def tag(root: bytes, previous: Previous | None, *, frozen_at: int | None, disputed: bool) -> bytes:
    """Eight bytes that differ where content differs, or what is known of a fork."""
    if frozen_at is None and previous is None:
        return root[:TAG_BYTES]
    if frozen_at is None:
        assert previous is not None
        before = previous.epoch + previous.size.to_bytes(8) + previous.root
        return hashlib.sha256(root + before).digest()[:TAG_BYTES]
    fork = b"disputed" if disputed else b"frozen"
    return hashlib.sha256(fork + frozen_at.to_bytes(8) + root).digest()[:TAG_BYTES]


def tag_of(log: Log) -> bytes:
    return tag(log.frontier.root, log.previous, frozen_at=log.frozen_at, disputed=log.disputed)


def digest(rows: Iterable[Row]) -> bytes:
    """32 bytes for all rows; they come in order of log."""
    return hashlib.sha256(b"".join(map(bytes, rows))).digest()


def parts(rows: Sequence[Row]) -> Iterator[Have]:
    """All rows as messages, each of which says by itself what lies within its bounds."""
    first = FIRST_LOG
    for at in range(0, max(len(rows), 1), ROWS_MAX):
        part = tuple(rows[at : at + ROWS_MAX])
        last = LAST_LOG if at + ROWS_MAX >= len(rows) else part[-1].log
        yield Have(part, (first, last))
        first = (int.from_bytes(last) + 1).to_bytes(LOG_ID_BYTES + 1)[1:]


def to_tell(mine: Sequence[Row], theirs: Have) -> list[Row]:
    """Those of my rows that the sender of `theirs`, which is complete in its bounds, should see."""
    assert theirs.bounds is not None
    first, last = theirs.bounds
    known = {row.log: row for row in theirs.rows}
    tell = []
    for row in mine:
        if first <= row.log <= last:
            other = known.get(row.log)
            if other is None or (other != row and row.size >= other.size):
                tell.append(row)
    return tell[:ROWS_MAX]
