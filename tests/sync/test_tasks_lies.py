"""What only the right peer may say, and what is answered to nonsense."""

import pytest

from identity.cbor import dumps
from identity.envelope import Kind, open_envelope
from sync import errors
from sync.proto.task_bodies import TaskBody, dump_task
from sync.proto.task_events import AttemptEnded, EnvelopeArrived
from sync.proto.task_messages import result_task, status_update, text_parts, user_message
from sync.proto.task_states import Completed, Disposition, TaskState
from tests.sync.task_nodes import (
    NETWORK,
    START_MS,
    Node,
    arrived,
    deliver,
    linked,
    pair,
    pass_time,
    state,
)


def test_what_only_the_right_peer_may_say() -> None:
    """Eve is trusted and lies: results, progress and cancels of tasks that are not hers."""
    ann, bob = pair()
    eve = Node("eve", ann.clock)
    linked(ann, bob, eve)
    task_id = ann.submit(bob)
    deliver(ann, bob, eve)
    bob.finish(task_id)
    result = bob.wire[-1].data
    body = open_envelope(result, network=NETWORK, me=ann.me, now_ms=START_MS).body
    for node, kind, content in (
        (ann, Kind.RESULT, body),
        (bob, Kind.CANCEL, dumps({})),
    ):
        with pytest.raises(errors.MalformedTask):
            node.handle(arrived(eve, node, kind, content, task_id))
    event = arrived(eve, ann, Kind.CANCEL, dumps({}), task_id)
    with pytest.raises(errors.MalformedTask, match="author"):
        ann.handle(EnvelopeArrived(bob.me, event.envelope))
    assert state(ann, task_id) is TaskState.SUBMITTED


def test_an_answer_is_not_replaced_by_another() -> None:
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.finish(task_id, "the answer")
    deliver(ann, bob)
    other = result_task(task_id.hex(), None, Completed(text_parts("another")), START_MS)
    ann.handle(arrived(bob, ann, Kind.RESULT, dumps({1: other}), task_id))
    assert "the answer" in (ann.tasks.get(task_id).result or "")


def test_a_sender_that_lost_the_answer_gets_it_again() -> None:
    """A restored copy of its store: it offers the task anew, nobody does it anew."""
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob)
    image = ann.db.image()
    deliver(ann, bob)
    bob.finish(task_id)
    pass_time(1, ann, bob)
    ann.db.restore(image)
    ann.restart()
    linked(ann, bob)
    assert state(ann, task_id) is TaskState.SUBMITTED
    pass_time(1, ann, bob)
    assert state(ann, task_id) is TaskState.COMPLETED
    assert bob.begun == [task_id]
    assert bob.store.peer(ann.me).owed == 0


def test_the_calls_of_a_task_are_forgotten_with_its_end() -> None:
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    with bob.store.calls.transaction():
        bob.store.calls.remember(task_id, 0, b"hash", b"answer")
    bob.finish(task_id)
    assert bob.store.calls.recall(task_id, 0) is None


def test_a_receipt_settles_only_ones_own_envelopes() -> None:
    ann, bob = pair()
    eve = Node("eve", ann.clock)
    linked(ann, bob, eve)
    task_id = ann.submit(bob)
    ann.handle(arrived(eve, ann, Kind.RECEIPT, dumps({1: [[task_id, 4, "no"]]}), b"r" * 32))
    assert ann.tasks.ledger(bob.me).queued == 1


def test_a_result_about_nothing_we_know_is_answered_so_that_it_stops() -> None:
    ann, bob = pair()
    image = ann.db.image()
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    ann.db.restore(image)
    ann.restart()
    linked(ann, bob)
    bob.finish(task_id)
    pass_time(1, ann, bob)
    assert bob.store.peer(ann.me).owed == 0


