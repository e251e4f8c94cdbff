"""The operator's side: questions of other nodes, and our answers until they have arrived.

What a peer asks is kept as it told it last, within bounds that a peer cannot push: what is
too much is turned away, and its own time is over soon. An answer is signed once, when the
operator gives it, kept on disk before it leaves, sent again at each link and every few
seconds, and dropped when the asking node says that it has counted, why it has not, or when
the question is over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

import structlog
import trio

from akshi_mesh.approvals.errors import MalformedAnswer, UnknownApproval
from akshi_mesh.approvals.message import Answer, News
from identity.did import Did
from identity.envelope import Envelope
from sandbox.approval_life import Approval, Standing
from sandbox.approvals import TIMEOUT_S_MAX
from sandbox.errors import ApprovalClosed, MalformedApproval, OtherSubject
from sync.errors import StoreBusy, StoreFull, StoreReadOnly
from sync.store.database import Database

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS approvals_seen (
    peer BLOB NOT NULL,
    id TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    record BLOB NOT NULL,
    refusal TEXT NOT NULL,
    answer BLOB,
    approves INTEGER,
    PRIMARY KEY (peer, id)
) STRICT, WITHOUT ROWID
"""
PER_PEER_MAX: Final = 256  # 64 agents with 8 questions have more; then the peer tells us later
KEPT_MS: Final = 24 * 3_600_000  # after a question is over
AHEAD_MS_MAX: Final = TIMEOUT_S_MAX * 1_000 + 10 * 60_000  # of our clock, for its end
RETRY_S: Final = 10.0  # between two sendings of an answer that nobody has confirmed
IDLE_S: Final = 600.0  # between two looks for what is long over
_COLUMNS: Final = "peer, record, refusal, approves, answer IS NOT NULL"

log = structlog.get_logger()


