"""Everything about tasks in the node's database: the engine asks, nothing is decided here."""
# ruff: noqa: S608 - what is put into the statements is a constant of this file

from sync.proto.task_records import PeerLedger
from sync.store.calls import Calls
from sync.store.database import Database
from sync.store.tasks_outbox import Outbox
from sync.store.tasks_received import ReceivedTasks
from sync.store.tasks_sent import SentTasks

_ACCOUNT = (
    "sent, acknowledged, expired, refused, queued, queued_bytes, received, owed, owed_bytes,"
    " purged_through_ms, epoch"
)
_COUNTERS = frozenset(
    {
        *("sent", "acknowledged", "expired", "refused", "queued", "queued_bytes"),
        *("received", "owed", "owed_bytes"),
    }
)


class TaskTables:
    """The `TaskStore` of the engine. Every method runs in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        """`database` was opened with `sync.store.tasks_schema.SCHEMA` among its schemas."""
        self._db = database
        self.sent = SentTasks(database)
        self.received = ReceivedTasks(database)
        self.outbox = Outbox(database)
        self.calls = Calls(database)
        self._updates: dict[tuple[str, ...], str] = {}

    @property
    def commits(self) -> int:
        return self._db.commits

    def peer(self, peer: bytes) -> PeerLedger:
        """The account of `peer`; an empty one if we never had to do with each other."""
        row = self._db.row(f"SELECT {_ACCOUNT} FROM tasks_peers WHERE peer = ?", (peer,))
        return PeerLedger() if row is None else PeerLedger(*row)

    def peers(self) -> list[bytes]:
        return [row[0] for row in self._db.rows("SELECT peer FROM tasks_peers ORDER BY peer")]

    def count(self, peer: bytes, **changes: int) -> None:
        """Add to the counters of the peer's account."""
        names = tuple(changes)
        sql = self._updates.get(names)
        if sql is None:
            assert _COUNTERS.issuperset(names), "only counters are counted"
            sums = ", ".join(f"{name} = {name} + ?" for name in names)
            sql = self._updates[names] = f"UPDATE tasks_peers SET {sums} WHERE peer = ?"
        self._db.execute(sql, (*changes.values(), peer))
        if not self._db.changes():
            self._db.execute("INSERT INTO tasks_peers (peer) VALUES (?)", (peer,))
            self._db.execute(sql, (*changes.values(), peer))

    def set_epoch(self, peer: bytes, epoch: bytes) -> None:
        self._db.execute(
            "INSERT INTO tasks_peers (peer, epoch) VALUES (?1, ?2)"
            " ON CONFLICT DO UPDATE SET epoch = ?2",
            (peer, epoch),
        )

    def raise_purged(self, peer: bytes, through_ms: int) -> None:
        self._db.execute(
            "UPDATE tasks_peers SET purged_through_ms = max(purged_through_ms, ?) WHERE peer = ?",
            (through_ms, peer),
        )

    def clock_high_ms(self) -> int:
        high_ms: int = self._db.value("SELECT high_ms FROM tasks_clock")
        return high_ms

    def raise_clock(self, wall_ms: int) -> None:
        self._db.execute("UPDATE tasks_clock SET high_ms = max(high_ms, ?)", (wall_ms,))

    def forget_calls(self, task_id: bytes) -> None:
        self.calls.forget(task_id)