def test_a_hop_must_be_the_author_itself() -> None:
    ann, bob = pair()
    with pytest.raises(errors.MalformedTask, match="hop"):
        ann.submit(bob, chain=(f"{bob.key.did}/librarian",))
    linked(ann, bob)
    body = TaskBody("echo", "m", (f"{bob.key.did}/librarian",), user_message(text_parts("x"), "m"))
    with pytest.raises(errors.MalformedTask, match="hop"):
        bob.handle(arrived(ann, bob, Kind.TASK, dump_task(body), None))
    assert not bob.begun


def test_unknown_tasks() -> None:
    ann, _ = pair()
    nobody = b"n" * 32
    for ask in (ann.tasks.get, ann.cancel, ann.tasks.is_cancelled):
        with pytest.raises(errors.UnknownTask):
            ask(nobody)
    with pytest.raises(errors.UnknownTask):
        ann.tasks.ended([nobody])
    with pytest.raises(errors.UnknownTask):
        ann.tasks.why(nobody, ann.clock.now)


def test_lists_are_latest_first_and_pages_go_back() -> None:
    ann, bob = pair()
    linked(ann, bob)
    ids = []
    for _ in range(5):
        ids.append(ann.submit(bob))
        pass_time(1, ann, bob)
    latest = ann.tasks.views.list("sent", limit=2)
    assert [view.id for view in latest] == [ids[4], ids[3]]
    older = ann.tasks.views.list("sent", before_ms=latest[-1].created_ms)
    assert [view.id for view in older] == [ids[2], ids[1], ids[0]]
    assert [view.id for view in bob.tasks.views.list("received")] == ids[::-1]


def test_progress_of_anothers_task_and_of_none() -> None:
    ann, bob = pair()
    eve = Node("eve", ann.clock)
    task_id = ann.submit(bob)
    update = dumps({1: status_update(task_id.hex(), None, "lies", START_MS)})
    with pytest.raises(errors.MalformedTask):
        ann.handle(arrived(eve, ann, Kind.PROGRESS, update, task_id))
    nobody = b"n" * 32
    update = dumps({1: status_update(nobody.hex(), None, "?", START_MS)})
    ann.handle(arrived(bob, ann, Kind.PROGRESS, update, nobody))
    assert ann.tasks.get(task_id).progress is None


def test_body_and_message_must_name_one_message_id() -> None:
    ann, bob = pair()
    body = TaskBody("echo", "m", (), user_message(text_parts("x"), "another"))
    with pytest.raises(errors.MalformedTask, match="message id"):
        bob.handle(arrived(ann, bob, Kind.TASK, dump_task(body), None))


def test_an_envelope_about_something_else_is_not_ours() -> None:
    ann, bob = pair()
    with pytest.raises(errors.MalformedTask, match="not about tasks"):
        bob.handle(arrived(ann, bob, Kind.CHECKPOINT, dumps({}), b"r" * 32))


@pytest.mark.parametrize(
    ("disposition", "heading", "code"),
    [
        (Disposition.EXPIRED, "expired", "expired"),
        (Disposition.CONFLICT, "refused", "conflict"),
        (Disposition.REFUSED, "refused", "refused"),
        (Disposition.UNKNOWN, "refused", "refused"),
    ],
)
def test_every_no_is_counted_and_told(disposition: Disposition, heading: str, code: str) -> None:
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob)
    body = dumps({1: [[task_id, int(disposition), ""]]})
    ann.handle(arrived(bob, ann, Kind.RECEIPT, body, b"r" * 32))
    assert getattr(ann.tasks.ledger(bob.me), heading) == 1
    assert f'"code":"{code}"' in (ann.tasks.get(task_id).result or "")
    assert ann.tasks.get(task_id).reason
    ann.handle(arrived(bob, ann, Kind.RECEIPT, body, b"r" * 32))
    assert ann.is_conserved()


def test_an_end_that_is_told_twice_is_heard_once() -> None:
    ann, bob = pair()
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.finish(task_id)
    bob.wire.clear()
    bob.handle(AttemptEnded(task_id, Completed(text_parts("again"))))
    assert not bob.wire