class Seal(Protocol):
    """Sign an answer as this node; what only the operator's own command calls."""

    def __call__(self, peer: bytes, answer: Answer, *, expires_ms: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """A question of another node, as that node told it last.

    `approves` is what we said, or None; `waits` until that node has said that it took it, and
    `refusal` is what it said why not.
    """

    peer: bytes
    approval: Approval
    refusal: str
    approves: bool | None
    waits: bool


class SeenQuestions:
    """Questions that peers asked us, and what we said."""

    def __init__(
        self,
        database: Database,
        *,
        me: str,
        seal: Seal,
        send: Callable[[bytes, bytes], bool],
        now_ms: Callable[[], int],
    ) -> None:
        """`send` takes a peer and an envelope; `me` is our own DID."""
        self._database = database
        self._me = me
        self._seal = seal
        self._send = send
        self._now_ms = now_ms
        self._answered = trio.Event()
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` when something has changed. It must not raise."""
        self._listeners.append(listener)

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Send answers until they have arrived, and forget what is long over."""
        task_status.started()
        while True:
            try:
                self._forget()
                waiting = self._database.rows(
                    "SELECT DISTINCT peer FROM approvals_seen WHERE answer IS NOT NULL"
                )
            except (StoreFull, StoreReadOnly, StoreBusy) as trouble:
                log.warning("approval.trouble", why=str(trouble), hint=trouble.hint)
                pause_s = RETRY_S
            else:
                for (peer,) in waiting:
                    self.go_on(peer)
                pause_s = RETRY_S if waiting else IDLE_S
            with trio.move_on_after(pause_s):
                await self._answered.wait()
            self._answered = trio.Event()

    def go_on(self, peer: bytes) -> None:
        """Send `peer` the answers that have not arrived; its link came up or has room."""
        for (answer,) in self._database.rows(
            "SELECT answer FROM approvals_seen WHERE peer = ? AND answer IS NOT NULL", (peer,)
        ):
            if not self._send(peer, answer):
                return

    def take(self, peer: bytes, envelope: Envelope) -> str | None:
        """Take what `peer` tells of one of its questions. Why it was turned away, or None.

        Raises:
            MalformedAnswer: no correct node sends this.
            StoreError: it could not be kept; it comes again.
        """
        news = News.from_cbor(envelope.body)
        approval, now_ms = news.approval, self._now_ms()
        if approval.expires_ms > now_ms + AHEAD_MS_MAX:
            raise MalformedAnswer("a question that ends too far ahead")
        before = self.find(peer, approval.id)
        if before is not None and not _follows(approval, before.approval):
            return None  # older than what we know
        if before is None and self._count(peer) >= PER_PEER_MAX:
            return f"more than {PER_PEER_MAX} questions wait here already"
        self._keep(peer, news, before)
        if before is None and approval.at(now_ms).standing is Standing.PENDING:
            log.warning(
                "approval.seen",
                did=str(Did(peer)),
                approval=approval.id,
                agent=approval.subject.agent,
                what=approval.summary,
                hint=f"akshi-node approvals show {approval.id}",
            )
        self._tell()
        return None

    def answer(self, peer: bytes, id: str, *, approves: bool, subject: bytes, note: str) -> Seen:
        """Sign our answer, keep it, send it. Only the operator's own command comes here.

        Raises:
            UnknownApproval: that peer asked no such thing.
            OtherSubject: it asks something else than what the operator has seen.
            ApprovalClosed: it is over.
        """
        seen = self.find(peer, id)
        if seen is None:
            raise UnknownApproval(id)
        approval = seen.approval.at(self._now_ms())
        if approval.subject.hash != subject:
            raise OtherSubject(id)
        if approval.standing is not Standing.PENDING:
            raise ApprovalClosed(id, state=approval.standing.value)
        answer = Answer(id, approval.subject.hash, approves, note)
        data = self._seal(peer, answer, expires_ms=approval.expires_ms)
        with self._database.transaction(fsync=True):
            self._database.execute(
                "UPDATE approvals_seen SET answer = ?, approves = ?, refusal = ''"
                " WHERE peer = ? AND id = ?",
                (data, int(approves), peer, id),
            )
        self._send(peer, data)
        self._answered.set()
        self._tell()
        return Seen(peer, approval, "", approves, waits=True)

    def find(self, peer: bytes, id: str) -> Seen | None:
        found = self._read("WHERE peer = ? AND id = ?", (peer, id))
        return found[0] if found else None

    def called(self, prefix: str) -> list[tuple[bytes, str]]:
        """Who asked what under an id that begins so; at most two."""
        return [
            (peer, id)
            for peer, id in self._database.rows(
                "SELECT peer, id FROM approvals_seen WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
                (prefix, prefix + "\x7f"),
            )
        ]

    def all(self) -> list[Seen]:
        """What is kept, the next to end first."""
        return self._read("ORDER BY expires_ms, peer, id", ())

    def _keep(self, peer: bytes, news: News, before: Seen | None) -> None:
        approval = news.approval
        approves = before.approves if before else None
        answer = self._waiting(peer, approval.id)
        cast = next((v for v in approval.votes if v.operator == self._me), None)
        has_counted = cast is not None and approves is not None and cast.approves == approves
        if has_counted or news.refusal or not approval.is_open:
            answer = None
        if cast is not None and answer is None:
            approves = cast.approves
        with self._database.transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO approvals_seen VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    peer,
                    approval.id,
                    int(approval.is_open),
                    approval.expires_ms,
                    approval.to_cbor(),
                    news.refusal,
                    answer,
                    None if approves is None else int(approves),
                ),
            )

    def _waiting(self, peer: bytes, id: str) -> bytes | None:
        found: bytes | None = self._database.value(
            "SELECT answer FROM approvals_seen WHERE peer = ? AND id = ?", (peer, id)
        )
        return found

    def _count(self, peer: bytes) -> int:
        count: int = self._database.value(
            "SELECT COUNT(*) FROM approvals_seen WHERE peer = ?", (peer,)
        )
        if count >= PER_PEER_MAX:  # what is over makes room for what is not
            with self._database.transaction():
                self._database.execute(
                    "DELETE FROM approvals_seen"
                    " WHERE peer = ? AND (NOT is_open OR expires_ms <= ?)",
                    (peer, self._now_ms()),
                )
                count -= self._database.changes()
        return count

    def _forget(self) -> None:
        now_ms = self._now_ms()
        with self._database.transaction():
            self._database.execute(
                "UPDATE approvals_seen SET answer = NULL"
                " WHERE answer IS NOT NULL AND expires_ms <= ?",
                (now_ms,),
            )
            self._database.execute(
                "DELETE FROM approvals_seen WHERE expires_ms <= ?", (now_ms - KEPT_MS,)
            )

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _read(self, where: str, params: tuple[object, ...]) -> list[Seen]:
        found: list[Seen] = []
        for peer, record, refusal, approves, waits in self._database.rows(
            f"SELECT {_COLUMNS} FROM approvals_seen {where}",  # noqa: S608 - our own words
            params,
        ):
            try:
                approval = Approval.from_cbor(record)
            except MalformedApproval:
                continue  # nothing is answered that cannot be shown
            said = None if approves is None else bool(approves)
            found.append(Seen(peer, approval, refusal, said, waits=bool(waits)))
        return found


def _follows(after: Approval, before: Approval) -> bool:
    """Whether `after` may be what became of `before`: the same question, and not older."""
    is_same = after.subject.hash == before.subject.hash and after.expires_ms == before.expires_ms
    reopens = after.standing is Standing.PENDING and before.standing is not Standing.PENDING
    revives = after.is_open and not before.is_open
    return is_same and after.changed_ms >= before.changed_ms and not (reopens or revives)
