"""Tasks and journals of one node as one machine: messages in, one transaction, then speech.

    link ──message──▶ Mesh ─▶ tasks, journals ─▶ rows       all in one transaction
                        └──after the commit──▶ Voice        send, run, cancel, tell

Nothing here waits: the store answers at once, and whatever must be said is said through
`Voice` when the outermost transaction has committed. A transaction that fails says
nothing. So the node and the simulator run the same code, one under trio and one as
discrete events.

Costs: one signature check (40 µs) an envelope, one transaction (12 µs) for all messages that
arrived together, no fsync unless `durability` asks for it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from identity import envelope
from identity.envelope import Kind
from identity.errors import (
    BadSignature,
    Expired,
    FromTheFuture,
    IdentityError,
    MalformedEnvelope,
    UnknownKind,
    WrongAudience,
)
from identity.revocation import open_revocation
from sync.clock import Moment
from sync.errors import MalformedHello, MalformedTask
from sync.proto import journal_events, task_events
from sync.proto.journals import Journals
from sync.proto.messages import ENVELOPE, HELLO, SYNC, pack_hello, unpack_hello
from sync.proto.tasks import Tasks
from sync.store.database import Database

Effect = task_events.Effect | journal_events.Effect
# About tasks, and only from the peer whose link they came over.
_ACKNOWLEDGED = {Kind.TASK, Kind.RESULT, Kind.CANCEL}
# One person's question, another's answer; and what operators want to know of another's log.
_PEOPLE = {Kind.APPROVAL_REQUEST, Kind.APPROVAL, Kind.RECONCILE, Kind.RECONCILED}
_DIRECT = {Kind.TASK, Kind.RECEIPT, Kind.PROGRESS, Kind.RESULT, Kind.CANCEL} | _PEOPLE


class Voice(Protocol):
    """Everything a committed transaction may set off. Nothing here blocks or raises."""

    def send(self, peer: bytes, message_type: int, body: bytes) -> bool:
        """Queue for the link; False if there is none or it is full."""

    def start(self, attempt: task_events.StartAttempt) -> None: ...

    def cancel(self, task_id: bytes) -> None: ...

    def changed(self, task_id: bytes) -> None: ...

    def grew(self, journal: str) -> None: ...

    def misbehaved(self, peer: bytes, why: str, *, forged: bool) -> None:
        """No correct peer does this: drop the link; `forged` if a signature was bad."""

    def refused(self, peer: bytes, why: str) -> None:
        """An envelope was turned away, though the peer may be honest."""

    def fork_found(self, fork: journal_events.ForkFound) -> None: ...

    def revoked(self, author: bytes, revocation: bytes) -> None:
        """The owner of `author` took that key back, and proved it."""

    def for_people(self, peer: bytes, opened: envelope.Envelope) -> None:
        """A question to a person, or the answer of one, that `peer` itself has signed."""

    def flush_soon(self) -> None:
        """Call `Mesh.flush` when what is at hand has been taken in."""


class Mesh:
    """One node's sync: construct, `start`, then messages, links and commands in any order."""

    def __init__(
        self,
        *,
        me: bytes,
        network: str,
        epoch: bytes,
        database: Database,
        tasks: Tasks,
        journals: Journals,
        voice: Voice,
        clock: Callable[[], Moment],
    ) -> None:
        self.me = me
        self.tasks = tasks
        self.journals = journals
        self._network = network
        self._epoch = epoch
        self._database = database
        self._voice = voice
        self._clock = clock
        self._depth = 0
        self._to_say: list[Effect] = []
        self._is_stale = True  # what the task engine has in memory is not what is stored
        self._is_flushing = False
        self._full: list[task_events.LinkFull] = []  # heard while speaking, not told yet

    # --- transactions ---------------------------------------------------------------------------

    @contextmanager
    def transaction(self, *, fsync: bool = False) -> Iterator[None]:
        """Rows change and speech is noted together; speech follows the outermost commit.

        A block that fails takes back both. The engine's memory is then rebuilt from the
        rows when the next transaction begins, whatever the failure was.
        """
        mark = len(self._to_say)
        self._depth += 1
        try:
            with self._database.transaction(fsync=fsync):
                if self._is_stale and self._depth == 1:
                    self.say(self.tasks.load(self._clock()))
                    self._is_stale = False
                while self._full:
                    self.say(self.tasks.handle(self._full.pop(0), self._clock()))
                yield
        except BaseException:
            del self._to_say[mark:]
            self._is_stale = True
            self.tasks.rolled_back()
            self.journals.rolled_back()
            raise
        finally:
            self._depth -= 1
        if self._depth == 0:
            self._speak()

    def say(self, effects: list[task_events.Effect] | list[journal_events.Effect]) -> None:
        """Note what an engine wants done, to be done after the commit."""
        assert self._depth, "effects belong to a transaction"
        for effect in effects:
            if isinstance(effect, task_events.DropStaged):
                self.journals.drop_staged(effect.task_id)
            else:
                self._to_say.append(effect)

    def tell_tasks(self, event: task_events.Event) -> None:
        with self.transaction():
            self.say(self.tasks.handle(event, self._clock()))

    def tell_journals(self, event: journal_events.Event) -> None:
        with self.transaction():
            self.say(self.journals.handle(event, self._clock()))

    @property
    def failures(self) -> int:
        """How many statements the disk was in the way of, so far."""
        return self._database.failures

    def touch(self) -> None:
        """Write what changes nothing: raises as a commit would if the disk takes nothing."""
        with self.transaction():
            self._database.touch()

    # --- time -----------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `wake` is next due, on the monotonic clock; ``inf`` if never."""
        return min(self.tasks.deadline, self.journals.deadline, math.inf)

    def wake(self) -> None:
        now = self._clock()
        with self.transaction():
            self.say(self.tasks.wake(now))
            self.say(self.journals.wake(now))

    def flush(self) -> None:
        """Say what gathered: receipts in one envelope per peer, one checkpoint per log."""
        now = self._clock()
        self._is_flushing = True
        try:
            with self.transaction():
                self.say(self.tasks.flush(now))
                self.say(self.journals.flush(now))
        finally:
            self._is_flushing = False

    # --- links ----------------------------------------------------------------------------------

    def link_up(self, peer: bytes) -> None:
        """A link is live: say hello, then let both engines go on where they were."""
        self._voice.send(peer, HELLO, pack_hello(self._epoch))
        self.tell_tasks(task_events.LinkUp(peer))
        if peer != self.me:
            self.tell_journals(journal_events.LinkUp(peer))

    def link_down(self, peer: bytes) -> None:
        self.tell_tasks(task_events.LinkDown(peer))
        self.tell_journals(journal_events.LinkDown(peer))

    def link_room(self, peer: bytes) -> None:
        self.tell_tasks(task_events.LinkRoom(peer))
        self.tell_journals(journal_events.LinkRoom(peer))

    def message(self, peer: bytes, message_type: int, body: bytes) -> None:
        """Take in one message of a peer, whose link has proven that it is the peer's."""
        self.messages(peer, [(message_type, body)])

    def messages(self, peer: bytes, messages: Iterable[tuple[int, bytes]]) -> None:
        """Take in what a peer sent together, in order and in one transaction.

        If the transaction fails, nothing of it was taken in, and nothing was acknowledged.
        Behind what no correct peer sends, nothing is read any more: its link ends.
        """
        now, complaints = self._clock(), list[Callable[[], None]]()
        high_ms = self.tasks.clock_high_ms(now)
        events: list[task_events.Event | journal_events.Received] = []
        for message_type, body in messages:
            try:
                event = self._read(peer, message_type, body, now, high_ms)
            except (UnknownKind, WrongAudience, Expired, FromTheFuture) as refusal:
                complaints.append(partial(self._voice.refused, peer, str(refusal)))
            except (IdentityError, MalformedHello) as wrong:
                forged = isinstance(wrong, BadSignature)
                complaints.append(partial(self._voice.misbehaved, peer, str(wrong), forged=forged))
                if not forged:  # a link outlives a bad signature or two, and what came with them
                    break
            else:
                events += event
        with self.transaction():
            for one in events:
                try:
                    if not self._take_in(one, now):
                        break
                except MalformedTask as wrong:  # it changed nothing, so nothing is taken back
                    complaints.append(
                        partial(self._voice.misbehaved, peer, str(wrong), forged=False)
                    )
                    break
        for complain in complaints:
            complain()

    def _take_in(self, event: task_events.Event | journal_events.Received, now: Moment) -> bool:
        """False if it was what no correct peer sends."""
        if not isinstance(event, journal_events.Received):
            self.say(self.tasks.handle(event, now))
            return True
        effects = self.journals.handle(event, now)
        self.say(effects)
        return not any(isinstance(effect, journal_events.Misbehaved) for effect in effects)

    def _read(
        self, peer: bytes, message_type: int, body: bytes, now: Moment, high_ms: int
    ) -> Sequence[task_events.Event | journal_events.Received]:
        """What a message says, its signature checked; nothing if it is of a newer node's type.

        Raises:
            IdentityError, MalformedHello: it says nothing that may be acted on.
        """
        if message_type == ENVELOPE:
            return self._envelope(peer, body, now, high_ms)
        if message_type == SYNC:
            return (journal_events.Received(peer, body),)
        if message_type == HELLO:
            return (task_events.PeerHello(peer, unpack_hello(body)),)
        return ()

    def _envelope(
        self, peer: bytes, data: bytes, now: Moment, high_ms: int
    ) -> Sequence[task_events.EnvelopeArrived | task_events.CameEarly]:
        unopened = envelope.unopened(data)
        kind, author = unopened.header
        if kind is Kind.REVOCATION:
            # The only kind that travels with others: whoever holds it may pass it on.
            self._voice.revoked(open_revocation(data, network=self._network), data)
            return ()
        if kind not in _DIRECT or author != peer:
            raise MalformedEnvelope(f"a {kind.value} of somebody else")
        try:
            opened = envelope.open_envelope(
                unopened,
                network=self._network,
                me=self.me,
                now_ms=now.wall_ms,
                clock_high_ms=high_ms,
            )
        except FromTheFuture as early:
            if kind not in _ACKNOWLEDGED:
                raise
            id_ = envelope.envelope_id(data, network=self._network)
            ahead_min = round((early.issued_ms - now.wall_ms) / 60_000)
            return (task_events.CameEarly(peer, id_, ahead_min),)
        if kind in _PEOPLE:
            self._voice.for_people(peer, opened)
            return ()
        return (task_events.EnvelopeArrived(peer, opened),)

    # --- speech ---------------------------------------------------------------------------------

    def _speak(self) -> None:
        # What committed is said to its end: nothing in here touches the store, which may fail.
        effects, self._to_say = self._to_say, []
        for effect in effects:
            self._perform(effect)
        if self._full or not self._is_flushing:
            self._voice.flush_soon()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case task_events.Send(peer, data, id):
                if not self._voice.send(peer, ENVELOPE, data):
                    self._full.append(task_events.LinkFull(peer, id))
            case task_events.StartAttempt():
                self._voice.start(effect)
            case task_events.CancelAttempt(task_id):
                self._voice.cancel(task_id)
            case task_events.Changed(task_id):
                self._voice.changed(task_id)
            case task_events.Refused(peer, why):
                self._voice.refused(peer, why)
            case journal_events.Send(peer, body):
                # What is lost here, reconciliation brings.
                self._voice.send(peer, SYNC, body)
            case journal_events.Misbehaved(peer, why):
                self._voice.misbehaved(peer, why, forged=False)
            case journal_events.ForkFound():
                self._voice.fork_found(effect)
            case journal_events.Grew(journal):
                self._voice.grew(journal)
