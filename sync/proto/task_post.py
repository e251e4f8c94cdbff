"""The outbox in motion: seal, store, offer, offer again, drop; and the receipts on their way.

What is put here is stored in the caller's transaction and offered until the peer answers it, over
this link or the next, by this process or the next.
"""

import math

from identity.envelope import Kind
from sync.clock import Moment
from sync.proto.task_bodies import dump_receipts
from sync.proto.task_delivery import Delivery
from sync.proto.task_events import Effect, Send
from sync.proto.task_limits import Limits
from sync.proto.task_ports import Random, Sealer, TaskStore
from sync.proto.task_receipts import Receipts
from sync.proto.task_records import Outgoing
from sync.proto.task_witness import TaskWitness

_READ_ROWS = 32  # of the outbox at a time
_CLOCK_STEP_MS = 1_000  # the stored clock may lag this far: a write a second is enough


class Post:
    """Shared by both roles of the engine."""

    def __init__(
        self,
        store: TaskStore,
        author: Sealer,
        limits: Limits,
        random: Random,
        witness: TaskWitness,
    ) -> None:
        self.witness = witness
        self.delivery = Delivery(limits, random)
        self.receipts = Receipts(limits.receipt_delay_s)
        self._store = store
        self._author = author
        self._next_number = 1
        self._clock_high_ms = 0

    @property
    def deadline(self) -> float:
        return min(self.delivery.deadline, self.receipts.deadline)

    def load(self) -> None:
        """Rebuild what is in memory from what is stored."""
        self.delivery.forget_all()
        self.receipts.forget_all()
        self._next_number = self._store.outbox.last_number() + 1
        self._clock_high_ms = self._store.clock_high_ms()

    def clock_ms(self, now: Moment, *, exact: bool = False) -> int:
        """The highest wall clock ever seen: what expired once does not revive.

        With `exact`, a decision hangs on it, so it is stored to the millisecond.
        """
        if now.wall_ms > self._clock_high_ms + (0 if exact else _CLOCK_STEP_MS):
            self._store.raise_clock(now.wall_ms)
            self._clock_high_ms = now.wall_ms
        return max(now.wall_ms, self._clock_high_ms)

    def clock_high_ms(self, now: Moment) -> int:
        """The same, for who only looks."""
        return max(now.wall_ms, self._clock_high_ms)

    def put(
        self,
        kind: Kind,
        body: bytes,
        *,
        peer: bytes,
        now: Moment,
        until_ms: int,
        about: bytes | None = None,
    ) -> tuple[Outgoing, list[Effect]]:
        """Seal and store an envelope that must arrive, and offer it if its turn is now.

        It is `about` the task that it answers; a task itself is about none, and expires at
        `until_ms`. After that time nothing is offered any more.
        """
        envelope_id, data = self._author.seal(
            kind,
            body,
            now=now,
            audience=peer,
            in_reply_to=about,
            expires_ms=until_ms if about is None else None,
        )
        task_id = envelope_id if about is None else about
        row = Outgoing(peer, self._next_number, envelope_id, kind, task_id, data, until_ms)
        self._next_number += 1
        self._store.outbox.add(row)
        if about is not None:
            self._store.count(peer, owed=1, owed_bytes=len(data))
        if self.delivery.is_next(peer):
            self.delivery.sending(peer, row.number, row.id, now.mono_s)
            return row, [Send(peer, data, row.id)]
        self.delivery.more(peer)
        return row, self.pump(peer, now)

    def send_once(
        self, kind: Kind, body: bytes, *, peer: bytes, now: Moment, about: bytes
    ) -> list[Effect]:
        """Seal something that may be lost, if there is a link at all."""
        if not self.delivery.is_up(peer):
            return []
        _, data = self._author.seal(kind, body, now=now, audience=peer, in_reply_to=about)
        return [Send(peer, data)]

    def pump(self, peer: bytes, now: Moment) -> list[Effect]:
        """Offer what the window has room for, oldest first."""
        effects: list[Effect] = []
        while True:
            room, after = self.delivery.room(peer)
            if not room:
                return effects
            limit = min(room, _READ_ROWS)
            rows = self._store.outbox.waiting(peer, after, limit)
            for row in rows:
                self.delivery.read(peer, row.number)
                if self.delivery.number(peer, row.id) is None:
                    self.delivery.sending(peer, row.number, row.id, now.mono_s)
                    effects.append(Send(peer, row.data, row.id))
            if len(rows) < limit:
                self.delivery.exhausted(peer)

    def retry(self, now: Moment) -> list[Effect]:
        """Offer again what nobody has answered in time."""
        effects: list[Effect] = []
        peers = set()
        for peer, envelope_id, number in self.delivery.due(now.mono_s):
            row = self._store.outbox.get(peer, number)
            assert row is not None, "what leaves the outbox is answered"
            self.delivery.sending(peer, number, envelope_id, now.mono_s)
            effects.append(Send(peer, row.data, envelope_id))
            peers.add(peer)
        for peer in sorted(peers):
            effects += self.pump(peer, now)
        return effects

    def offered(self, peer: bytes, envelope_id: bytes) -> Outgoing | None:
        """The envelope with this id, if it was offered over this link and waits for an answer."""
        number = self.delivery.number(peer, envelope_id)
        return None if number is None else self._store.outbox.get(peer, number)

    def drop(self, peer: bytes, number: int) -> None:
        """It arrived, or there is no point any more."""
        outgoing = self._store.outbox.drop(peer, number)
        assert outgoing is not None, "who names a number has not dropped it yet"
        if outgoing.kind is not Kind.TASK:
            self._store.count(peer, owed=-1, owed_bytes=-len(outgoing.data))
        self.delivery.answered(peer, outgoing.id)

    def keep(self, outgoing: Outgoing) -> None:
        """It arrived, and may have to be offered again to a peer that forgot."""
        self._store.outbox.keep(outgoing.peer, outgoing.number)
        self.delivery.answered(outgoing.peer, outgoing.id)

    def flush(self, now: Moment) -> list[Effect]:
        """The receipts that are due, one envelope a peer; lost with the link, if it is down."""
        effects: list[Effect] = []
        if self.receipts.deadline <= now.mono_s:
            for peer, lines in self.receipts.take(now.mono_s):
                if self.delivery.is_up(peer):
                    body = dump_receipts(lines)
                    id_, data = self._author.seal(Kind.RECEIPT, body, now=now, audience=peer)
                    self.witness.receipt_sealed(peer, lines, id_, data)
                    effects.append(Send(peer, data))
        return effects


def soonest(now: Moment, clock_ms: int, expires_ms: int | None, at_most_s: float) -> float:
    """When, on the monotonic clock, something that expires at `expires_ms` is to be looked at."""
    if expires_ms is None:
        return now.mono_s + at_most_s
    wait_s = (expires_ms - clock_ms) / 1000
    assert math.isfinite(wait_s), "times are integers"
    return now.mono_s + min(max(wait_s, 0.001), at_most_s)
