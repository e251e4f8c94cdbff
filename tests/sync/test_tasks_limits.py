"""What happens at each limit of task delivery, and when time runs out or jumps."""

import pytest

from identity.cbor import dumps
from identity.envelope import Kind, open_envelope
from sync import errors
from sync.proto.task_bodies import TaskBody, dump_task, load_receipts
from sync.proto.task_events import EnvelopeArrived, LinkFull, LinkRoom, LinkUp
from sync.proto.task_limits import Limits
from sync.proto.task_messages import text_parts, user_message
from sync.proto.task_records import Origin
from sync.proto.task_states import TaskState
from sync.proto.tasks_sending import Order, call_message_id
from tests.sync.task_nodes import (
    NETWORK,
    START_MS,
    Clock,
    Node,
    deliver,
    linked,
    pass_time,
    ready,
    unlinked,
)

DAY_S = 86_400.0


def pair(limits: Limits | None = None) -> tuple[Node, Node]:
    clock = Clock()
    ann, bob = (Node(name, clock, limits or Limits()) for name in ("ann", "bob"))
    ready(bob)
    return ann, bob


def state(node: Node, task_id: bytes) -> TaskState:
    return node.tasks.get(task_id).state


# --- made once ------------------------------------------------------------------------------------


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


# --- full -----------------------------------------------------------------------------------------


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
    ann, bob = pair(Limits(waiting_max=2))
    linked(ann, bob)
    ids = [ann.submit(bob) for _ in range(5)]
    pass_time(0.5, ann, bob)
    assert ann.tasks.ledger(bob.me).queued == 3
    for _ in ids:
        bob.finish_all()
        pass_time(70, ann, bob)
    assert sorted(bob.begun) == sorted(ids)
    assert all(state(ann, task_id) is TaskState.COMPLETED for task_id in ids)


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
    ann.handle(LinkFull(bob.me, ids[-1]))
    ann.wire.clear()
    ann.clock.mono_s += 1.0
    ann.wake()
    assert ids[-1] in [send.id for send in ann.wire], "a link that forgot to say so, too"


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


# --- time -----------------------------------------------------------------------------------------


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


# --- nonsense -------------------------------------------------------------------------------------


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


# --- a transaction that fails ---------------------------------------------------------------------


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


def handle_and_fail(node: Node, event: EnvelopeArrived) -> None:
    with node.db.transaction():
        node.tasks.handle(event, node.clock.now)
        raise ZeroDivisionError
