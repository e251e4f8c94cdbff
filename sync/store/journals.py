"""The journals in SQLite: logs, entries, checkpoints and fork proofs.

An entry costs two B-tree inserts: its place in its log (with its bytes), and its place in time.
What is derived and slow (words, names of entries) is fed later by `sync.store.search`.
"""

import json
from collections.abc import Collection, Iterator
from typing import Any, Final

from sync.checkpoint import Checkpoint, Previous
from sync.fork_proof import ForkProof
from sync.frontier import Frontier, peak_ranges
from sync.journal import (
    BATCH_BYTES_MAX,
    BATCH_ENTRIES_MAX,
    Entry,
    LogName,
)
from sync.journal_errors import JournalDamaged
from sync.merkle import leaf_hash, root
from sync.proto.journal_store import Batch, Log, LogState, Staged, Stretch
from sync.store.database import Database, Row
from sync.store.journals_forks import Forks

SUBTREE: Final = 256  # leaves under one stored hash
_ROWS_A_STATEMENT: Final = 64
_LOG = (
    "SELECT l.id, l.key, n.name, l.author, l.epoch, l.size, l.frontier, l.previous_epoch,"
    " l.previous_size, l.previous_root, l.frozen_at, l.disputed, l.total_bytes, l.visible"
    " FROM journal_logs l JOIN journal_names n ON n.id = l.journal"
)


def _insert(rows: int) -> str:
    return ",".join(
        ["INSERT INTO journal_entries VALUES (?,?,?,?,?)", *["(?,?,?,?,?)"] * (rows - 1)]
    )


_INSERT_FULL: Final = _insert(_ROWS_A_STATEMENT)


