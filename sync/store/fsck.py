"""Check journals against their signatures, and cut away what does not hold.

A log is read from its first entry, hashed, and compared at each stored checkpoint with the root
its author signed. What lies after the last checkpoint that holds is not proven: `repair` cuts it
off, says how much, and the session fetches it back from whoever still has it. A log of which a
page cannot be read keeps what comes before that page; `salvage` then copies what holds into
a fresh database, as a damaged file is not written to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from identity.errors import IdentityError
from sync.checkpoint import Checkpoint
from sync.errors import DatabaseDamaged
from sync.fork_proof import ForkProof
from sync.frontier import Frontier
from sync.journal import Entry
from sync.journal_errors import JournalError
from sync.merkle import leaf_hash, root
from sync.proto.journal_store import Batch, Log
from sync.store.database import Database
from sync.store.journals import SUBTREE, Journals
from sync.store.search import Search
from sync.store.vectors import forget_vectors

_CHUNK: Final = 1_024  # entries read at a time


@dataclass(frozen=True, slots=True)
class LogCheck:
    """One log: how much of it its author's signatures prove."""

    log: bytes
    journal: str
    author: bytes
    epoch: bytes
    size: int
    proven: int
    why: str | None

    @property
    def is_sound(self) -> bool:
        return self.why is None

    @property
    def lost(self) -> int:
        """Entries that a repair drops; peers may have them."""
        return self.size - self.proven


@dataclass(frozen=True, slots=True)
class JournalCheck:
    """All logs that were looked at."""

    logs: tuple[LogCheck, ...]

    @property
    def is_sound(self) -> bool:
        return all(log.is_sound for log in self.logs)

    @property
    def entries(self) -> int:
        return sum(log.proven for log in self.logs)

    @property
    def lost(self) -> int:
        return sum(log.lost for log in self.logs)


def check_journals(database: Database, *, network: str, journal: str | None = None) -> JournalCheck:
    """Hash every entry again. Only reads, so call it in a thread on a `reader()`.

    Raises:
        DatabaseDamaged: not even the list of logs can be read.

    Cost: about 3 µs for each entry, 60 µs for each checkpoint.
    """
    store = Journals(database, network=network)
    logs = [log for log in _logs(database, store) if journal in (None, log.name.journal)]
    return JournalCheck(tuple(_check(database, store, log, network)[0] for log in logs))


def repair_journals(database: Database, *, network: str) -> JournalCheck:
    """Cut every log back to what its signatures prove. Call it in a transaction.

    Returns:
        What was found before; `lost` entries are gone from here.
    """
    store = Journals(database, network=network)
    checks = []
    for log in _logs(database, store):
        check, edge = _check(database, store, log, network)
        checks.append(check)
        if not check.is_sound:
            _cut(database, log, edge)
    if any(not check.is_sound for check in checks):
        Search(database).forget()
        forget_vectors(database)
    return JournalCheck(tuple(checks))


def salvage_journals(damaged: Database, fresh: Database, *, network: str) -> JournalCheck:
    """Copy what is proven from a file with damaged pages into an empty one, in a transaction.

    Own entries that were not yet signed and staged entries of tasks are not copied: they
    belong to tasks, which are offered again.

    Raises:
        DatabaseDamaged: not even the list of logs can be read; then all is fetched anew.
    """
    source, target = Journals(damaged, network=network), Journals(fresh, network=network)
    checks = []
    for log in _logs(damaged, source):
        check, _ = _check(damaged, source, log, network)
        checks.append(check)
        copy = target.create(log.name, log.previous, None)
        for batch, checkpoint in _batches(damaged, log, check.proven, network):
            copy = target.extend(copy, batch, checkpoint)
        try:
            proof = source.proof(log)
            if proof is not None:
                target.freeze(copy, ForkProof.parse(proof, network=network))
            vouched = source.attestation(log.name.author)
            node = source.vouched_by(log.name.author)
        except (DatabaseDamaged, JournalError, IdentityError):
            continue  # peers tell both again
        if vouched is not None and node is not None:
            target.keep_attestation(log.name.author, node, vouched)
    return JournalCheck(tuple(checks))


def _logs(database: Database, store: Journals) -> list[Log]:
    keys = [key for (key,) in database.rows("SELECT key FROM journal_logs ORDER BY id")]
    logs = [store.log(key) for key in keys]
    return [log for log in logs if log is not None]


def _check(
    database: Database, store: Journals, log: Log, network: str
) -> tuple[LogCheck, Frontier]:
    """How much of a log is proven, why not more, and the edge of that part."""
    proven, why = Frontier(), None
    try:
        for batch, _ in _batches(database, log, log.size, network):
            proven = batch.frontier
        if proven != log.frontier and not log.disputed:
            proven, why = _by_proof(database, store, log, proven, network)
        elif not _subtrees_hold(database, log):
            why = "stored hashes of complete subtrees do not match the entries"
    except (_DoesNotHold, DatabaseDamaged, JournalError, IdentityError) as failure:
        why = str(failure)
    name = log.name
    check = LogCheck(log.id, name.journal, name.author, name.epoch, log.size, proven.size, why)
    return check, proven


