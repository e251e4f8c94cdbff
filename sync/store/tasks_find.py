"""Ids that begin as typed: nobody writes 64 hex digits by hand."""

from sync.store.database import Database

_ID_BYTES = 32


def find_tasks(database: Database, prefix: str, *, limit: int = 2) -> list[bytes]:
    """Up to `limit` distinct ids of tasks, sent or received, whose hex begins with `prefix`.

    Raises:
        ValueError: not hex digits.
    """
    even = prefix + "0" * (len(prefix) % 2)
    low = bytes.fromhex(even).ljust(_ID_BYTES, b"\x00")
    high = bytes.fromhex(prefix + "f" * (len(prefix) % 2)).ljust(_ID_BYTES, b"\xff")
    rows = database.rows(
        "SELECT id FROM tasks_sent WHERE id >= ?1 AND id <= ?2"
        " UNION SELECT id FROM tasks_received WHERE id >= ?1 AND id <= ?2 LIMIT ?3",
        (low, high, limit),
    )
    return [row[0] for row in rows]


def find_offered(database: Database, envelope_id: bytes) -> tuple[str, bytes, bytes] | None:
    """Kind, task and peer of an envelope that is still offered.

    Reads the outbox whole (at most 10,000 rows a peer): for people, who ask rarely.
    """
    found = database.row(
        "SELECT kind, task_id, peer FROM tasks_outbox WHERE id = ?", (envelope_id,)
    )
    return None if found is None else (found[0], found[1], found[2])
