"""Where approvals are kept: one table of the node's database.

A row is the canonical bytes of an `Approval`, with the few columns that are asked for. A row
that cannot be read is good for nothing: whoever asks is told so, and never gets a yes of it.
"""

from collections.abc import Iterable
from typing import Final

from sandbox.approval_life import MEMORY_MS, Approval, Standing
from sandbox.errors import MalformedApproval
from sync.store.database import Database

SCHEMA: Final = (
    """
CREATE TABLE IF NOT EXISTS approvals (
    id TEXT PRIMARY KEY,
    task_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    agent TEXT NOT NULL,
    capability TEXT NOT NULL,
    standing TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT, WITHOUT ROWID
""",
    "CREATE INDEX IF NOT EXISTS approvals_of_call ON approvals (task_id, number, changed_ms)",
    "CREATE INDEX IF NOT EXISTS approvals_of_agent ON approvals (agent, is_open, changed_ms)",
    "CREATE INDEX IF NOT EXISTS approvals_open ON approvals (expires_ms) WHERE is_open",
)
CLOSED_PER_AGENT_MAX: Final = 256  # the audit log has the others, for ever
CLOSED_MS_MAX: Final = 30 * 24 * 3_600_000


class ApprovalTable:
    """The rows. Writes belong in a transaction of the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, approval: Approval) -> None:
        """Write the row of `approval`, whether it was there or not."""
        subject = approval.subject
        self._database.execute(
            "INSERT OR REPLACE INTO approvals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                approval.id,
                approval.task_id,
                approval.number,
                subject.agent,
                subject.capability.value,
                approval.standing.value,
                int(approval.is_open),
                approval.expires_ms,
                approval.changed_ms,
                approval.to_cbor(),
            ),
        )

    def get(self, id: str) -> Approval | None:
        """The row called `id`.

        Raises:
            MalformedApproval: it is there and cannot be read.
        """
        found = self._database.value("SELECT record FROM approvals WHERE id = ?", (id,))
        return None if found is None else Approval.from_cbor(found)

    def readable(self, id: str) -> Approval | None:
        """As `get`, and None for a row that cannot be read."""
        found = self._read("SELECT record FROM approvals WHERE id = ?", (id,))
        return found[0] if found else None

    def called(self, prefix: str) -> list[str]:
        """The ids that begin so, at most two: one is an answer, two are a question."""
        rows = self._database.rows(
            "SELECT id FROM approvals WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
            (prefix, prefix + "\x7f"),
        )
        return [id for (id,) in rows]

    def last_of_call(self, task_id: bytes, number: int) -> Approval | None:
        """What this call asked last.

        Raises:
            MalformedApproval: it cannot be read.
        """
        found = self._database.value(
            "SELECT record FROM approvals WHERE task_id = ? AND number = ?"
            " ORDER BY changed_ms DESC, is_open DESC LIMIT 1",
            (task_id, number),
        )
        return None if found is None else Approval.from_cbor(found)

    def open_of_task(self, task_id: bytes) -> list[Approval]:
        return self._read("SELECT record FROM approvals WHERE task_id = ? AND is_open", (task_id,))

    def open(self) -> list[Approval]:
        """All that something may still follow from, oldest first."""
        return self._read("SELECT record FROM approvals WHERE is_open ORDER BY expires_ms, id", ())

    def overdue(self, now_ms: int) -> list[Approval]:
        """Those that are open and whose time is over."""
        return self._read(
            "SELECT record FROM approvals WHERE is_open AND expires_ms <= ?", (now_ms,)
        )

    def closed(self, *, limit: int) -> list[Approval]:
        """The newest that were decided, expired or withdrawn, newest first."""
        return self._read(
            "SELECT record FROM approvals WHERE NOT is_open ORDER BY changed_ms DESC LIMIT ?",
            (limit,),
        )

    def close_unreadable(self, now_ms: int) -> None:
        """What is overdue and still open could not be read: it must not look open for ever."""
        self._database.execute(
            "UPDATE approvals SET is_open = 0 WHERE is_open AND expires_ms <= ?", (now_ms,)
        )

    def next_expiry_ms(self) -> int | None:
        found: int | None = self._database.value(
            "SELECT MIN(expires_ms) FROM approvals WHERE is_open"
        )
        return found

    def count_open(self, agent: str) -> int:
        """How many of the agent's questions wait, for a person or to be used."""
        count: int = self._database.value(
            "SELECT COUNT(*) FROM approvals WHERE agent = ? AND is_open", (agent,)
        )
        return count

    def denied_ms(self, agent: str, capability: str, *, now_ms: int) -> list[int]:
        """When the agent was told no about this capability, since the last yes."""
        rows = self._database.rows(
            "SELECT standing, changed_ms FROM approvals WHERE agent = ?"
            " AND changed_ms > ? AND capability = ? ORDER BY changed_ms DESC",
            (agent, now_ms - MEMORY_MS, capability),
        )
        denied: list[int] = []
        for standing, changed_ms in rows:
            if standing in {Standing.APPROVED.value, Standing.USED.value}:
                break
            if standing == Standing.DENIED.value:
                denied.append(changed_ms)
        return denied

    def count_withdrawn(self, agent: str, *, since_ms: int) -> int:
        """How many of the agent's questions were taken back since then."""
        count: int = self._database.value(
            "SELECT COUNT(*) FROM approvals WHERE agent = ? AND NOT is_open AND changed_ms > ?"
            " AND standing = ?",
            (agent, since_ms, Standing.WITHDRAWN.value),
        )
        return count

    def high_ms(self) -> int:
        """The highest time of any row."""
        found: int | None = self._database.value("SELECT MAX(changed_ms) FROM approvals")
        return found or 0

    def prune(self, agent: str, *, now_ms: int) -> None:
        """Forget closed rows of `agent` that are too old or too many."""
        self._database.execute(
            "DELETE FROM approvals WHERE agent = ?1 AND NOT is_open AND (changed_ms < ?2 OR id IN"
            " (SELECT id FROM approvals WHERE agent = ?1 AND NOT is_open"
            " ORDER BY changed_ms DESC LIMIT -1 OFFSET ?3))",
            (agent, now_ms - CLOSED_MS_MAX, CLOSED_PER_AGENT_MAX),
        )

    def check(self) -> list[str]:
        """One line for every row that cannot be read, or is not what its columns say."""
        wrong: list[str] = []
        known = self._database.value("SELECT 1 FROM sqlite_schema WHERE name = 'approvals'")
        if known is None:  # a store that no node of this release has opened yet
            return wrong
        for id, standing, data in self._database.execute(
            "SELECT id, standing, record FROM approvals ORDER BY id"
        ):
            try:
                approval = Approval.from_cbor(data)
            except MalformedApproval as malformed:
                wrong.append(f"approval {id} cannot be read: {malformed.why}")
                continue
            if (approval.id, approval.standing.value) != (id, standing):
                wrong.append(f"approval {id} is not what its row says")
        return wrong

    def _read(self, sql: str, params: Iterable[object]) -> list[Approval]:
        """What can be read; the rest is for `check`, and nobody gets a yes of it."""
        found: list[Approval] = []
        for (data,) in self._database.rows(sql, tuple(params)):
            try:
                found.append(Approval.from_cbor(data))
            except MalformedApproval:
                continue
        return found
