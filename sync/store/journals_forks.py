"""Which part of an author's logs is in the view when the author has forked one of them."""

from sync.fork_proof import ForkProof
from sync.journal import LogName
from sync.proto.journal_store import Log
from sync.store.database import Database


class Forks:
    """Freezes logs, and keeps `visible` true to the proofs that are stored."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def freeze(self, log: Log, proof: ForkProof, *, holds_common: bool) -> None:
        """Store a proof that says more than the one we had, and cut the log where it says."""
        size, edge, total = log.size, log.frontier, log.total_bytes
        if holds_common and proof.frontier is not None and proof.index < size:
            size, edge = proof.index, proof.frontier
            total = self._db.value(
                "SELECT coalesce(sum(length(data)), 0) FROM journal_entries"
                " WHERE log = ? AND seq < ?",
                (log.row, size),
            )
        self._db.execute(
            "INSERT OR REPLACE INTO journal_forks VALUES (?, ?, ?, ?, ?, 0, ?)",
            (
                log.row,
                log.name.author,
                proof.index,
                proof.rootless,
                proof.frontier is None,
                proof.raw,
            ),
        )
        self._db.execute(
            "UPDATE journal_logs SET frozen_at = ?, disputed = ?, size = ?, frontier = ?, root = ?,"
            " total_bytes = ? WHERE id = ?",
            (proof.index, not holds_common, size, bytes(edge), edge.root, total, log.row),
        )
        self._show_all(log.name)

    def accept(self, author: bytes) -> None:
        """The operator has seen the proofs we hold: later logs of this author count again."""
        self._db.execute("UPDATE journal_forks SET accepted = 1 WHERE author = ?", (author,))
        for (name,) in self._db.rows(
            "SELECT DISTINCT n.name FROM journal_logs l JOIN journal_names n ON n.id = l.journal"
            " WHERE l.author = ?",
            (author,),
        ):
            self._show_all(LogName(name, author, bytes(16)))

    def show(self, row: int, name: LogName) -> None:
        """A log has grown."""
        if self._db.value("SELECT 1 FROM journal_forks WHERE author = ?", (name.author,)):
            self._show_all(name)
        else:
            self._db.execute("UPDATE journal_logs SET visible = size WHERE id = ?", (row,))

    def _show_all(self, name: LogName) -> None:
        """What all nodes that hold the same proofs decide alike, whatever came first.

        A forked log shows what is common. Any other log of this author in this journal
        shows only if each log that forked (and was not accepted) names it as coming
        before: whoever forks could else go on under a new epoch.
        """
        logs = self._db.rows(
            "SELECT l.id, l.epoch, l.previous_epoch, f.fork_index, f.rootless, f.accepted,"
            " l.disputed"
            " FROM journal_logs l LEFT JOIN journal_forks f ON f.log = l.id"
            " WHERE l.author = ? AND l.journal = (SELECT id FROM journal_names WHERE name = ?)",
            (name.author, name.journal),
        )
        previous = {epoch: before for _, epoch, before, *_ in logs}
        open_forks = [
            (epoch, rootless)
            for _, epoch, _, at, rootless, ok, _ in logs
            if at is not None and not ok
        ]
        certain = [
            _ancestors(epoch, {} if rootless else previous) for epoch, rootless in open_forks
        ]
        for row, epoch, _, fork_index, _, _, disputed in logs:
            others = [
                before
                for (forked, _), before in zip(open_forks, certain, strict=True)
                if forked != epoch
            ]
            shown = all(epoch in before for before in others)
            limit: int | None = fork_index
            if not shown or disputed:
                limit = 0
            self._db.execute(
                "UPDATE journal_logs SET visible = min(size, coalesce(?, size)) WHERE id = ?",
                (limit, row),
            )


def _ancestors(epoch: bytes, previous: dict[bytes, bytes | None]) -> set[bytes]:
    found: set[bytes] = set()
    before = previous.get(epoch)
    while before is not None and before not in found:
        found.add(before)
        before = previous.get(before)
    return found
