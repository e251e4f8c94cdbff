"""The sender's half: a task is stored before it leaves, and kept until its result is here.

    submit ──▶ QUEUED ──accepted──▶ ACKNOWLEDGED ──result──▶ ended, answered
                 │ ▲ busy: later        │ └──new epoch of the peer: offered again
                 │                      └──expiry + grace──▶ ended: unknown
                 ├──expired, withdrawn──▶ EXPIRED, ended
                 └──refused, conflict──▶ REFUSED, ended

Every arrow moves the peer's account in the same transaction. A result that comes after all is
taken, whatever we had reported: the truth is better late.
"""

import hashlib
import math
from dataclasses import dataclass

from identity.caps import Scope
from identity.envelope import Envelope, Kind
from sync.clock import Moment
from sync.errors import (
    ChainTooLong,
    LifeTooLong,
    MalformedTask,
    MessageIdTaken,
    QueueFull,
    TaskTooLarge,
    UnknownTask,
)
from sync.proto import task_messages
from sync.proto.task_bodies import (
    BODY_BYTES_MAX,
    CANCEL_BODY,
    HOPS_MAX,
    Receipt,
    TaskBody,
    dump_task,
    is_begun_by_node,
    load_json,
    load_receipts,
    load_task,
)
from sync.proto.task_events import Changed, Effect, Refused
from sync.proto.task_limits import Limits
from sync.proto.task_ports import Sealer, TaskStore
from sync.proto.task_post import Post
from sync.proto.task_records import Origin, Outgoing, SentTask
from sync.proto.task_states import (
    Cancelled,
    Completed,
    Counted,
    Disposition,
    Failed,
    Outcome,
    Rejected,
)

