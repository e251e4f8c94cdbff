"""What happens at each limit of task delivery."""

import pytest

from sync import errors
from sync.proto.task_events import LinkFull, LinkRoom
from sync.proto.task_limits import Limits
from sync.proto.task_states import TaskState
from sync.proto.tasks_sending import Order
from tests.sync.task_nodes import (
    START_MS,
    Node,
    deliver,
    forged,
    last_receipt,
    linked,
    pair,
    pass_time,
    ready,
    state,
)


def test_a_full_queue_says_so_and_stores_nothing() -> None:
    ann, bob = pair(Limits(outbox_rows_max=3))
    for _ in range(3):
        ann.submit(bob)
    with pytest.raises(errors.QueueFull) as caught:
        ann.submit(bob)
    assert caught.value.rows == 3
    assert caught.value.hint
    assert ann.tasks.ledger(bob.me).sent == 3
    linked(ann, bob)
    pass_time(0.1, ann, bob)
    ann.submit(bob)


def test_a_queue_is_full_by_bytes_too() -> None:
    ann, bob = pair(Limits(outbox_bytes_max=10_000))
    ann.submit(bob, "x" * 8_000)
    with pytest.raises(errors.QueueFull):
        ann.submit(bob, "x" * 8_000)


def test_a_busy_agent_is_offered_the_task_again_until_it_has_room() -> None:
    ann, bob = pair(Limits(waiting_max=4))
    linked(ann, bob)
    ids = [ann.submit(bob) for _ in range(5)]
    pass_time(0.5, ann, bob)
    assert ann.tasks.ledger(bob.me).queued == 3
    for _ in ids:
        bob.finish_all()
        pass_time(70, ann, bob)
    assert sorted(bob.begun) == sorted(ids)
    assert all(state(ann, task_id) is TaskState.COMPLETED for task_id in ids)


def test_tasks_for_a_busy_agent_hold_up_nobody_else() -> None:
    ann, bob = pair(Limits(waiting_max=1, window=2))
    ready(bob, "other")
    linked(ann, bob)
    for _ in range(5):
        ann.submit(bob)
    other = ann.submit(bob, agent="other")
    pass_time(0.5, ann, bob)
    assert other in bob.running


def test_a_full_memory_of_replays_is_busy_and_never_forgets_early() -> None:
    ann, bob = pair(Limits(received_rows_max=2))
    linked(ann, bob)
    for _ in range(3):
        ann.submit(bob, expires_ms=START_MS + 3_600_000)
        pass_time(0.1, ann, bob)
        bob.finish_all()
    pass_time(10, ann, bob)
    assert len(bob.begun) == 2
    assert ann.tasks.ledger(bob.me).queued == 1
    pass_time(3_700, ann, bob)
    account = bob.store.peer(ann.me)
    assert account.received == 0
    assert account.purged_through_ms == START_MS + 3_600_000
    late = ann.submit(bob)
    pass_time(1, ann, bob)
    assert late in bob.running


def test_results_nobody_acknowledges_hold_up_new_tasks() -> None:
    ann, bob = pair(Limits(outbox_rows_max=1))
    linked(ann, bob)
    first = ann.submit(bob)
    deliver(ann, bob)
    bob.finish(first)
    bob.wire.clear()
    other = forged(ann, bob, "hello", "mine")
    bob.receive(ann, other)
    assert last_receipt(bob) == (3, "too many results wait for your acknowledgement")


def test_the_window_bounds_what_is_on_its_way() -> None:
    ann, bob = pair(Limits(window=4))
    linked(ann, bob)
    ids = [ann.submit(bob) for _ in range(10)]
    assert len(ann.wire) == 4
    for _ in range(12):
        pass_time(0.1, ann, bob)
        bob.finish_all()
    assert bob.begun == ids


def test_a_full_link_is_asked_again_when_it_has_room() -> None:
    ann, bob = pair()
    linked(ann, bob)
    ids = [ann.submit(bob) for _ in range(3)]
    for send in ann.wire[1:]:
        ann.handle(LinkFull(bob.me, send.id))
    del ann.wire[1:]
    ids.append(ann.submit(bob))
    assert len(ann.wire) == 1, "nothing is pushed at a full link"
    ann.handle(LinkRoom(bob.me))
    assert [send.id for send in ann.wire] == ids
    ann.handle(LinkRoom(bob.me))
    assert len(ann.wire) == 4, "room is told once"
    ann.handle(LinkFull(bob.me, ids[-1]))
    ids.append(ann.submit(bob))
    ann.wire.clear()
    ann.clock.mono_s += 1.0
    ann.wake()
    sent = [send.id for send in ann.wire]
    assert ids[3] in sent, "a link that forgot to say so, too"
    assert ids[4] in sent


def test_events_about_links_that_are_gone_are_nothing() -> None:
    ann, bob = pair()
    ann.handle(LinkFull(bob.me, b"x" * 32), LinkRoom(bob.me))
    assert not ann.wire


def test_what_does_not_fit_is_refused_before_anything_is_stored() -> None:
    ann, bob = pair()
    with pytest.raises(errors.TaskTooLarge):
        ann.submit(bob, "x" * 61_000)
    hop = f"{ann.key.did}/librarian"
    with pytest.raises(errors.ChainTooLong):
        ann.submit(bob, chain=(hop,) * 5)
    for expires_ms in (START_MS, START_MS - 1, START_MS + 8 * 86_400_000):
        with pytest.raises(errors.LifeTooLong):
            ann.submit(bob, expires_ms=expires_ms)
    with pytest.raises(errors.MalformedTask):
        ann.tasks.submit(Order(bob.me, "echo", "[]"), ann.clock.now)
    with pytest.raises(errors.MalformedTask):
        ann.submit(bob, agent="../etc")
    assert ann.tasks.ledger(bob.me).sent == 0
    ann.submit(bob, chain=(hop,) * 4)


def test_one_peer_does_not_fill_the_queue_and_slots_go_round() -> None:
    ann, bob = pair(Limits(waiting_max=16))
    eve = Node("eve", ann.clock, ann.limits)
    linked(ann, bob, eve)
    for _ in range(20):
        eve.submit(bob)
    deliver(ann, bob, eve)
    assert bob.store.received.unfinished("echo") == 8
    asked = [ann.submit(bob), bob.submit(bob)]
    deliver(ann, bob, eve)
    begun = len(bob.begun)
    for _ in asked:
        bob.finish(next(iter(bob.running)))
        deliver(ann, bob, eve)
    assert set(bob.begun[begun : begun + 3]) >= set(asked)


def test_peers_together_leave_room_for_the_node_itself() -> None:
    ann, bob = pair(Limits(waiting_max=16))
    eve = Node("eve", ann.clock, ann.limits)
    linked(ann, bob, eve)
    for _ in range(20):
        eve.submit(bob)
        ann.submit(bob)
    deliver(ann, bob, eve)
    assert bob.store.received.unfinished("echo") == 14
    bob.submit(bob)
    deliver(ann, bob, eve)
    assert bob.store.received.unfinished("echo", bob.me) == 1