class _DoesNotHold(Exception):
    """An entry or a root is not what was signed."""


def _batches(
    database: Database, log: Log, size: int, network: str
) -> Iterator[tuple[Batch, Checkpoint]]:
    """The first `size` entries of a log, from checkpoint to checkpoint, each proven.

    Raises:
        _DoesNotHold: the next ones are not.
    """
    edge = Frontier()
    checkpoints = database.execute(
        "SELECT size, data FROM journal_checkpoints WHERE log = ? AND size <= ? ORDER BY size",
        (log.row, size),
    )
    for end, raw in checkpoints:
        entries = _entries(database, log, edge.size, end)
        leaves = [leaf_hash(data) for data in entries]
        grown = edge.extended(leaves)
        signed = Checkpoint.open(raw, network=network)
        if (signed.log, signed.size, signed.previous) != (log.name, end, log.previous):
            raise _DoesNotHold(f"the checkpoint at {end} belongs elsewhere")
        if signed.root != grown.root:
            raise _DoesNotHold(f"entries {edge.size} to {end - 1} do not have the signed root")
        times = [Entry.parse(data).time for data in entries]
        _check_times(database, log, edge.size, times)
        edge = grown
        yield Batch(times, entries, leaves, grown), signed


def _by_proof(
    database: Database, store: Journals, log: Log, proven: Frontier, network: str
) -> tuple[Frontier, str | None]:
    """The end of a frozen log is covered by its fork proof instead of a checkpoint."""
    raw = store.proof(log)
    if raw is None:
        return proven, f"no signature covers entries {proven.size} to {log.size - 1}"
    proof = ForkProof.parse(raw, network=network)
    entries = _entries(database, log, proven.size, log.size)
    grown = proven.extended([leaf_hash(data) for data in entries])
    if grown == log.frontier == proof.frontier:
        return grown, None
    return proven, f"entries {proven.size} to {log.size - 1} are not those before the fork"


def _entries(database: Database, log: Log, start: int, end: int) -> list[bytes]:
    found: list[bytes] = []
    for first in range(start, end, _CHUNK):
        rows = database.rows(
            "SELECT data FROM journal_entries WHERE log = ? AND seq >= ? AND seq < ? ORDER BY seq",
            (log.row, first, min(first + _CHUNK, end)),
        )
        found += [data for (data,) in rows]
    if len(found) != end - start:
        raise _DoesNotHold(f"{end - start - len(found)} entries are missing after {start}")
    return found


def _check_times(database: Database, log: Log, start: int, times: list[int]) -> None:
    """The columns that order the view are copies; they must say what the entries say."""
    rows = database.rows(
        "SELECT e.time FROM journal_entries e JOIN journal_logs l"
        " ON l.id = e.log AND l.journal = e.journal"
        " WHERE e.log = ? AND e.seq >= ? AND e.seq < ? ORDER BY e.seq",
        (log.row, start, start + len(times)),
    )
    if [time for (time,) in rows] != times:
        raise _DoesNotHold(f"entries from {start} on are filed under the wrong time")


def _subtrees_hold(database: Database, log: Log) -> bool:
    stored: dict[int, bytes] = dict(
        database.rows(
            "SELECT number, hash FROM journal_subtrees WHERE log = ? AND number < ?",
            (log.row, log.size // SUBTREE),
        )
    )
    for number in range(log.size // SUBTREE):
        entries = _entries(database, log, number * SUBTREE, (number + 1) * SUBTREE)
        if stored.get(number) != root([leaf_hash(data) for data in entries]):
            return False
    return True


def _cut(database: Database, log: Log, edge: Frontier) -> None:
    """Keep the part of a log that ends with `edge`, and forget the rest."""
    database.execute("DELETE FROM journal_entries WHERE log = ? AND seq >= ?", (log.row, edge.size))
    database.execute(
        "DELETE FROM journal_checkpoints WHERE log = ? AND size > ?", (log.row, edge.size)
    )
    database.execute("DELETE FROM journal_subtrees WHERE log = ?", (log.row,))
    leaves_by_subtree = (
        (number, _entries(database, log, number * SUBTREE, (number + 1) * SUBTREE))
        for number in range(edge.size // SUBTREE)
    )
    for number, entries in leaves_by_subtree:
        database.execute(
            "INSERT INTO journal_subtrees VALUES (?, ?, ?)",
            (log.row, number, root([leaf_hash(data) for data in entries])),
        )
    # A run must not go on writing a log whose end it has lost: that would be a fork.
    database.execute(
        "UPDATE journal_logs SET size = ?1, frontier = ?2, root = ?3, run = NULL,"
        " visible = min(visible, ?1), indexed = 0, last_time = (SELECT coalesce(max(time), 0)"
        " FROM journal_entries WHERE log = ?4), total_bytes = (SELECT coalesce(sum(length(data)),"
        " 0) FROM journal_entries WHERE log = ?4) WHERE id = ?4",
        (edge.size, bytes(edge), edge.root, log.row),
    )
