"""What is in the audit log, for people, exports and checks; works on a connection of its own."""

from collections.abc import Iterator
from dataclasses import dataclass

from akshi_mesh.audit.errors import MalformedNote, NoRecord, NoteUnsigned
from akshi_mesh.audit.log import leaf_of, stored_hashes
from akshi_mesh.audit.note import Checkpoint, checkpoint_of
from akshi_mesh.audit.tree import TILE_BITS, TILE_WIDTH, Frontier, tree_root
from sandbox.audit import AuditRecord, Event
from sync.merkle import root
from sync.store.database import Database

TABLES = {"audit", "audit_tiles", "audit_checkpoints", "audit_pruned"}
_WRONG_MAX = 100  # lines of a check; a log that is damaged everywhere needs no more


@dataclass(frozen=True, slots=True)
class Kept:
    """One row of the log. `entry` is salt and record, empty once they were pruned."""

    seq: int
    leaf: bytes
    entry: bytes
    record: AuditRecord | None


class AuditBook:
    """The audit log of `reader`, as it is now. It is also where `tree` finds its hashes."""

    def __init__(self, reader: Database) -> None:
        self._database = reader

    @property
    def database(self) -> Database:
        """The connection it reads with."""
        return self._database

    @property
    def is_there(self) -> bool:
        """Whether this database has a log: that of a node which never ran has none."""
        found = self._database.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {name for (name,) in found} >= TABLES

    @property
    def size(self) -> int:
        """How many records there are."""
        return int(self._database.value("SELECT coalesce(max(seq), 0) FROM audit"))

    @property
    def pruned_through(self) -> int:
        """The last record whose payload is gone; 0 if none is."""
        return self._database.value("SELECT through FROM audit_pruned") or 0

    def hashes(self, level: int, start: int, count: int) -> list[bytes]:
        """See `tree.Hashes`."""
        return stored_hashes(self._database, level, start, count)

    def tail(self, *, limit: int, agent: str | None = None) -> list[tuple[int, AuditRecord]]:
        """The newest `limit` records (of `agent`), oldest first, each with its number."""
        found: list[tuple[int, AuditRecord]] = []
        for seq, data in self._database.execute(
            "SELECT seq, record FROM audit WHERE seq > ? ORDER BY seq DESC", (self.pruned_through,)
        ):
            record = AuditRecord.from_cbor(data)
            if agent is None or record.agent == agent:
                found.append((seq, record))
            if len(found) >= limit:
                break
        return found[::-1]

    def rows(self, first: int, last: int) -> Iterator[tuple[int, bytes, bytes, bytes]]:
        """Number, leaf, salt and record of `first` to `last`."""
        sql = "SELECT seq, leaf, salt, record FROM audit WHERE seq BETWEEN ? AND ? ORDER BY seq"
        yield from self._database.execute(sql, (first, last))

    def kept(self, first: int, last: int) -> Iterator[Kept]:
        """Records `first` to `last`, read."""
        for seq, leaf, salt, data in self.rows(first, last):
            record = AuditRecord.from_cbor(data) if data else None
            yield Kept(seq, leaf, salt + data, record)

    def one(self, seq: int) -> Kept:
        """Record `seq`.

        Raises:
            NoRecord: there is none.
        """
        for kept in self.kept(seq, seq):
            return kept
        raise NoRecord(seq, self.size)

    def of_task(self, task_id: bytes) -> list[int]:
        """The numbers of the records about a task. Reads every record that is left."""
        found: list[int] = []
        for kept in self.kept(self.pruned_through + 1, self.size):
            if kept.record is not None and kept.record.task_id == task_id:
                found.append(kept.seq)
        return found

    def checkpoints(self) -> list[tuple[int, bytes]]:
        """What was signed: sizes and notes, smallest first."""
        rows = self._database.rows("SELECT size, note FROM audit_checkpoints ORDER BY size")
        return [(size, note) for size, note in rows]

    def newest_checkpoint(self) -> bytes | None:
        """The note over most records; None if nothing was ever signed."""
        found: bytes | None = self._database.value(
            "SELECT note FROM audit_checkpoints ORDER BY size DESC LIMIT 1"
        )
        return found

    def root(self, size: int) -> bytes:
        """The root over the first `size` records."""
        return tree_root(self, size)

    def check(self, public_key: bytes | None = None, *, against: bytes | None = None) -> list[str]:
        """What is wrong with the log, one line each: every record, every hash, every checkpoint.

        Args:
            public_key: of the node, to check its signatures as well.
            against: one more checkpoint, which may have been kept elsewhere.
        """
        return _Check(self, public_key).run(against)


def _pruned_by(data: bytes) -> int:
    """The last record that this one, if it is of pruning, says was pruned; else 0."""
    if b"pruned" not in data:  # most are not; reading one takes 40 µs
        return 0
    record = AuditRecord.from_cbor(data)
    last = record.fact("subject").rpartition("-")[2]
    return int(last) if record.event is Event.PRUNED and last.isdigit() else 0


class _Check:
    """One reading of a whole log, from the first record to the last."""

    def __init__(self, book: AuditBook, public_key: bytes | None) -> None:
        self._book = book
        self._public_key = public_key
        self._wrong: list[str] = []
        self._signed: dict[int, list[Checkpoint]] = {}

    def run(self, against: bytes | None) -> list[str]:
        notes = [note for _, note in self._book.checkpoints()]
        for note in [*notes, *([against] if against is not None else [])]:
            self._read(note)
        size, pruned = self._book.size, self._book.pruned_through
        frontier, expected, said_pruned = Frontier(), 1, 0
        for seq, leaf, salt, data in self._book.rows(1, size):
            if seq != expected:
                self._say(f"audit records {expected} to {seq - 1} are missing")
            if (data or seq > pruned) and leaf_of(salt, data) != leaf:
                self._say(f"audit record {seq} was changed")
            said_pruned = max(said_pruned, _pruned_by(data))
            frontier.add(leaf)
            expected = seq + 1
            for checkpoint in self._signed.pop(frontier.size, ()):
                if checkpoint.root != frontier.root:
                    self._say(f"the checkpoint of {checkpoint.size} records has another root")
            if len(self._wrong) >= _WRONG_MAX:
                return self._wrong
        if pruned > said_pruned:
            self._say(f"records up to {pruned} were blotted out, and no record says so")
        self._signed.pop(0, None)
        for missing in sorted(self._signed):
            self._say(f"a checkpoint of {missing} records was signed, and there are {size}")
        self._check_tiles(size)
        return self._wrong

    def _read(self, note: bytes) -> None:
        try:
            if self._public_key is None:
                checkpoint = checkpoint_of(note)
            else:
                checkpoint = Checkpoint.open(note, self._public_key)
        except (MalformedNote, NoteUnsigned) as failure:
            self._say(str(failure))
        else:
            self._signed.setdefault(checkpoint.size, []).append(checkpoint)

    def _check_tiles(self, size: int) -> None:
        level, hashes = 1, size >> TILE_BITS
        while hashes:
            for position in range(hashes):
                below = self._book.hashes(level - 1, position << TILE_BITS, TILE_WIDTH)
                stored = self._book.hashes(level, position, 1)
                if len(below) != TILE_WIDTH or stored != [root(below)]:
                    self._say(f"hash {position} of level {level} is not over what lies below it")
            level, hashes = level + 1, hashes >> TILE_BITS

    def _say(self, line: str) -> None:
        if len(self._wrong) < _WRONG_MAX:
            self._wrong.append(line)
