"""Two-sided receipts: for each task between nodes, what both have signed about its end.

    who did it    signs a RESULT ──────────▶  who asked
                  ◀────────── RECEIPT that names the RESULT, signed by who asked

Each side keeps the other's envelope and writes one leaf once it has both. A signature that does
not come within an hour is a leaf as well; so is a second result that says something else.
Rows are bounded in number and bytes, and leave with the records that are too old to keep.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from akshi_mesh.audit.log import AuditLog, as_store_error
from identity.did import Did
from identity.envelope import Envelope
from sandbox.audit import AuditRecord, Event
from sync.proto import task_messages
from sync.proto.task_bodies import Receipt, load_json
from sync.proto.task_records import Outgoing, ReceivedTask, SentTask
from sync.proto.task_states import Disposition, TaskState
from sync.store.database import Database, Row

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS audit_receipts (
    number INTEGER PRIMARY KEY,
    peer BLOB NOT NULL,
    task_id BLOB NOT NULL,
    asked INTEGER NOT NULL,
    agent TEXT NOT NULL,
    state TEXT NOT NULL,
    request BLOB NOT NULL,
    answer BLOB NOT NULL,
    result_id BLOB NOT NULL,
    result BLOB NOT NULL,
    receipt_id BLOB NOT NULL,
    receipt BLOB NOT NULL,
    other BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    standing TEXT NOT NULL,
    UNIQUE (peer, task_id)
) STRICT
""",
    """
CREATE INDEX IF NOT EXISTS audit_receipts_open ON audit_receipts (at_ms) WHERE standing = 'open'
""",
)
COUNTERSIGN_MS: Final = 3_600_000  # then a missing signature is written down
ROWS_MAX: Final = 200_000
BYTES_MAX: Final = 256 << 20  # of envelopes; beyond, the oldest go, and their leaves stay
ROWS_A_TURN: Final = 500
UNSEALED_MAX: Final = 4_096  # results whose receipt was not sealed yet; they are offered again

OPEN, AGREED, LATE, CONTRADICTED = "open", "agreed", "late", "contradicted"
_COLUMNS = (
    "peer, task_id, asked, agent, state, request, answer, result_id, result, receipt_id,"
    " receipt, other, at_ms, standing"
)
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", ")[2:])
_STATE_PREFIX = "TASK_STATE_"


