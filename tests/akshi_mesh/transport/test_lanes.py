"""Lanes: tasks before sync, credit for both, and a full queue says so."""

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from akshi_mesh.transport import wire
from akshi_mesh.transport.errors import FlowViolated
from akshi_mesh.transport.lanes import (
    GIVE_BACK_BYTES,
    QUEUE_BYTES_MAX,
    WINDOW_BYTES,
    Inbox,
    Outbox,
)
from akshi_mesh.transport.records import PAYLOAD_BYTES_MAX

KINDS = [wire.HELLO, wire.ENVELOPE, wire.SYNC]


def bodies(plaintext: bytes) -> list[bytes]:
    return [body for kind, body in wire.unpack(plaintext) if kind > 0x0F]


def test_control_and_tasks_leave_before_sync() -> None:
    outbox = Outbox()
    for kind in (wire.SYNC, wire.ENVELOPE, wire.HELLO):
        assert outbox.put(kind, b"%d" % kind)
    kinds = [kind for kind, _ in wire.unpack(outbox.take(PAYLOAD_BYTES_MAX))]
    assert kinds == [wire.ENVELOPE, wire.HELLO, wire.SYNC]


def test_the_transports_own_leave_first_even_without_credit() -> None:
    outbox = Outbox()
    while outbox.put(wire.ENVELOPE, bytes(1_000)):
        pass
    outbox.take(PAYLOAD_BYTES_MAX)
    while outbox.put(wire.ENVELOPE, bytes(1_000)):
        pass
    outbox.put_own(wire.pack(wire.PING, b""))
    assert wire.unpack(outbox.take(PAYLOAD_BYTES_MAX))[0] == (wire.PING, b"")


def test_a_full_lane_refuses_and_the_other_does_not() -> None:
    outbox = Outbox()
    while outbox.put(wire.SYNC, bytes(1_000)):
        pass
    assert outbox.put(wire.ENVELOPE, bytes(wire.BODY_BYTES_MAX))
    assert not outbox.has_room_again()
    outbox.take(PAYLOAD_BYTES_MAX)
    outbox.take(PAYLOAD_BYTES_MAX)
    assert outbox.has_room_again()
    assert not outbox.has_room_again()


def test_without_credit_one_lane_stops_and_the_other_goes_on() -> None:
    """A slow sync consumer never blocks tasks."""
    outbox = Outbox()
    sent = 0
    for _ in range(10):
        while outbox.put(wire.SYNC, bytes(1_000)):
            pass
        sent += len(bodies(outbox.take(PAYLOAD_BYTES_MAX) or wire.pack(wire.PING, b"")))
    assert sent == WINDOW_BYTES // 1_003
    assert outbox.put(wire.ENVELOPE, b"task")
    assert bodies(outbox.take(PAYLOAD_BYTES_MAX)) == [b"task"]
    outbox.granted(1, 1_003)
    assert len(bodies(outbox.take(PAYLOAD_BYTES_MAX))) == 1


def test_what_comes_without_credit_ends_the_link() -> None:
    inbox = Inbox()
    for _ in range(WINDOW_BYTES // 1_003):
        inbox.arrived(wire.SYNC, bytes(1_000))
    inbox.arrived(wire.ENVELOPE, bytes(1_000))
    with pytest.raises(FlowViolated):
        inbox.arrived(wire.SYNC, bytes(1_000))


def test_credit_for_what_was_never_sent_ends_the_link() -> None:
    with pytest.raises(FlowViolated):
        Outbox().granted(0, 1)


class TwoEnds(RuleBasedStateMachine):
    """Whatever is put and handled when: order is kept, windows hold, nothing gets stuck."""

    def __init__(self) -> None:
        super().__init__()
        self.ours, self.theirs, self.inbox = Outbox(), Outbox(), Inbox()
        self.queued: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
        self.number = 0

    @rule(kind=st.sampled_from(KINDS), size=st.sampled_from([4, 300, 9_000, wire.BODY_BYTES_MAX]))
    def put(self, kind: int, size: int) -> None:
        body = b"%d" % self.number + bytes(size - len(b"%d" % self.number))
        self.number += 1
        if self.ours.put(kind, body):
            self.queued[wire.lane_of(kind)].append(body)

    @rule()
    def write(self) -> None:
        messages = self.ours.take(PAYLOAD_BYTES_MAX)
        assert len(messages) <= PAYLOAD_BYTES_MAX
        for kind, body in wire.unpack(messages) if messages else []:
            self.inbox.arrived(kind, body)

    @precondition(lambda self: any(self.inbox.queues))
    @rule(lane=st.sampled_from([0, 1]))
    def handle(self, lane: int) -> None:
        if not self.inbox.queues[lane]:
            return
        _, body = self.inbox.queues[lane].popleft()
        assert body == self.queued[lane].popleft()
        self.inbox.handled(lane, 3 + len(body))
        self.theirs.handled(lane, 3 + len(body))

    @rule()
    def answer(self) -> None:
        messages = self.theirs.take(PAYLOAD_BYTES_MAX)
        for kind, body in wire.unpack(messages) if messages else []:
            assert kind == wire.CREDIT
            self.ours.granted(*wire.unpack_credit(body))

    @invariant()
    def memory_is_bounded(self) -> None:
        for lane in (0, 1):
            arrived = sum(3 + len(body) for _, body in self.inbox.queues[lane])
            queued = sum(3 + len(body) for body in self.queued[lane])
            assert arrived <= WINDOW_BYTES
            assert queued <= QUEUE_BYTES_MAX + WINDOW_BYTES

    def teardown(self) -> None:
        """Whatever state it is in: if both sides go on, everything arrives."""
        for _ in range(len(self.queued[0]) + len(self.queued[1]) + 2):
            self.write()
            for lane in (0, 1):
                while self.inbox.queues[lane]:
                    self.handle(lane)
            self.answer()
        assert not any(self.queued)


TestTwoEnds = TwoEnds.TestCase
TestTwoEnds.settings = settings(stateful_step_count=40, deadline=None)


def test_little_is_held_back_so_the_largest_message_always_gets_through() -> None:
    assert WINDOW_BYTES - GIVE_BACK_BYTES + 1 >= wire.BODY_BYTES_MAX + wire.HEADER_BYTES