class Journals:
    """The store of the journal engine; the caller opens the transactions."""

    def __init__(self, database: Database, *, network: str) -> None:
        self._db = database
        self._network = network
        self._forks = Forks(database)

    # --- logs ---------------------------------------------------------------------------------

    def journals(self) -> Collection[str]:
        return [name for (name,) in self._db.rows("SELECT name FROM journal_names ORDER BY name")]

    def log(self, log_id: bytes) -> Log | None:
        return _log(self._db.row(f"{_LOG} WHERE l.key = ?", (log_id,)))

    def own_log(self, journal: str, author: bytes, run: bytes) -> Log | None:
        return _log(
            self._db.row(
                f"{_LOG} WHERE l.author = ? AND n.name = ? AND l.run = ? AND l.frozen_at IS NULL",
                (author, journal, run),
            )
        )

    def last_head(self, journal: str, author: bytes) -> Previous | None:
        row = self._db.row(
            "SELECT l.epoch, l.size, l.root FROM journal_logs l"
            " JOIN journal_names n ON n.id = l.journal"
            " WHERE l.author = ? AND n.name = ? AND l.size > 0"
            " ORDER BY l.last_time DESC, l.id DESC LIMIT 1",
            (author, journal),
        )
        return None if row is None else Previous(*row)

    def epochs(self, author: bytes) -> int:
        sql = "SELECT count(DISTINCT epoch) FROM journal_logs WHERE author = ?"
        return int(self._db.value(sql, (author,)))

    def create(self, name: LogName, previous: Previous | None, run: bytes | None) -> Log:
        self._db.execute("INSERT OR IGNORE INTO journal_names (name) VALUES (?)", (name.journal,))
        before = (None, None, None)
        if previous is not None:
            before = (previous.epoch, previous.size, previous.root)  # type: ignore[assignment]
        self._db.execute(
            "INSERT INTO journal_logs (key, journal, author, epoch, size, frontier, root,"
            " total_bytes, previous_epoch, previous_size, previous_root, run, visible, indexed,"
            " last_time) VALUES (?, (SELECT id FROM journal_names WHERE name = ?), ?, ?, 0, x'', ?,"
            " 0, ?, ?, ?, ?, 0, 0, 0)",
            (name.id, name.journal, name.author, name.epoch, Frontier().root, *before, run),
        )
        log = self.log(name.id)
        assert log is not None
        return log

    def states(self, journals: Collection[str], first: bytes, last: bytes) -> Iterator[LogState]:
        rows = self._db.rows(
            "SELECT l.key, n.name, l.author, l.size, l.root, l.frozen_at, l.disputed,"
            " l.previous_epoch, l.previous_size, l.previous_root"
            " FROM journal_logs l JOIN journal_names n ON n.id = l.journal"
            " WHERE n.name IN (SELECT value FROM json_each(?)) AND l.key BETWEEN ? AND ?"
            " ORDER BY l.key",
            (json.dumps(sorted(journals)), first, last),
        )
        for key, name, author, size, head, frozen_at, disputed, *previous in rows:
            before = None if previous[0] is None else Previous(*previous)
            yield LogState(key, name, author, size, head, before, frozen_at, bool(disputed))

    # --- entries ------------------------------------------------------------------------------

    def extend(self, log: Log, batch: Batch, checkpoint: Checkpoint | None) -> Log:
        """Store verified entries; the checkpoint, if any, covers exactly up to their end."""
        journal = self._db.value("SELECT journal FROM journal_logs WHERE id = ?", (log.row,))
        self._insert(log, journal, batch)
        size = batch.frontier.size
        total = log.total_bytes + sum(map(len, batch.entries))
        self._keep_subtrees(log, batch)
        if checkpoint is not None:
            self._thin(log, size, total)
            self._db.execute(
                "INSERT OR REPLACE INTO journal_checkpoints VALUES (?, ?, ?, ?)",
                (log.row, size, total, checkpoint.raw),
            )
            if checkpoint.previous is not None and log.previous is None:
                before = checkpoint.previous
                self._db.execute(
                    "UPDATE journal_logs SET previous_epoch = ?, previous_size = ?,"
                    " previous_root = ? WHERE id = ?",
                    (before.epoch, before.size, before.root, log.row),
                )
        last = max(batch.times, default=0)
        self._db.execute(
            "UPDATE journal_logs SET size = ?, frontier = ?, root = ?, total_bytes = ?,"
            " last_time = max(last_time, ?) WHERE id = ?",
            (size, bytes(batch.frontier), batch.frontier.root, total, last, log.row),
        )
        self._forks.show(log.row, log.name)
        return _known(self.log(log.id))

    def _insert(self, log: Log, journal: int, batch: Batch) -> None:
        # What lies beyond a fork is set aside, not deleted; the common part never meets it.
        rows = list(zip(batch.times, batch.entries, strict=True))
        for first in range(0, len(rows), _ROWS_A_STATEMENT):
            part = rows[first : first + _ROWS_A_STATEMENT]
            params: list[Any] = []
            for seq, (time, data) in enumerate(part, log.size + first):
                params += (log.row, seq, journal, time, data)
            self._db.execute(
                _INSERT_FULL if len(part) == _ROWS_A_STATEMENT else _insert(len(part)),
                params,
            )

    def _keep_subtrees(self, log: Log, batch: Batch) -> None:
        size = log.size
        for number in range(size // SUBTREE, batch.frontier.size // SUBTREE):
            start = number * SUBTREE
            leaves = list(batch.leaves[max(start - size, 0) : start + SUBTREE - size])
            if start < size:
                leaves = self._leaves(log, start, size) + leaves
            self._db.execute(
                "INSERT OR REPLACE INTO journal_subtrees VALUES (?, ?, ?)",
                (log.row, number, root(leaves)),
            )

    def _thin(self, log: Log, size: int, total: int) -> None:
        """Forget the last checkpoint if the one before it and the new one are near enough."""
        last = self._db.rows(
            "SELECT size, total_bytes FROM journal_checkpoints WHERE log = ? AND size <= ?"
            " ORDER BY size DESC LIMIT 2",
            (log.row, log.size),
        )
        before = last[1] if len(last) == 2 else (0, 0)
        if last and size - before[0] <= BATCH_ENTRIES_MAX and total - before[1] <= BATCH_BYTES_MAX:
            self._db.execute(
                "DELETE FROM journal_checkpoints WHERE log = ? AND size = ?", (log.row, last[0][0])
            )

    def stretch(self, log: Log, start: int) -> Stretch | None:
        """The longest stretch from `start` that one signature covers within the limits."""
        entries: list[bytes] = []
        total = 0
        for data in self._entries(log, start, min(start + BATCH_ENTRIES_MAX, log.size)):
            total += len(data)
            if total > BATCH_BYTES_MAX:
                break
            entries.append(data)
        found = self._db.row(
            "SELECT size, data FROM journal_checkpoints WHERE log = ? AND size > ? AND size <= ?"
            " ORDER BY size DESC LIMIT 1",
            (log.row, start, start + len(entries)),
        )
        if found is not None:
            return Stretch(tuple(entries[: found[0] - start]), found[1], None)
        if log.frozen_at == start + len(entries):
            return Stretch(tuple(entries), None, self.proof(log))
        return None

    def checkpoint_over(self, log: Log, index: int) -> Checkpoint | None:
        data = self._db.value(
            "SELECT data FROM journal_checkpoints WHERE log = ? AND size > ? ORDER BY size LIMIT 1",
            (log.row, index),
        )
        return None if data is None else Checkpoint.open(data, network=self._network)

    def subtree(self, log: Log, start: int, count: int) -> bytes:
        if start % SUBTREE or count < SUBTREE:
            return root(self._leaves(log, start, start + count))
        whole = count // SUBTREE
        first = start // SUBTREE
        hashes = [
            found
            for (found,) in self._db.rows(
                "SELECT hash FROM journal_subtrees WHERE log = ? AND number >= ? AND number < ?"
                " ORDER BY number",
                (log.row, first, first + whole),
            )
        ]
        if len(hashes) != whole:
            raise JournalDamaged(log.name.journal, "a stored hash is missing")
        rest = self._leaves(log, start + whole * SUBTREE, start + count)
        # A lone rest rises unhashed, as in any tree of RFC 6962.
        return root([*hashes, root(rest)] if rest else hashes)

    def entries(self, log: Log, start: int, end: int) -> list[bytes]:
        return list(self._entries(log, start, end))

    def _entries(self, log: Log, start: int, end: int) -> Iterator[bytes]:
        rows = self._db.execute(
            "SELECT data FROM journal_entries WHERE log = ? AND seq >= ? AND seq < ? ORDER BY seq",
            (log.row, start, end),
        )
        return (data for (data,) in rows)

    def _leaves(self, log: Log, start: int, end: int) -> list[bytes]:
        leaves = [leaf_hash(data) for data in self._entries(log, start, end)]
        if len(leaves) != max(0, end - start):
            raise JournalDamaged(log.name.journal, "an entry is missing")
        return leaves

    # --- forks, vouchers ----------------------------------------------------------------------

    def proof(self, log: Log) -> bytes | None:
        found: bytes | None = self._db.value(
            "SELECT proof FROM journal_forks WHERE log = ?", (log.row,)
        )
        return found

    def proof_rank(self, log: Log) -> tuple[int, bool, bool] | None:
        row = self._db.row(
            "SELECT fork_index, rootless, provisional FROM journal_forks WHERE log = ?", (log.row,)
        )
        return None if row is None else (row[0], not row[1], bool(row[2]))

    def freeze(self, log: Log, proof: ForkProof) -> Log:
        self._forks.freeze(log, proof, holds_common=self._holds_common(log, proof))
        return _known(self.log(log.id))

    def _holds_common(self, log: Log, proof: ForkProof) -> bool:
        """Whether our first entries are those that the proof shows as common to both sides."""
        if proof.frontier is None:
            return False
        if proof.index > log.size:
            return True  # as far as we know; the rest is checked when it comes
        peaks = tuple(self.subtree(log, *where) for where in peak_ranges(proof.index))
        return peaks == proof.frontier.peaks

    def accept_forks(self, author: bytes) -> None:
        self._forks.accept(author)

    def attestation(self, author: bytes) -> bytes | None:
        sql = "SELECT data FROM journal_attestations WHERE author = ?"
        found: bytes | None = self._db.value(sql, (author,))
        return found

    def vouched_by(self, author: bytes) -> bytes | None:
        sql = "SELECT node FROM journal_attestations WHERE author = ?"
        found: bytes | None = self._db.value(sql, (author,))
        return found

    def keep_attestation(self, author: bytes, node: bytes, data: bytes) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO journal_attestations VALUES (?, ?, ?)", (author, node, data)
        )

    # --- own entries on their way -------------------------------------------------------------

    def append(self, journal: str, author: bytes, entry: Entry) -> None:
        self._db.execute(
            "INSERT INTO journal_unsealed (journal, author, time, data) VALUES (?, ?, ?, ?)",
            (journal, author, entry.time, entry.encode()),
        )

    def unsealed(self) -> list[tuple[str, bytes, int, bytes]]:
        rows = self._db.rows("SELECT journal, author, time, data FROM journal_unsealed ORDER BY id")
        return [(journal, author, time, data) for journal, author, time, data in rows]

    def forget_unsealed(self) -> None:
        self._db.execute("DELETE FROM journal_unsealed")

    def last_time(self, until: int) -> int:
        found = 0
        for (journal,) in self._db.rows("SELECT id FROM journal_names"):
            last = self._db.value(
                "SELECT max(time) FROM journal_entries WHERE journal = ? AND time <= ?",
                (journal, until),
            )
            found = max(found, last or 0)
        return found

    def stage(self, task_id: bytes, number: int, staged: Staged) -> Staged:
        """Keep it, unless the same call was staged before: then that one stays."""
        self._db.execute(
            "INSERT OR IGNORE INTO journal_staged VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                task_id,
                number,
                staged.journal,
                staged.author,
                staged.nonce,
                staged.originator,
                staged.tag,
                staged.text,
            ),
        )
        row = self._db.row(
            "SELECT journal, author, nonce, originator, tag, text FROM journal_staged"
            " WHERE task = ? AND number = ?",
            (task_id, number),
        )
        assert row is not None
        return Staged(*row)

    def staged(self, task_id: bytes) -> list[Staged]:
        rows = self._db.rows(
            "SELECT journal, author, nonce, originator, tag, text FROM journal_staged"
            " WHERE task = ? ORDER BY number",
            (task_id,),
        )
        return [Staged(*row) for row in rows]

    def drop_staged(self, task_id: bytes) -> None:
        self._db.execute("DELETE FROM journal_staged WHERE task = ?", (task_id,))


def _log(row: Row | None) -> Log | None:
    if row is None:
        return None
    number, key, journal, author, epoch, size, frontier, *more = row
    *previous, frozen, disputed, total, visible = more
    before = None if previous[0] is None else Previous(*previous)
    name = LogName(journal, author, epoch)
    edge = Frontier.parse(size, frontier)
    return Log(number, key, name, edge, before, frozen, bool(disputed), total, visible)


def _known(log: Log | None) -> Log:
    assert log is not None
    return log
