"""The receiver's half: a task is stored before it is acknowledged, and done once.

    arrived ──▶ waiting ──slot free──▶ running ──outcome──▶ finished ──▶ result offered
       │           │  ▲                   │                    ▲         until acknowledged
       │           │  └──attempt lost─────┘                    │
       │           └──cancelled, expired───────────────────────┘
       ├──refused, conflict──▶ remembered, and answered the same way next time
       └──busy, expired──▶ nothing stored

"Running" is memory only: after a restart an unfinished task is simply started again, and its
remembered calls make sure that nothing happens twice. The row stays until the task has expired, so
that a copy of it finds the answer and not the agent.
"""

from dataclasses import replace

from identity.did import Did
from identity.envelope import Envelope, Kind
from sync.clock import Moment
from sync.errors import MalformedTask
from sync.proto import task_messages
from sync.proto.task_bodies import BODY_BYTES_MAX, dump_json, load_cancel
from sync.proto.task_events import (
    CancelAttempt,
    Changed,
    DropStaged,
    Effect,
    Refused,
    StartAttempt,
)
from sync.proto.task_limits import Limits
from sync.proto.task_offer import Offer
from sync.proto.task_ports import TaskPolicy, TaskStore
from sync.proto.task_post import Post
from sync.proto.task_records import Outgoing, ReceivedTask
from sync.proto.task_states import Cancelled, Completed, Disposition, Failed, Outcome, Rejected

RESULT_BYTES_MAX = BODY_BYTES_MAX - 2_048  # ids, state and time of the A2A Task around the parts
WHY_CHARACTERS_MAX = 2_000  # of the sentence about a failure; beyond: cut
_PURGE_ROWS = 500  # in one transaction


