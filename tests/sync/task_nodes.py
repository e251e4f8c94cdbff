"""Two or more task engines over real stores in memory, with a wire that a test controls."""

import hashlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from identity.envelope import Kind, open_envelope
from identity.errors import Expired, FromTheFuture
from identity.keys import SigningKey
from sync.author import Author
from sync.clock import Moment
from sync.proto.task_bodies import TaskBody, dump_task, load_receipts
from sync.proto.task_events import (
    AgentReady,
    AttemptEnded,
    CancelAttempt,
    Changed,
    Effect,
    EnvelopeArrived,
    Event,
    LinkDown,
    LinkUp,
    PeerHello,
    Send,
    StartAttempt,
)
from sync.proto.task_limits import Limits
from sync.proto.task_messages import text_parts, user_message
from sync.proto.task_states import Cancelled, Completed, TaskState
from sync.proto.task_witness import TaskWitness
from sync.proto.tasks import Tasks
from sync.proto.tasks_sending import Order
from sync.store.database import MEMORY, Database
from sync.store.tasks import TaskTables
from sync.store.tasks_schema import SCHEMA

NETWORK = "test"
START_MS = 1_700_000_000_000


class Policy:
    """Everybody may task `agents`, unless `refusals` says why not."""

    def __init__(self) -> None:
        self.refusals: dict[str, str] = {}
        self.slot_count = 1

    def may_task(self, peer: bytes, agent: str) -> str | None:
        return self.refusals.get(agent)

    def slots(self, agent: str) -> int:
        return self.slot_count


@dataclass
class Clock:
    mono_s: float = 0.0
    ahead_ms: int = 0  # of the wall, for clocks that jump

    @property
    def now(self) -> Moment:
        return Moment(self.mono_s, START_MS + round(self.mono_s * 1000) + self.ahead_ms)


def nonces(seed: str) -> Iterator[bytes]:
    for number in itertools.count():
        yield hashlib.sha256(f"{seed}/{number}".encode()).digest()[:16]


@dataclass
class Node:
    """One engine, its store, and everything it wanted done that is not yet done."""

    name: str
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    witness: TaskWitness | None = None

    def __post_init__(self) -> None:
        self.key = SigningKey.from_seed(hashlib.sha256(self.name.encode()).digest())
        self.me = self.key.public_key
        self._nonces = nonces(self.name)
        self.policy = Policy()
        self.db = Database.open(MEMORY, schemas=SCHEMA)
        self.epoch = 0
        self.wire: list[Send] = []  # left the node, not yet arrived anywhere
        self.running: dict[bytes, StartAttempt] = {}
        self.begun: list[bytes] = []  # every attempt that was ever started
        self.stopped: list[bytes] = []  # attempts we were asked to stop
        self.changed: list[bytes] = []
        self.restart()

    def restart(self) -> None:
        """A new process over the same store: attempts, links and timers are gone."""
        self.epoch += 1
        self.wire.clear()
        self.running.clear()
        self.store = TaskTables(self.db)
        author = Author(self.key, network=NETWORK, nonce=lambda: next(self._nonces))
        self.tasks = Tasks(
            store=self.store,
            author=author,
            policy=self.policy,
            random=random.Random(self.name),
            limits=self.limits,
            witness=self.witness,
        )
        with self.db.transaction():
            effects = self.tasks.load(self.clock.now)
        self.perform(effects)

    def handle(self, *events: Event) -> None:
        now = self.clock.now
        effects: list[Effect] = []
        with self.db.transaction():
            for event in events:
                effects += self.tasks.handle(event, now)
            effects += self.tasks.flush(now)
        self.perform(effects)

    def wake(self) -> None:
        now = self.clock.now
        with self.db.transaction():
            effects = self.tasks.wake(now)
        self.perform(effects)
        assert self.tasks.deadline > now.mono_s, "wake() must move the deadline on"

    def submit(
        self, to: "Node", text: str = "hello", agent: str = "echo", **order: object
    ) -> bytes:
        wanted = Order(to.me, agent, text_parts(text), **order)  # type: ignore[arg-type]
        with self.db.transaction():
            task_id, effects = self.tasks.submit(wanted, self.clock.now)
        self.perform(effects)
        return task_id

    def cancel(self, task_id: bytes) -> None:
        with self.db.transaction():
            effects = self.tasks.cancel(task_id, self.clock.now)
        self.perform(effects)

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self.wire.append(effect)
                case StartAttempt(task_id):
                    assert task_id not in self.running, "one attempt at a time"
                    self.running[task_id] = effect
                    self.begun.append(task_id)
                case CancelAttempt(task_id):
                    assert task_id in self.running
                    self.stopped.append(task_id)
                case Changed(task_id):
                    self.changed.append(task_id)

    def receive(self, peer: "Node", data: bytes) -> None:
        now = self.clock.now
        try:
            envelope = open_envelope(
                data,
                network=NETWORK,
                me=self.me,
                now_ms=now.wall_ms,
                clock_high_ms=self.store.clock_high_ms(),
            )
        except (Expired, FromTheFuture):
            return  # as good as lost
        self.handle(EnvelopeArrived(peer.me, envelope))

    def finish(self, task_id: bytes, text: str = "done") -> None:
        attempt = self.running.pop(task_id)
        outcome = Cancelled() if task_id in self.stopped else Completed(text_parts(text))
        self.handle(AttemptEnded(attempt.task_id, outcome))

    def finish_all(self) -> None:
        while self.running:
            self.finish(next(iter(self.running)))

    def is_conserved(self) -> bool:
        return all(self.tasks.ledger(peer).conserved for peer in self.store.peers())