@dataclass(frozen=True, slots=True)
class Held:
    """What is kept of one task. `asked`: we asked for it, the peer did it.

    `request` and `answer` are SHA-256 of the bodies; ids and envelopes are empty until they are
    here. `other` is an envelope that contradicts `result`.
    """

    peer: bytes
    task_id: bytes
    asked: bool
    agent: str
    state: str
    request: bytes
    answer: bytes
    result_id: bytes
    result: bytes
    receipt_id: bytes
    receipt: bytes
    other: bytes
    at_ms: int
    standing: str

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What the leaf says; docs/spec/audit.md, "Two-sided receipts"."""
        return (
            ("peer", str(Did(self.peer))),
            ("role", "asked" if self.asked else "did"),
            ("request", self.request.hex()),
            ("answer", self.answer.hex()),
            ("result", self.result_id.hex()),
            ("receipt", self.receipt_id.hex()),
        )


class Receipts:
    """A `TaskWitness` over the node's database."""

    def __init__(
        self, database: Database, audit: AuditLog, *, me: bytes, wall_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._audit = audit
        self._me = me
        self._wall_ms = wall_ms
        self._unsealed: dict[bytes, bytes] = {}  # of a result that came in, to its task

    # --- TaskWitness, called in the engine's transaction ------------------------------------------

    def result_offered(self, task: ReceivedTask, offered: Outgoing, body: bytes) -> None:
        if task.peer == self._me:
            return
        answer = hashlib.sha256(body).digest()
        held = Held(
            *(task.peer, task.id, False, task.agent, state_of(body), task.body_hash, answer),
            *(offered.id, offered.data, b"", b"", b""),
            self._wall_ms(),
            OPEN,
        )
        # If it is agreed already, the peer has forgotten what it has signed.
        self._put(held, over=f"standing <> '{AGREED}'")

    def result_acknowledged(self, offered: Outgoing, receipt: Envelope) -> None:
        signed = (receipt.id, receipt.raw, offered.peer, offered.task_id, False, offered.id)
        self._sign(signed)

    def result_received(self, task: SentTask, result: Envelope, state: TaskState) -> None:
        if task.peer == self._me:
            return
        answer = hashlib.sha256(result.body).digest()
        held = Held(
            *(task.peer, task.id, True, task.agent, _word(state), task.body_hash, answer),
            *(result.id, result.raw, b"", b"", b""),
            self._wall_ms(),
            OPEN,
        )
        if not self._put(held, over="result = x''"):
            known = self._get(task.peer, task.id, asked=True)
            assert known is not None, "it was in the way"
            if known.answer != answer:
                self._contradicted(known, result)
                return
            if known.standing == AGREED:
                return
        if len(self._unsealed) >= UNSEALED_MAX:
            self._unsealed.pop(next(iter(self._unsealed)))
        self._unsealed[result.id] = task.id

    def receipt_sealed(
        self, peer: bytes, lines: Sequence[Receipt], receipt_id: bytes, data: bytes
    ) -> None:
        for line in lines:
            if line.disposition is not Disposition.DONE or line.id not in self._unsealed:
                continue
            task_id = self._unsealed.pop(line.id)
            self._sign((receipt_id, data, peer, task_id, True, line.id))

    def result_missed(self, task: SentTask) -> None:
        if task.peer == self._me or self._get(task.peer, task.id, asked=True) is not None:
            return
        missed = Held(
            task.peer,
            task.id,
            True,
            task.agent,
            "unknown",
            task.body_hash,
            *(b"", b"", b"", b"", b"", b""),
            self._wall_ms(),
            LATE,
        )
        self._leaf(Event.UNCOUNTERSIGNED, missed, "no result came")
        self._put(missed, over="result = x''")

    # --- what else is asked ---------------------------------------------------------------------

    def turn(self) -> bool:
        """Write down signatures that are overdue; whether there may be more."""
        before_ms = self._wall_ms() - COUNTERSIGN_MS
        with self._database.transaction():
            rows = self._database.rows(
                f"SELECT {_COLUMNS} FROM audit_receipts WHERE standing = '{OPEN}' AND at_ms <= ?"  # noqa: S608
                " ORDER BY at_ms LIMIT ?",
                (before_ms, ROWS_A_TURN),
            )
            for row in rows:
                held = _held(row)
                why = "no receipt was sent" if held.asked else "no receipt came"
                self._leaf(Event.UNCOUNTERSIGNED, held, why)
                self._stand(held, LATE)
        return len(rows) == ROWS_A_TURN

    def prune(self, before_ms: int) -> None:
        """Drop what is too old, and what is beyond the bounds, oldest first."""
        with self._database.transaction():
            count, size = self._database.rows(
                "SELECT count(*), coalesce(sum(length(result) + length(receipt)"
                " + length(other)), 0) FROM audit_receipts"
            )[0]
            surplus = max(count - ROWS_MAX, 0)
            if size > BYTES_MAX:
                surplus = max(surplus, count // 4)
            self._database.execute(
                "DELETE FROM audit_receipts WHERE at_ms < ? OR number IN"
                " (SELECT number FROM audit_receipts ORDER BY number LIMIT ?)",
                (before_ms, surplus),
            )

    def contradicted(self, held: Held, other: bytes, why: str) -> None:
        """The peer has signed `other`, which contradicts what we hold; once a task."""
        if held.standing == CONTRADICTED:
            return
        with self._database.transaction():
            self._leaf(Event.CONTRADICTED, held, why, (("other", _digest(other)),))
            self._database.execute(
                "UPDATE audit_receipts SET standing = ?, other = ?"
                " WHERE peer = ? AND task_id = ? AND asked = ?",
                (CONTRADICTED, other, held.peer, held.task_id, held.asked),
            )

    # --- inside -----------------------------------------------------------------------------------

    def _sign(self, signed: tuple[bytes, bytes, bytes, bytes, bool, bytes]) -> None:
        """Keep a receipt, and write the leaf: both sides have signed, if nothing says otherwise.

        `signed` is the receipt's id and bytes, the task's peer and id, our role, the result's id.
        """
        row = self._database.row(
            f"UPDATE audit_receipts SET receipt_id = ?, receipt = ?, standing = '{AGREED}'"  # noqa: S608
            " WHERE peer = ? AND task_id = ? AND asked = ? AND result_id = ?"
            f" AND standing <> '{AGREED}' AND NOT (asked AND standing = '{CONTRADICTED}')"
            f" RETURNING {_COLUMNS}",
            signed,
        )
        if row is not None:
            self._leaf(Event.RECEIPT, _held(row), "")

    def _contradicted(self, held: Held, result: Envelope) -> None:
        self.contradicted(held, result.raw, "a second result says something else")

    def _leaf(
        self, event: Event, held: Held, why: str, more: tuple[tuple[str, str], ...] = ()
    ) -> None:
        record = AuditRecord(
            at_ms=self._wall_ms(),
            event=event,
            agent="" if held.asked else held.agent,
            originator="",
            task_id=held.task_id,
            number=-1,
            function="",
            code=held.state,
            detail=why,
            request_hash=b"",
            facts=(*held.facts, *more),
        )
        with as_store_error():
            self._audit.record(record)

    def _stand(self, held: Held, standing: str) -> None:
        self._database.execute(
            "UPDATE audit_receipts SET standing = ? WHERE peer = ? AND task_id = ? AND asked = ?",
            (standing, held.peer, held.task_id, held.asked),
        )

    def _get(self, peer: bytes, task_id: bytes, *, asked: bool) -> Held | None:
        return one(self._database, peer, task_id, asked=asked)

    def _put(self, held: Held, *, over: str) -> bool:
        """Keep `held`, also in the place of a row of its role if `over` is true of that one."""
        values = (
            *(held.peer, held.task_id, held.asked, held.agent, held.state, held.request),
            *(held.answer, held.result_id, held.result, held.receipt_id, held.receipt),
            *(held.other, held.at_ms, held.standing),
        )
        self._database.execute(
            f"INSERT INTO audit_receipts ({_COLUMNS})"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            f" ON CONFLICT (peer, task_id) DO UPDATE SET {_REPLACED}"
            f" WHERE asked <> excluded.asked OR {over}",
            values,
        )
        return self._database.changes() > 0


def state_of(body: bytes) -> str:
    """The end that a RESULT tells: completed, failed, canceled or rejected."""
    return _word(task_messages.state_of(load_json(body)))


def _word(state: TaskState) -> str:
    return state.removeprefix(_STATE_PREFIX).lower()


def one(database: Database, peer: bytes, task_id: bytes, *, asked: bool) -> Held | None:
    """What is held of one task in one role."""
    row = database.row(
        f"SELECT {_COLUMNS} FROM audit_receipts WHERE peer = ? AND task_id = ? AND asked = ?",  # noqa: S608
        (peer, task_id, asked),
    )
    return None if row is None else _held(row)


def of_task(database: Database, task_id: bytes) -> list[Held]:
    """What is held of a task, whoever the peer is. Reads every row."""
    rows = database.rows(f"SELECT {_COLUMNS} FROM audit_receipts WHERE task_id = ?", (task_id,))  # noqa: S608
    return [_held(row) for row in rows]


def page(database: Database, peer: bytes, after: bytes, limit: int) -> list[Held]:
    """Tasks between us and `peer` behind the task `after`, in the order of their ids."""
    rows = database.rows(
        f"SELECT {_COLUMNS} FROM audit_receipts"  # noqa: S608
        " WHERE peer = ? AND task_id > ? ORDER BY task_id LIMIT ?",
        (peer, after, limit),
    )
    return [_held(row) for row in rows]


def _held(row: Row) -> Held:
    peer, task_id, asked, *rest = row
    return Held(peer, task_id, bool(asked), *rest)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