class Receiving:
    """What others asked of us. Methods run inside the caller's transaction."""

    def __init__(
        self, store: TaskStore, policy: TaskPolicy, post: Post, limits: Limits, *, me: bytes
    ) -> None:
        self._store = store
        self._me = me
        self._policy = policy
        self._post = post
        self._limits = limits
        self._ready: set[str] = set()
        # Task to agent and the store's count of commits when it was started: an attempt whose
        # transaction failed was never begun.
        self._running: dict[bytes, tuple[str, int]] = {}
        # Rows of an agent and a peer up to this number were begun; they are not read again for
        # each start.
        self._begun: dict[str, dict[bytes, int]] = {}
        self._turn: dict[str, bytes] = {}  # whose task the agent was given last

    def load(self, now: Moment) -> list[Effect]:
        """Start what should run and does not."""
        self.rolled_back()
        self._begun.clear()
        effects: list[Effect] = []
        for agent in sorted(self._ready):
            effects += self._start(agent, now)
        return effects

    def rolled_back(self) -> None:
        """Attempts begun in the transaction that failed were never begun."""
        commits = self._store.commits
        for task_id, (_, begun_at) in list(self._running.items()):
            if begun_at >= commits:
                del self._running[task_id]

    def is_running(self, task_id: bytes) -> bool:
        return task_id in self._running

    def is_ready(self, agent: str) -> bool:
        return agent in self._ready

    # --- envelopes ------------------------------------------------------------------------------

    def task(self, envelope: Envelope, now: Moment) -> list[Effect]:
        """A peer offers a task, for the first time or again."""
        offer = Offer.of(envelope)
        known = self._store.received.get(envelope.id)
        if known is not None:
            return self._again(known, now)
        refusal = self._refusal(envelope, now)
        if refusal is not None:
            self._note(envelope, *refusal, now)
            return []
        agent = offer.body.agent
        same = self._store.received.by_message_id(envelope.author, agent, offer.body.message_id)
        if same is not None:
            return self._same_message(same, offer, now)
        reason = self._policy.may_task(envelope.author, agent)
        if reason is not None:
            # Remembered: a copy that is still under way must not be done after all when
            # the operator has allowed it meanwhile, for its sender was told no.
            return self._turn_away(offer, Disposition.REFUSED, reason, now)
        if not self._has_room(envelope.author, agent):
            self._note(envelope, Disposition.BUSY, "its queue is full", now)
            return []
        self._add(offer.row(now))
        self._note(envelope, Disposition.ACCEPTED, "", now)
        return self._start(agent, now)

    def cancel(self, envelope: Envelope, now: Moment) -> list[Effect]:
        """A peer wants a task of its own stopped."""
        load_cancel(envelope.body)
        task_id = envelope.in_reply_to
        assert task_id is not None, "a cancel without in_reply_to is no envelope"
        task = self._store.received.get(task_id)
        if task is None:
            self._note(envelope, Disposition.UNKNOWN, "", now)
            return []
        if task.peer != envelope.author:
            raise MalformedTask("a cancel from somebody who did not ask for it")
        self._note(envelope, Disposition.DONE, "", now)
        return self._stop(task, "cancelled by its sender", now)

    # --- attempts -------------------------------------------------------------------------------

    def agent_ready(self, agent: str, now: Moment) -> list[Effect]:
        self._ready.add(agent)
        return self._start(agent, now)

    def agent_stopped(self, agent: str) -> None:
        self._ready.discard(agent)

    def attempt_ended(self, task_id: bytes, outcome: Outcome, now: Moment) -> list[Effect]:
        """The answer, or why there is none; stored, and from now on offered to the sender."""
        if self._running.pop(task_id, None) is None:
            return []  # begun in a transaction that failed, or told twice
        task = self._store.received.get(task_id)
        assert task is not None, "an unfinished task is not purged"
        if task.finished_ms is not None:
            return []
        if isinstance(outcome, Cancelled):
            outcome = Cancelled(task.reason or outcome.why)
        return [*self._finish(task, outcome, now), *self._start(task.agent, now)]

    def end_found(self, task_id: bytes, outcome: Outcome, now: Moment) -> list[Effect]:
        """As `attempt_ended`, of a run that died; nothing if that was told already."""
        assert task_id not in self._running, "ends are found before agents are ready"
        task = self._store.received.get(task_id)
        if task is None or task.finished_ms is not None:
            return []
        return self._finish(task, outcome, now)

    def attempt_lost(self, task_id: bytes, now: Moment) -> list[Effect]:
        agent, _ = self._running.pop(task_id, ("", 0))
        self._begun.pop(agent, None)
        return self._start(agent, now) if agent else []

    def trust_lost(self, peer: bytes, now: Moment) -> list[Effect]:
        """Stop what the peer asked for, itself or through agents here; it may read why later."""
        effects: list[Effect] = []
        rows, lost = self._store.received, f"{Did(peer)}/"
        for task_id in (*rows.unfinished_of(peer), *rows.unfinished_of(self._me)):
            task = rows.get(task_id)
            assert task is not None, "it was listed in this transaction"
            if task.peer == peer or any(f"{hop}/".startswith(lost) for hop in task.chain):
                effects += self._stop(task, "its sender is no longer trusted", now)
        return effects

    def sweep(self, now: Moment) -> list[Effect]:
        """Turn down what waited past its expiry. What runs is its runner's to stop."""
        effects: list[Effect] = []
        for task_id in self._store.received.overdue(self._post.clock_ms(now)):
            if task_id not in self._running:
                task = self._store.received.get(task_id)
                assert task is not None, "it was listed in this transaction"
                effects += self._expire(task, now)
        return effects

    def purge(self, now: Moment) -> None:
        """Forget what has expired and is settled; what expires before it is refused for good."""
        clock_ms = self._post.clock_ms(now, exact=True)
        for peer, (rows, through_ms) in self._store.received.purge(clock_ms, _PURGE_ROWS).items():
            self._begun.clear()  # SQLite gives the numbers of deleted rows to new ones
            self._store.raise_purged(peer, through_ms)
            self._store.count(peer, received=-rows)
        for outgoing in self._store.outbox.overdue(clock_ms, _PURGE_ROWS):
            self._post.drop(outgoing.peer, outgoing.number)
            if outgoing.kind is Kind.RESULT:
                self._store.received.set_outbox(outgoing.task_id, None)
            else:
                self._store.sent.set_cancel(outgoing.task_id, None)

    # --- how a task is taken in -----------------------------------------------------------------

    def _refusal(self, envelope: Envelope, now: Moment) -> tuple[Disposition, str] | None:
        """Why the task is turned away without a trace, if it is."""
        account = self._store.peer(envelope.author)
        assert envelope.expires_ms is not None, "a task without expiry is no envelope"
        if envelope.expires_ms <= max(self._post.clock_ms(now), account.purged_through_ms):
            self._post.clock_ms(now, exact=True)
            return Disposition.EXPIRED, "expired before it arrived"
        if account.received >= self._limits.received_rows_max:
            return Disposition.BUSY, "too many tasks of yours have not expired yet"
        if (
            account.owed >= self._limits.outbox_rows_max
            or account.owed_bytes >= self._limits.outbox_bytes_max
        ):
            return Disposition.BUSY, "too many results wait for your acknowledgement"
        return None

    def _again(self, known: ReceivedTask, now: Moment) -> list[Effect]:
        """A copy of what we have: the same answer, and the result if there is one."""
        disposition, reason = Disposition.DUPLICATE, ""
        effects: list[Effect] = []
        if known.disposition is not None:
            disposition, reason = Disposition(known.disposition), known.reason
        elif known.finished_ms is not None:
            disposition = Disposition.DONE
            if known.outbox is None:
                # It acknowledged the result once, and lost it since: an older copy of its
                # store, or a power cut.
                assert known.result is not None, "what is finished has a result"
                row, effects = self._offer_result(known, known.result, now)
                self._store.received.set_outbox(known.id, row.number)
        self._post.receipts.note(known.peer, known.id, disposition, now.mono_s, reason)
        return effects

    def _same_message(self, same: ReceivedTask, offer: Offer, now: Moment) -> list[Effect]:
        """Another envelope with a message id that is taken."""
        if same.body_hash != offer.body_hash:
            reason = f"message id of task {same.id.hex()}, with other words"
            return self._turn_away(offer, Disposition.CONFLICT, reason, now)
        if same.finished_ms is None:
            reason = f"the same message is being worked on as task {same.id.hex()}"
            self._note(offer.envelope, Disposition.BUSY, reason, now)
            return []
        # Done once already: this envelope gets an answer of its own, not a second run.
        assert same.result is not None, "what was not turned away has a result"
        task = offer.row(now, copy=True)
        result = task_messages.readdressed(same.result, task.id.hex())
        self._add(task)
        row, effects = self._offer_result(task, result, now)
        self._store.received.finish(
            task.id,
            finished_ms=now.wall_ms,
            reason=same.reason,
            result=result,
            outbox=row.number,
        )
        self._note(offer.envelope, Disposition.DONE, "", now)
        return effects

    def _has_room(self, peer: bytes, agent: str) -> bool:
        """Whether one more waits for the agent; no peer fills the queue, nor all of them."""
        waiting = self._store.received.unfinished(agent)
        if peer == self._me:
            return waiting < self._limits.waiting_max
        share = self._limits.waiting_share
        return waiting < self._limits.waiting_of_peers and (
            waiting < share or self._store.received.unfinished(agent, peer) < share
        )

    def _turn_away(
        self, offer: Offer, disposition: Disposition, reason: str, now: Moment
    ) -> list[Effect]:
        """Say no, now and whenever it comes again."""
        row = offer.row(now, copy=True)
        self._add(
            replace(
                row,
                finished_ms=now.wall_ms,
                disposition=disposition,
                reason=reason,
            )
        )
        self._note(offer.envelope, disposition, reason, now)
        return [Refused(row.peer, reason)]

    def _add(self, task: ReceivedTask) -> None:
        self._store.received.add(task)
        self._store.count(task.peer, received=1)

    def _note(self, envelope: Envelope, disposition: Disposition, reason: str, now: Moment) -> None:
        self._post.receipts.note(envelope.author, envelope.id, disposition, now.mono_s, reason)

    # --- how it goes on and ends ----------------------------------------------------------------

    def _start(self, agent: str, now: Moment) -> list[Effect]:
        """Fill the free slots of the agent: each peer in turn, of each what waited longest."""
        effects: list[Effect] = []
        while agent in self._ready:
            running = sum(1 for name, _ in self._running.values() if name == agent)
            row = self._next(agent) if running < self._policy.slots(agent) else None
            if row is None:
                break
            effects += self._begin(row, now)
        return effects

    def _next(self, agent: str) -> ReceivedTask | None:
        """What is begun next: of the peer whose turn it is, or of the next that has something."""
        peers = self._store.received.waiting_peers(agent)
        last = self._turn.get(agent, b"")
        for peer in sorted(peers, key=lambda peer: (peer <= last, peer)):
            begun = self._begun.setdefault(agent, {})
            while rows := self._store.received.waiting(agent, peer, begun.get(peer, 0), 1):
                ((begun[peer], row),) = rows
                if row.id not in self._running:
                    self._turn[agent] = peer
                    return row
        return None

    def _begin(self, row: ReceivedTask, now: Moment) -> list[Effect]:
        if row.cancel:
            return self._finish_idle(row, Cancelled(row.reason), now)
        if row.expires_ms <= self._post.clock_ms(now):
            return self._expire(row, now)
        reason = self._policy.may_task(row.peer, row.agent)
        if reason is not None:  # its right went while it waited, perhaps while no node ran
            return self._finish_idle(row, Cancelled(f"not allowed any more: {reason}"), now)
        self._running[row.id] = (row.agent, self._store.commits)
        return [
            StartAttempt(
                row.id, row.agent, row.peer, row.chain, row.message, row.expires_ms, row.scope
            ),
            Changed(row.id),
        ]

    def _stop(self, task: ReceivedTask, why: str, now: Moment) -> list[Effect]:
        if task.finished_ms is not None:
            return []
        if task.id not in self._running:
            return self._finish_idle(task, Cancelled(why), now)
        self._store.received.set_cancel(task.id, why)
        return [CancelAttempt(task.id)]

    def _expire(self, task: ReceivedTask, now: Moment) -> list[Effect]:
        self._post.clock_ms(now, exact=True)
        why = "expired before it was started"
        return self._finish_idle(task, Rejected("expired", why), now)

    def _finish_idle(self, task: ReceivedTask, outcome: Outcome, now: Moment) -> list[Effect]:
        """End what does not run; an attempt of an earlier run may have left something."""
        return [DropStaged(task.id), *self._finish(task, outcome, now)]

    def _finish(self, task: ReceivedTask, outcome: Outcome, now: Moment) -> list[Effect]:
        """Result, state and outbox in one transaction; the calls need no memory any more."""
        outcome = presentable(outcome)
        reason = "" if isinstance(outcome, Completed) else outcome.why
        result = task_messages.result_task(task.id.hex(), task.context_id, outcome, now.wall_ms)
        row, effects = self._offer_result(task, result, now)
        self._store.received.finish(
            task.id, finished_ms=now.wall_ms, reason=reason, result=result, outbox=row.number
        )
        self._store.forget_calls(task.id)
        return [Changed(task.id), *effects]

    def _offer_result(
        self, task: ReceivedTask, result: str, now: Moment
    ) -> tuple[Outgoing, list[Effect]]:
        until_ms = now.wall_ms + self._limits.result_kept_ms
        body = dump_json(result)
        row, effects = self._post.put(
            Kind.RESULT,
            body,
            peer=task.peer,
            now=now,
            until_ms=until_ms,
            about=task.id,
        )
        self._post.witness.result_offered(task, row, body)
        if self._post.delivery.number(task.peer, row.id) is not None:
            self._post.receipts.forget(task.peer, task.id)  # the result says it too
        return row, effects


def presentable(outcome: Outcome) -> Outcome:
    """The outcome, or the failure that it is if it cannot be told. The same again for its own."""
    if isinstance(outcome, Completed):
        try:
            task_messages.check_parts(outcome.parts)
        except MalformedTask as failure:
            return Failed("invalid-result", f"the agent's answer is no a2a parts: {failure.why}")
        size = len(outcome.parts.encode())
        if size > RESULT_BYTES_MAX:
            return Failed(
                "invalid-result",
                f"the agent's answer has {size} bytes, at most {RESULT_BYTES_MAX} fit an envelope",
            )
        return outcome
    # Half a character would be refused by the peer, and by our own store.
    why = outcome.why[:WHY_CHARACTERS_MAX].encode(errors="replace").decode()
    return replace(outcome, why=why)
