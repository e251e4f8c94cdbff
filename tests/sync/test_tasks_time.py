"""When time runs out, or jumps: nothing is started late, nothing revives, all is reported."""

import pytest

from identity.envelope import open_envelope
from sync import errors
from sync.proto.task_events import EnvelopeArrived, LinkUp
from sync.proto.task_limits import Limits
from sync.proto.task_records import Origin
from sync.proto.task_states import TaskState
from tests.sync.task_nodes import (
    NETWORK,
    START_MS,
    arrived_again,
    deliver,
    last_receipt,
    linked,
    pair,
    pass_time,
    ready,
    state,
    unlinked,
)

DAY_S = 86_400.0


def test_a_task_nobody_acknowledged_expires_and_is_reported() -> None:
    ann, bob = pair()
    task_id = ann.submit(bob, expires_ms=START_MS + 60_000)
    pass_time(59.9, ann)
    assert state(ann, task_id) is TaskState.SUBMITTED
    pass_time(0.2, ann)
    assert state(ann, task_id) is TaskState.FAILED
    ledger = ann.tasks.ledger(bob.me)
    assert (ledger.queued, ledger.expired) == (0, 1)
    assert ann.tasks.ended([task_id]) is not None


def test_a_result_that_comes_after_all_replaces_the_report() -> None:
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob, expires_ms=START_MS + 60_000)
    send = ann.wire.pop()
    unlinked(ann, bob)
    bob.receive(ann, send.data)
    bob.finish(task_id)
    pass_time(61, ann, bob)
    assert ann.tasks.ledger(bob.me).expired == 1
    linked(ann, bob)
    pass_time(1, ann, bob)
    assert state(ann, task_id) is TaskState.COMPLETED
    ledger = ann.tasks.ledger(bob.me)
    assert (ledger.acknowledged, ledger.expired) == (1, 0)


def test_a_task_that_waited_past_its_expiry_is_never_started() -> None:
    ann, bob = pair()
    linked(ann, bob)
    first = ann.submit(bob)
    late = ann.submit(bob, expires_ms=START_MS + 60_000)
    pass_time(61, ann, bob)
    assert state(ann, late) is TaskState.REJECTED
    bob.finish(first)
    assert bob.begun == [first]


def test_nor_when_its_turn_comes_before_anybody_looks() -> None:
    ann, bob = pair()
    linked(ann, bob)
    first = ann.submit(bob)
    late = ann.submit(bob, expires_ms=START_MS + 60_000)
    deliver(ann, bob)
    bob.clock.mono_s = 60.0
    bob.finish(first)
    assert bob.begun == [first]
    assert state(bob, late) is TaskState.REJECTED
    assert bob.store.clock_high_ms() >= START_MS + 60_000, "stored, for a decision hung on it"


def test_what_was_purged_is_refused_whatever_the_clock_says() -> None:
    """Even if the stored clock were lost: the peer's account remembers."""
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob, expires_ms=START_MS + 60_000)
    copy = arrived_again(ann, bob)
    deliver(ann, bob)
    bob.finish(task_id)
    pass_time(1_300, ann, bob)
    with pytest.raises(errors.UnknownTask):
        bob.tasks.get(task_id)
    bob.clock.mono_s = 0.0
    with bob.db.transaction():
        bob.db.execute("UPDATE tasks_clock SET high_ms = 0")
    bob.restart()
    ready(bob)
    bob.handle(LinkUp(ann.me), copy)
    assert bob.begun == [task_id]
    assert last_receipt(bob)[0] == 6


@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_the_clock_is_stored_to_the_millisecond_where_it_decides(role: str) -> None:
    ann, bob = pair()
    linked(ann, bob)
    pass_time(0.1, ann, bob)
    ann.submit(bob, expires_ms=START_MS + 500)
    copy = arrived_again(ann, bob)
    ann.wire.clear()
    ann.clock.mono_s = 0.6
    if role == "sender":
        ann.wake()
        assert ann.store.clock_high_ms() == START_MS + 600
    else:
        bob.handle(copy)
        assert last_receipt(bob)[0] == 6
        bob.clock.mono_s = 0.4
        bob.handle(copy)
        assert not bob.begun


