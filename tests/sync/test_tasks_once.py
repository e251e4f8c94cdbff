"""One call is one task, one message one answer, and a failed transaction nothing."""

import pytest

from identity.cbor import dumps
from identity.envelope import Kind, open_envelope
from sync import errors
from sync.proto.task_events import EnvelopeArrived
from sync.proto.task_records import Origin
from sync.proto.tasks_sending import call_message_id
from tests.sync.task_nodes import (
    NETWORK,
    arrived,
    deliver,
    forged,
    handle_and_fail,
    last_receipt,
    linked,
    pair,
    pass_time,
    ready,
)


def test_the_same_call_of_the_same_task_is_one_task() -> None:
    ann, bob = pair()
    origin = Origin(b"t" * 32, 7)
    first = ann.submit(bob, "hello", origin=origin)
    assert ann.submit(bob, "hello again", origin=origin) == first
    assert ann.submit(bob, "hello", origin=Origin(b"t" * 32, 8)) != first
    assert ann.tasks.ledger(bob.me).sent == 2
    assert ann.tasks.get(first).message_id == call_message_id(origin)
    assert ann.tasks.why(first, ann.clock.now)["made_by_call"] == 7


def test_the_same_message_id_is_one_task_unless_its_words_differ() -> None:
    ann, bob = pair()
    first = ann.submit(bob, "hello", message_id="mine")
    assert ann.submit(bob, "hello", message_id="mine") == first
    assert ann.submit(bob, "hello", agent="other", message_id="mine") != first
    with pytest.raises(errors.MessageIdTaken):
        ann.submit(bob, "other words", message_id="mine")
    assert ann.tasks.ledger(bob.me).sent == 2


def test_one_message_id_with_other_words_is_a_conflict_for_good() -> None:
    ann, bob = pair()
    linked(ann, bob)
    first = ann.submit(bob, "hello", message_id="mine")
    deliver(ann, bob)
    copy = forged(ann, bob, "other words", "mine")
    for _ in range(2):
        bob.receive(ann, copy)
        disposition, reason = last_receipt(bob)
        assert disposition == 5
        assert first.hex() in reason
    assert bob.begun == [first]


def test_one_message_in_two_envelopes_is_done_once_and_answered_twice() -> None:
    ann, bob = pair()
    linked(ann, bob)
    first = ann.submit(bob, "hello", message_id="mine")
    deliver(ann, bob)
    copy = forged(ann, bob, "hello", "mine")
    bob.receive(ann, copy)
    assert last_receipt(bob)[0] == 3, "busy: the first is being worked on"
    bob.finish(first, "world")
    bob.wire.clear()
    bob.receive(ann, copy)
    results = [send for send in bob.wire if send.id is not None]
    envelope = open_envelope(
        results[-1].data, network=NETWORK, me=ann.me, now_ms=ann.clock.now.wall_ms
    )
    assert envelope.in_reply_to != first
    assert b"world" in envelope.body
    assert envelope.in_reply_to.hex().encode() in envelope.body  # type: ignore[union-attr]
    assert bob.begun == [first]


def test_a_failed_transaction_leaves_memory_as_it_was() -> None:
    """The store forgot, so the engine must: an attempt that was not begun is begun again."""
    ann, bob = pair()
    linked(ann, bob)
    kept = ann.submit(bob)
    deliver(ann, bob)
    lost = ann.submit(bob, agent="other")
    data = ann.wire.pop().data
    envelope = open_envelope(data, network=NETWORK, me=bob.me, now_ms=bob.clock.now.wall_ms)
    ready(bob, "other")
    with pytest.raises(ZeroDivisionError):
        handle_and_fail(bob, EnvelopeArrived(ann.me, envelope))
    with bob.db.transaction():
        bob.perform(bob.tasks.load(bob.clock.now))
    assert list(bob.running) == [kept]
    with pytest.raises(errors.UnknownTask):
        bob.tasks.get(lost)
    pass_time(3, ann, bob)
    assert list(bob.running) == [kept, lost]


def test_an_acknowledgement_in_a_failed_transaction_was_not_heard() -> None:
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob)
    receipt = arrived(bob, ann, Kind.RECEIPT, dumps({1: [[task_id, 0, ""]]}), b"r" * 32)
    ann.wire.clear()
    with pytest.raises(ZeroDivisionError):
        handle_and_fail(ann, receipt)
    with ann.db.transaction():
        ann.perform(ann.tasks.load(ann.clock.now))
    assert [send.id for send in ann.wire] == [task_id], "offered again"
