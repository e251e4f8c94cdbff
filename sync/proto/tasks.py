"""Tasks between nodes: none is lost, none is done twice. The engine, both roles in one.

            submit                                         StartAttempt
    person ───────▶ Sending ══TASK══▶ Receiving ──────────▶ agent
    or agent           ▲    ◀RECEIPT═     │ ◀──────────────
                       └────◀═RESULT══════┘   AttemptEnded

Sans-I/O but for the store it is given. Use:

    with database.transaction():
        effects = tasks.handle(event, now) + tasks.flush(now)
    for effect in effects: perform(effect)         # store first, then speak

After a transaction that failed, call `load`: it rebuilds what is in memory from what is stored.
Cost of one task, signatures not counted (measured): see docs/spec/tasks.md.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from identity.envelope import Envelope, Kind
from sync.clock import Moment
from sync.errors import MalformedTask, UnknownTask
from sync.proto import task_messages
from sync.proto.task_bodies import dump_json
from sync.proto.task_events import (
    AgentReady,
    AgentStopped,
    AttemptEnded,
    AttemptLost,
    CameEarly,
    Effect,
    EndFound,
    EnvelopeArrived,
    Event,
    LinkDown,
    LinkFull,
    LinkRoom,
    LinkUp,
    PeerHello,
    ProgressMade,
    Refused,
    TrustLost,
)
from sync.proto.task_limits import Limits
from sync.proto.task_ports import Random, Sealer, TaskPolicy, TaskStore
from sync.proto.task_post import Post, soonest
from sync.proto.task_records import Ledger
from sync.proto.task_states import CLOCK_AHEAD, Disposition
from sync.proto.task_views import Fact, Role, TaskView, Views
from sync.proto.task_witness import NoWitness, TaskWitness
from sync.proto.tasks_receiving import Receiving
from sync.proto.tasks_sending import Order, Sending

_PURGE_PAUSE_S = 600.0
DEFAULT_LIMITS = Limits()
KINDS = frozenset({Kind.TASK, Kind.RECEIPT, Kind.PROGRESS, Kind.RESULT, Kind.CANCEL})


@dataclass(slots=True)
class _Progress:
    """What a running task last said, and when it may speak again."""

    next_at: float
    text: str | None = None


class Tasks:
    """Give it events inside a transaction, perform its effects after the commit."""

    def __init__(
        self,
        *,
        store: TaskStore,
        author: Sealer,
        policy: TaskPolicy,
        random: Random,
        limits: Limits = DEFAULT_LIMITS,
        witness: TaskWitness | None = None,
    ) -> None:
        self._store = store
        self._limits = limits
        self._post = Post(store, author, limits, random, witness or NoWitness())
        self._sending = Sending(store, author, self._post, limits)
        self._receiving = Receiving(store, policy, self._post, limits, me=author.public_key)
        self.views = Views(store, self._post, self._receiving)
        self._progress: dict[bytes, _Progress] = {}
        self._sweep_at = -math.inf
        self._purge_at = -math.inf

    # --- the machine ----------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `wake` is next due, on the clock of `now.mono_s`."""
        spoken = (p.next_at for p in self._progress.values() if p.text is not None)
        return min(self._post.deadline, self._sweep_at, min(spoken, default=math.inf))

    def load(self, now: Moment) -> list[Effect]:
        """At the start, and after a transaction that failed."""
        self._post.load()
        self._sending.load()
        self._sweep_at = now.mono_s
        effects = self._receiving.load(now)
        for peer in self._post.delivery.up():
            effects += self._post.pump(peer, now)
        return effects

    def rolled_back(self) -> None:
        """A transaction failed, whatever was in it; call it before another one commits."""
        self._receiving.rolled_back()

    def handle(self, event: Event, now: Moment) -> list[Effect]:
        """What `event` leads to.

        Raises:
            MalformedTask: an envelope whose body no correct peer sends; nothing was changed.
        """
        match event:
            case EnvelopeArrived(peer, envelope):
                return self._envelope(peer, envelope, now)
            case CameEarly(peer, envelope_id, ahead_min):
                why = f"{CLOCK_AHEAD}the sender's is {ahead_min} min ahead of the receiver's"
                self._post.receipts.note(peer, envelope_id, Disposition.BUSY, now.mono_s, why)
                return [Refused(peer, why)]
            case AttemptEnded(task_id, outcome):
                self._progress.pop(task_id, None)  # the result says more
                return self._receiving.attempt_ended(task_id, outcome, now)
            case EndFound(task_id, outcome):
                return self._receiving.end_found(task_id, outcome, now)
            case AttemptLost(task_id):
                self._progress.pop(task_id, None)
                return self._receiving.attempt_lost(task_id, now)
            case ProgressMade(task_id, text):
                return self._progress_made(task_id, text, now)
            case LinkUp(peer):
                self._post.delivery.link_up(peer)
                return self._post.pump(peer, now)
            case LinkDown(peer):
                self._post.delivery.link_down(peer)
                return []
            case LinkFull(peer, envelope_id):
                self._post.delivery.link_full(peer, envelope_id, now.mono_s)
                return []
            case LinkRoom(peer):
                self._post.delivery.link_room(peer, now.mono_s)
                return self._post.retry(now) + self._post.pump(peer, now)
            case PeerHello(peer, epoch):
                return self._sending.hello(peer, epoch, now)
            case AgentReady(agent):
                return self._receiving.agent_ready(agent, now)
            case AgentStopped(agent):
                self._receiving.agent_stopped(agent)
                return []
            case TrustLost(peer):
                return self._receiving.trust_lost(peer, now)
            case _:
                assert_never(event)

    def wake(self, now: Moment) -> list[Effect]:
        """Retry, expire, purge, and speak up for what was waiting to."""
        effects = self._post.retry(now)
        for task_id, progress in list(self._progress.items()):
            if progress.text is not None and progress.next_at <= now.mono_s:
                effects += self._say(task_id, now)
        if self._sweep_at <= now.mono_s:
            effects += self._sending.sweep(now) + self._receiving.sweep(now)
            if self._purge_at <= now.mono_s:
                self._sending.purge(now)
                self._receiving.purge(now)
                self._purge_at = now.mono_s + _PURGE_PAUSE_S
            clock_ms = self._post.clock_ms(now)
            expiries = (
                self._store.sent.next_expiry_ms(self._limits.result_grace_ms),
                self._store.received.next_expiry_ms(clock_ms),
            )
            next_ms = min((at for at in expiries if at is not None), default=None)
            self._sweep_at = soonest(now, clock_ms, next_ms, self._limits.sweep_s)
        return effects + self._post.flush(now)

    def flush(self, now: Moment) -> list[Effect]:
        """The acknowledgements that are due; call it at the end of each batch of events."""
        return self._post.flush(now)

    # --- what people and agents ask -------------------------------------------------------------

    def submit(self, order: Order, now: Moment) -> tuple[bytes, list[Effect]]:
        """Store a task for `order.agent` of `order.peer`; its id, and what to do about it.

        The same origin, or the same message id with the same words, is the same task.

        Raises:
            QueueFull, TaskTooLarge, ChainTooLong, LifeTooLong, MessageIdTaken: as they say.
            MalformedTask: the parts or ids are not A2A 1.0.
        """
        task_id, effects = self._sending.submit(order, now)
        expires_ms = order.expires_ms or now.wall_ms + self._limits.life_ms
        self._look_at(expires_ms, now)
        return task_id, effects

    def cancel(self, task_id: bytes, now: Moment) -> list[Effect]:
        """Stop a task of ours. Its end is told by `Changed`, perhaps at once.

        Raises:
            UnknownTask: it is not ours.
        """
        return self._sending.cancel(task_id, now)

    def is_cancelled(self, task_id: bytes) -> bool:
        """Whether a task that runs here is to stop.

        Raises:
            UnknownTask: no such task is here.
        """
        task = self._store.received.get(task_id)
        if task is None:
            raise UnknownTask(task_id)
        return task.cancel

    def get(self, task_id: bytes, role: Role | None = None) -> TaskView:
        """See `Views.get`."""
        return self.views.get(task_id, role)

    def ended(self, task_ids: Iterable[bytes]) -> TaskView | None:
        """See `Views.ended`."""
        return self.views.ended(task_ids)

    def ledger(self, peer: bytes) -> Ledger:
        """The account of `peer`: what was sent is acknowledged, queued, expired or refused."""
        return self.views.ledger(peer)

    def ledgers(self) -> list[Ledger]:
        return [self.views.ledger(peer) for peer in self._store.peers()]

    def why(self, task_id: bytes, now: Moment) -> dict[str, Fact]:
        """See `Views.why`."""
        return self.views.why(task_id, now)

    def clock_high_ms(self, now: Moment) -> int:
        """The highest wall clock ever seen here; nothing that expired before it revives."""
        return self._post.clock_high_ms(now)

    # --- inside ---------------------------------------------------------------------------------

    def _envelope(self, peer: bytes, envelope: Envelope, now: Moment) -> list[Effect]:
        if envelope.author != peer:
            raise MalformedTask("the author is not the peer it came from")
        match envelope.kind:
            case Kind.TASK:
                effects = self._receiving.task(envelope, now)
                if envelope.expires_ms is not None:
                    self._look_at(envelope.expires_ms, now)
                return effects
            case Kind.RECEIPT:
                return self._sending.receipt(envelope, now)
            case Kind.RESULT:
                return self._sending.result(envelope, now)
            case Kind.PROGRESS:
                return self._sending.progress(envelope)
            case Kind.CANCEL:
                return self._receiving.cancel(envelope, now)
            case _:
                raise MalformedTask(f"a {envelope.kind.value} is not about tasks")

    def _progress_made(self, task_id: bytes, text: str, now: Moment) -> list[Effect]:
        if not self._receiving.is_running(task_id):
            return []
        progress = self._progress.setdefault(task_id, _Progress(now.mono_s))
        cut = text[: self._limits.progress_characters_max]
        progress.text = cut.encode(errors="replace").decode()
        return self._say(task_id, now) if progress.next_at <= now.mono_s else []

    def _say(self, task_id: bytes, now: Moment) -> list[Effect]:
        """Send what the task last said, if it was not sent yet."""
        progress = self._progress.get(task_id)
        task = self._store.received.get(task_id)
        if progress is None or progress.text is None or task is None:
            return []
        update = task_messages.status_update(
            task_id.hex(), task.context_id, progress.text, now.wall_ms
        )
        progress.text = None
        progress.next_at = now.mono_s + self._limits.progress_pause_s
        return self._post.send_once(
            Kind.PROGRESS, dump_json(update), peer=task.peer, now=now, about=task_id
        )

    def _look_at(self, expires_ms: int, now: Moment) -> None:
        clock_ms = self._post.clock_ms(now)
        at = soonest(now, clock_ms, expires_ms, self._limits.sweep_s)
        self._sweep_at = min(self._sweep_at, at)