def test_a_peer_that_never_answers_is_reported_as_unknown() -> None:
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob)
    pass_time(1, ann, bob)
    unlinked(ann, bob)
    pass_time(DAY_S + 3_500, ann)
    assert state(ann, task_id) is TaskState.WORKING
    pass_time(200, ann)
    assert '"code":"unknown"' in (ann.tasks.get(task_id).result or "")
    assert ann.tasks.ledger(bob.me).acknowledged == 1
    assert ann.is_conserved()


def test_a_clock_set_back_revives_nothing() -> None:
    """An hour off and back: what expired meanwhile stays expired, also after a restart."""
    ann, bob = pair()
    linked(ann, bob)
    bob.clock.ahead_ms = 3_600_000
    pass_time(61, ann, bob)
    bob.clock.ahead_ms = 0
    bob.restart()
    bob.handle(LinkUp(ann.me))
    ready(bob)
    short = ann.submit(bob, expires_ms=ann.store.clock_high_ms() + 60_000)
    assert ann.wire
    data = ann.wire[0].data
    envelope = open_envelope(data, network=NETWORK, me=bob.me, now_ms=bob.clock.now.wall_ms)
    bob.clock.ahead_ms = 3_600_000 + 61_000 + 60_000
    bob.handle(EnvelopeArrived(ann.me, envelope))
    bob.clock.ahead_ms = 0
    assert short not in bob.running
    assert last_receipt(bob)[0] == 6
    bob.handle(EnvelopeArrived(ann.me, envelope))
    assert short not in bob.running


def test_finished_tasks_are_forgotten_after_a_week_and_the_account_is_not() -> None:
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.finish(task_id)
    pass_time(1, ann, bob)
    pass_time(7 * DAY_S + 700, ann, bob)
    for node in (ann, bob):
        with pytest.raises(errors.UnknownTask):
            node.tasks.get(task_id)
    assert ann.tasks.ledger(bob.me).sent == 1
    assert ann.is_conserved()


def test_a_task_made_by_one_that_still_runs_is_not_forgotten() -> None:
    """Else a later attempt of its maker would make it a second time."""
    ann, bob = pair(Limits(finished_rows_max=0))
    ready(ann)
    linked(ann, bob)
    maker = ann.submit(ann)
    deliver(ann, bob)
    made = ann.submit(bob, origin=Origin(maker, 0))
    deliver(ann, bob)
    bob.finish(made)
    pass_time(700, ann, bob)
    assert ann.submit(bob, origin=Origin(maker, 0)) == made
    ann.finish(maker)
    pass_time(700, ann, bob)
    with pytest.raises(errors.UnknownTask):
        ann.tasks.get(made)


def test_a_result_nobody_fetches_is_given_up_after_a_week() -> None:
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    unlinked(ann, bob)
    bob.finish(task_id)
    pass_time(7 * DAY_S + 700, bob)
    account = bob.store.peer(ann.me)
    assert (account.owed, account.owed_bytes) == (0, 0)


def test_what_runs_past_its_expiry_is_its_runners_to_stop() -> None:
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob, expires_ms=START_MS + 60_000)
    pass_time(100, ann, bob)
    assert task_id in bob.running
    bob.finish(task_id)
    pass_time(1, ann, bob)
    assert state(ann, task_id) is TaskState.COMPLETED


def test_a_cancel_nobody_answers_is_given_up() -> None:
    ann, bob = pair()
    task_id = ann.submit(bob)
    ann.cancel(task_id)
    assert ann.store.peer(bob.me).owed == 1
    pass_time(DAY_S + 3_600 + 700, ann)
    assert ann.store.peer(bob.me).owed == 0
    assert state(ann, task_id) is TaskState.CANCELED