def linked(*nodes: Node) -> None:
    """Full mesh, each with itself as well."""
    for node in nodes:
        for other in nodes:
            node.handle(LinkUp(other.me), PeerHello(other.me, other.epoch.to_bytes(16, "big")))


def unlinked(*nodes: Node) -> None:
    for node in nodes:
        node.wire.clear()
        for other in nodes:
            node.handle(LinkDown(other.me))


def deliver(*nodes: Node) -> int:
    """Carry everything on the wires until nothing moves; how many envelopes that were."""
    by_key = {node.me: node for node in nodes}
    carried = 0
    while any(node.wire for node in nodes):
        for node in nodes:
            sends, node.wire = node.wire, []
            for send in sends:
                carried += 1
                by_key[send.peer].receive(node, send.data)
    return carried


def pass_time(seconds: float, *nodes: Node) -> None:
    """Let the shared clock run, waking whoever wants to be woken, and deliver."""
    clock = nodes[0].clock
    end = clock.mono_s + seconds
    while True:
        deliver(*nodes)
        due = min(node.tasks.deadline for node in nodes)
        if due > end:
            break
        clock.mono_s = max(clock.mono_s, due)
        for node in nodes:
            if node.tasks.deadline <= clock.mono_s:
                node.wake()
    clock.mono_s = end


def ready(node: Node, agent: str = "echo") -> None:
    node.handle(AgentReady(agent))


def pair(limits: Limits | None = None) -> tuple[Node, Node]:
    clock = Clock()
    ann, bob = (Node(name, clock, limits or Limits()) for name in ("ann", "bob"))
    ready(bob)
    return ann, bob


def state(node: Node, task_id: bytes) -> TaskState:
    return node.tasks.get(task_id).state


def forged(ann: Node, bob: Node, text: str, message_id: str) -> bytes:
    """A task that Ann's engine would not send: a message id it has used before."""
    message = user_message(text_parts(text), message_id)
    body = dump_task(TaskBody("echo", message_id, (), message))
    author = ann.tasks._post._author  # the hand of a sender that lost its store
    expires_ms = ann.clock.now.wall_ms + 1_000_000
    _, data = author.seal(
        Kind.TASK, body, now=ann.clock.now, audience=bob.me, expires_ms=expires_ms
    )
    return data


def last_receipt(bob: Node) -> tuple[int, str]:
    send = [send for send in bob.wire if send.id is None][-1]
    envelope = open_envelope(send.data, network=NETWORK, me=send.peer, now_ms=2 * START_MS)
    line = load_receipts(envelope.body)[-1]
    return line.disposition, line.reason


def arrived(ann: Node, bob: Node, kind: Kind, body: bytes, about: bytes | None) -> EnvelopeArrived:
    author = ann.tasks._post._author
    _, data = author.seal(
        kind,
        body,
        now=ann.clock.now,
        audience=bob.me,
        in_reply_to=about,
        expires_ms=None if about else START_MS + 1_000_000,
    )
    envelope = open_envelope(data, network=NETWORK, me=bob.me, now_ms=bob.clock.now.wall_ms)
    return EnvelopeArrived(ann.me, envelope)


def arrived_again(ann: Node, bob: Node) -> EnvelopeArrived:
    """What is on the wire now, to arrive later."""
    data = ann.wire[-1].data
    envelope = open_envelope(data, network=NETWORK, me=bob.me, now_ms=bob.clock.now.wall_ms)
    return EnvelopeArrived(ann.me, envelope)


def handle_and_fail(node: Node, event: EnvelopeArrived) -> None:
    with node.db.transaction():
        node.tasks.handle(event, node.clock.now)
        raise ZeroDivisionError