_SWEEP_ROWS = 500  # in one transaction
_HEADINGS = {
    Counted.QUEUED: "queued",
    Counted.ACKNOWLEDGED: "acknowledged",
    Counted.EXPIRED: "expired",
    Counted.REFUSED: "refused",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody here wants done elsewhere.

    Attributes:
        parts: A2A parts as a JSON array.
        chain: the hops so far, oldest first, ours last; empty if a person asks.
        origin: the call that asks, if a task of ours does: it is submitted only once.
        message_id: of the A2A message; a new one if None. An origin decides it itself.
        expires_ms: wall clock; by default a day from now.
        scope: what it may use at most; None where it is this node's own work.
    """

    peer: bytes
    agent: str
    parts: str
    chain: tuple[str, ...] = ()
    origin: Origin | None = None
    message_id: str | None = None
    context_id: str | None = None
    expires_ms: int | None = None
    scope: Scope | None = None


def call_message_id(origin: Origin) -> str:
    """The message id of the task that this call makes: the same in every attempt."""
    named = b"akshi-mesh/call" + origin.task_id + origin.call.to_bytes(8, "big")
    return hashlib.sha256(named).hexdigest()


class Sending:
    """What we asked of others. Methods run inside the caller's transaction."""

    def __init__(self, store: TaskStore, author: Sealer, post: Post, limits: Limits) -> None:
        self._store = store
        self._author = author
        self._post = post
        self._limits = limits
        self._offered_at = math.inf  # commits of the store when all kept tasks were offered again

    def load(self) -> None:
        """Offer what was acknowledged again, once in a run of ours: the results may be lost here.

        After a power cut or from a backup our rows are older than what the peers know: they
        were told that we have results that we have no more.
        """
        commits = self._store.commits
        if commits <= self._offered_at:  # not yet, or in a transaction that failed
            for peer in self._store.peers():
                self._store.outbox.offer_kept(peer)
            self._offered_at = commits

    def submit(self, order: Order, now: Moment) -> tuple[bytes, list[Effect]]:
        """Store a task and offer it if there is a link; its id. See `Tasks.submit`."""
        message_id = order.message_id or self._author.nonce().hex()
        if order.origin is not None:
            message_id = call_message_id(order.origin)
            for same in self._store.sent.by_message_id(message_id):
                if same.origin == order.origin:
                    return same.id, []
        if len(order.chain) > HOPS_MAX + is_begun_by_node(order.chain):
            raise ChainTooLong(len(order.chain), hops_max=HOPS_MAX)
        message = task_messages.user_message(order.parts, message_id, order.context_id)
        task_messages.check_message(message)
        body = dump_task(TaskBody(order.agent, message_id, order.chain, message, order.scope))
        if len(body) > BODY_BYTES_MAX:
            raise TaskTooLarge(len(body), bytes_max=BODY_BYTES_MAX)
        load_task(body, self._author.public_key)  # what no peer would take is not sent
        body_hash = hashlib.sha256(body).digest()
        if order.message_id is not None:
            for same in self._store.sent.by_message_id(message_id):
                if (same.peer, same.agent) == (order.peer, order.agent):
                    if same.body_hash != body_hash:
                        raise MessageIdTaken(message_id, same.id)
                    return same.id, []
        expires_ms = self._expiry(order, now)
        self._require_room(order.peer, len(body))
        row, effects = self._post.put(
            Kind.TASK, body, peer=order.peer, now=now, until_ms=expires_ms
        )
        size = len(row.data)
        self._store.sent.add(
            SentTask(
                id=row.id,
                peer=order.peer,
                agent=order.agent,
                message_id=message_id,
                context_id=order.context_id,
                body_hash=body_hash,
                origin=order.origin,
                created_ms=now.wall_ms,
                expires_ms=expires_ms,
                size_bytes=size,
                outbox=row.number,
                is_named=order.origin is not None or order.message_id is not None,
            )
        )
        self._store.count(order.peer, sent=1, queued=1, queued_bytes=size)
        return row.id, effects

    def cancel(self, task_id: bytes, now: Moment) -> list[Effect]:
        """Withdraw what nobody acknowledged, ask the peer to stop the rest.

        A task on its way may have arrived although we know nothing of it, so the peer is
        told in either case; if it was done before that, its result still comes.
        """
        task = self._store.sent.get(task_id)
        if task is None:
            raise UnknownTask(task_id)
        if task.ended_ms is not None or task.cancel:
            return []
        if task.counted is Counted.QUEUED:
            outcome = Cancelled("withdrawn before the peer acknowledged it")
            self._end(task, Counted.EXPIRED, outcome, now)
        row, effects = self._post.put(
            Kind.CANCEL,
            CANCEL_BODY,
            peer=task.peer,
            now=now,
            until_ms=task.expires_ms + self._limits.result_grace_ms,
            about=task_id,
        )
        self._store.sent.set_cancel(task_id, row.number)
        return [Changed(task_id), *effects]

    def receipt(self, envelope: Envelope, now: Moment) -> list[Effect]:
        """The peer says what became of envelopes of ours."""
        effects: list[Effect] = []
        for line in load_receipts(envelope.body):
            outgoing = self._post.offered(envelope.author, line.id)
            if outgoing is None:
                continue  # settled long ago, or of another link: we offer it again
            if line.disposition is Disposition.BUSY:
                peer, reason = outgoing.peer, line.reason
                if self._post.delivery.rest(peer, outgoing.id, now.mono_s, reason):
                    effects.append(Refused(peer, f"not taken by the peer now: {reason}"))
            elif outgoing.kind is Kind.TASK:
                effects += self._task_answered(outgoing, line, now)
            else:
                self._post.drop(outgoing.peer, outgoing.number)
                if outgoing.kind is Kind.RESULT:
                    self._store.received.set_outbox(outgoing.task_id, None)
                    if line.disposition is Disposition.DONE:
                        self._post.witness.result_acknowledged(outgoing, envelope)
                else:
                    self._store.sent.set_cancel(outgoing.task_id, None)
        return effects + self._post.pump(envelope.author, now)

    def result(self, envelope: Envelope, now: Moment) -> list[Effect]:
        """The peer says how a task of ours ended; that acknowledges the task as well."""
        task_id = envelope.in_reply_to
        assert task_id is not None, "a result without in_reply_to is no envelope"
        text = load_json(envelope.body)
        state = task_messages.check_result(text, task_id.hex())
        task = self._store.sent.get(task_id)
        if task is None:
            disposition = Disposition.UNKNOWN
        elif task.peer != envelope.author:
            raise MalformedTask("a result from somebody we did not ask")
        else:
            disposition = Disposition.DONE
        self._post.receipts.note(envelope.author, envelope.id, disposition, now.mono_s)
        if task is None:
            return []
        self._post.witness.result_received(task, envelope, state)
        if task.answered:
            return []
        self._settle(task, Counted.ACKNOWLEDGED)
        self._store.sent.end(task_id, ended_ms=now.wall_ms, answered=True, reason="", result=text)
        return [Changed(task_id), *self._post.pump(task.peer, now)]

    def progress(self, envelope: Envelope) -> list[Effect]:
        """The peer says how a task of ours goes on; the latest word is kept."""
        task_id = envelope.in_reply_to
        assert task_id is not None, "progress without in_reply_to is no envelope"
        update = load_json(envelope.body)
        task_messages.check_update(update, task_id.hex())
        task = self._store.sent.get(task_id)
        if task is None or task.ended_ms is not None:
            return []
        if task.peer != envelope.author:
            raise MalformedTask("progress from somebody we did not ask")
        if envelope.issued_ms < task.progress_ms:
            return []
        self._store.sent.set_progress(task_id, update, envelope.issued_ms)
        return [Changed(task_id)]

    def hello(self, peer: bytes, epoch: bytes, now: Moment) -> list[Effect]:
        """A new run of the peer may have lost what it acknowledged: offer it again."""
        if self._store.peer(peer).epoch == epoch:
            return []
        self._store.set_epoch(peer, epoch)
        if self._store.outbox.offer_kept(peer):
            self._post.delivery.from_start(peer)
        return self._post.pump(peer, now)

    def sweep(self, now: Moment) -> list[Effect]:
        """End what nobody acknowledged in time, and what nobody answered long after it."""
        effects: list[Effect] = []
        clock_ms = self._post.clock_ms(now)
        for task in self._store.sent.overdue(Counted.QUEUED, clock_ms, _SWEEP_ROWS):
            outcome: Outcome = Failed("expired", "expired before the peer acknowledged it")
            effects += self._end(task, Counted.EXPIRED, outcome, now)
        late_ms = clock_ms - self._limits.result_grace_ms
        for task in self._store.sent.overdue(Counted.ACKNOWLEDGED, late_ms, _SWEEP_ROWS):
            outcome = Failed("unknown", "no result arrived; whether it was done is unknown")
            effects += self._end(task, Counted.ACKNOWLEDGED, outcome, now)
            self._post.witness.result_missed(task)
        if effects:
            self._post.clock_ms(now, exact=True)
        return effects

    def purge(self, now: Moment) -> None:
        """Forget ended tasks after a while; the account keeps their number."""
        before_ms = now.wall_ms - self._limits.finished_kept_ms
        self._store.sent.purge(before_ms, self._limits.finished_rows_max, _SWEEP_ROWS)

    def _expiry(self, order: Order, now: Moment) -> int:
        from_ms, until_ms = self._post.clock_ms(now), now.wall_ms + self._limits.life_ms_max
        expires_ms = order.expires_ms
        if expires_ms is None:
            # From the highest clock: a clock that was set back makes nothing stillborn.
            expires_ms = min(from_ms + self._limits.life_ms, until_ms)
        if not from_ms < expires_ms <= until_ms:
            raise LifeTooLong(expires_ms, from_ms=from_ms, until_ms=until_ms)
        return expires_ms

    def _require_room(self, peer: bytes, size: int) -> None:
        account = self._store.peer(peer)
        if (
            account.queued >= self._limits.outbox_rows_max
            or account.queued_bytes + size > self._limits.outbox_bytes_max
        ):
            raise QueueFull(rows=account.queued, size_bytes=account.queued_bytes)

    def _task_answered(self, outgoing: Outgoing, line: Receipt, now: Moment) -> list[Effect]:
        task = self._store.sent.get(outgoing.task_id)
        assert task is not None, "a task in the outbox has its row"
        match line.disposition:
            case Disposition.ACCEPTED | Disposition.DUPLICATE | Disposition.DONE:
                self._move(task, Counted.ACKNOWLEDGED)
                self._post.keep(outgoing)
                return [Changed(task.id)]
            case Disposition.EXPIRED:
                expired = Failed("expired", "expired before the peer had it")
                return self._end(task, Counted.EXPIRED, expired, now)
            case Disposition.CONFLICT:
                why = line.reason or "another task has this message id"
                return self._end(task, Counted.REFUSED, Rejected("conflict", why), now)
            case _:
                why = line.reason or "no reason given"
                return self._end(task, Counted.REFUSED, Rejected("refused", why), now)

    def _end(self, task: SentTask, counted: Counted, outcome: Outcome, now: Moment) -> list[Effect]:
        """Report an end that the peer's own result did not bring."""
        self._settle(task, counted)
        assert not isinstance(outcome, Completed), "only the peer can say that"
        self._store.sent.end(
            task.id,
            ended_ms=now.wall_ms,
            answered=False,
            reason=outcome.why,
            result=task_messages.result_task(task.id.hex(), task.context_id, outcome, now.wall_ms),
        )
        return [Changed(task.id)]

    def _settle(self, task: SentTask, counted: Counted) -> None:
        """Nothing of this task is offered any more."""
        self._move(task, counted)
        for number in (task.outbox, task.cancel_outbox):
            if number is not None:
                self._post.drop(task.peer, number)

    def _move(self, task: SentTask, counted: Counted) -> None:
        """From one heading of the account to another, row and numbers together."""
        if task.counted is counted:
            return
        changes = {_HEADINGS[task.counted]: -1, _HEADINGS[counted]: 1}
        if task.counted is Counted.QUEUED:
            changes["queued_bytes"] = -task.size_bytes
        self._store.sent.set_counted(task.id, counted)
        self._store.count(task.peer, **changes)
