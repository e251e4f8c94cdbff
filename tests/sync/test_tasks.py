"""Conversations between nodes about tasks: each acknowledged, done once, and reported."""

import itertools

import pytest

from sync.proto.task_events import AgentStopped, AttemptEnded, AttemptLost, ProgressMade, TrustLost
from sync.proto.task_messages import words_of
from sync.proto.task_states import Completed, Failed, TaskState
from tests.sync.task_nodes import Clock, Node, deliver, linked, pass_time, ready, unlinked


@pytest.fixture
def ann() -> Node:
    return Node("ann", Clock())


@pytest.fixture
def bob(ann: Node) -> Node:
    node = Node("bob", ann.clock)
    ready(node)
    return node


def state(node: Node, task_id: bytes) -> TaskState:
    return node.tasks.get(task_id).state


def test_a_task_is_sent_done_and_answered(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    task_id = ann.submit(bob)
    assert state(ann, task_id) is TaskState.SUBMITTED
    deliver(ann, bob)
    attempt = bob.running[task_id]
    assert (attempt.agent, attempt.peer, attempt.chain) == ("echo", ann.me, ())
    assert '"text":"hello"' in attempt.message
    bob.finish(task_id, "world")
    deliver(ann, bob)
    view = ann.tasks.get(task_id)
    assert view.state is TaskState.COMPLETED
    assert '"text":"world"' in (view.result or "")
    ledger = ann.tasks.ledger(bob.me)
    assert (ledger.sent, ledger.acknowledged, ledger.queued) == (1, 1, 0)
    pass_time(1, ann, bob)
    assert bob.tasks.why(task_id, bob.clock.now)["result_delivered"]
    assert ann.store.outbox.last_number() == bob.store.outbox.last_number() == 0


def test_a_task_to_oneself_takes_the_same_way(ann: Node) -> None:
    linked(ann)
    ready(ann)
    task_id = ann.submit(ann)
    deliver(ann)
    ann.finish(task_id)
    pass_time(1, ann)
    assert ann.tasks.get(task_id, "sent").state is TaskState.COMPLETED
    assert ann.tasks.get(task_id, "received").state is TaskState.COMPLETED
    assert ann.is_conserved()
    assert ann.store.outbox.last_number() == 0


def test_an_offline_peer_gets_its_tasks_when_it_returns(ann: Node, bob: Node) -> None:
    ids = [ann.submit(bob, f"task {number}") for number in range(120)]
    assert ann.tasks.ledger(bob.me).queued == 120
    assert not ann.wire
    linked(ann, bob)
    for _ in ids:
        pass_time(0.1, ann, bob)
        bob.finish_all()
    pass_time(1, ann, bob)
    assert bob.begun == ids, "in order, each once"
    assert all(state(ann, task_id) is TaskState.COMPLETED for task_id in ids)


def test_an_acknowledgement_that_gathers_is_one_envelope(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    for _ in range(20):
        ann.submit(bob)
    sends, ann.wire = ann.wire, []
    for send in sends:
        bob.receive(ann, send.data)
    assert not bob.wire, "they gather for a moment"
    bob.clock.mono_s = 0.03
    bob.wake()
    assert len(bob.wire) == 1
    deliver(ann, bob)
    assert ann.tasks.ledger(bob.me).acknowledged == 20


def test_a_lost_task_is_offered_again_with_longer_pauses(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    task_id = ann.submit(bob)
    at = []
    while len(at) < 8:
        ann.wire.clear()
        ann.clock.mono_s = ann.tasks.deadline
        ann.wake()
        at += [ann.clock.mono_s] * len(ann.wire)
    pauses = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert all(0.75 <= pause / 2**n <= 1.0 for n, pause in enumerate(pauses[:4], 1))
    assert max(pauses) <= 60
    deliver(ann, bob)
    assert list(bob.running) == [task_id]


def test_a_copy_is_not_done_twice(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    task_id = ann.submit(bob)
    copy = ann.wire[0]
    deliver(ann, bob)
    bob.receive(ann, copy.data)
    bob.finish(task_id)
    bob.receive(ann, copy.data)
    pass_time(1, ann, bob)
    bob.receive(ann, copy.data)
    pass_time(1, ann, bob)
    assert bob.begun == [task_id]
    assert ann.is_conserved()
    assert bob.store.outbox.last_number() == 0, "the result was offered again and acknowledged"


def test_a_lost_result_is_offered_again_by_the_next_process(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.finish(task_id)
    bob.restart()
    assert state(ann, task_id) is not TaskState.COMPLETED
    unlinked(ann)
    linked(ann, bob)
    pass_time(1, ann, bob)
    assert state(ann, task_id) is TaskState.COMPLETED
    assert bob.begun == [task_id]


def test_an_unfinished_task_is_started_again_after_a_restart(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    first, second = ann.submit(bob), ann.submit(bob)
    deliver(ann, bob)
    bob.restart()
    assert not bob.running, "not before its agent is ready"
    ready(bob)
    assert list(bob.running) == [first]
    bob.finish(first)
    bob.finish(second)
    assert bob.begun == [first, first, second]


def test_a_peer_that_forgot_is_offered_its_tasks_again(ann: Node, bob: Node) -> None:
    """Its last second went with the power; its new epoch tells us."""
    linked(ann, bob)
    image = bob.db.image()
    task_id = ann.submit(bob)
    pass_time(1, ann, bob)
    assert ann.tasks.ledger(bob.me).acknowledged == 1
    bob.db.restore(image)
    bob.restart()
    ready(bob)
    unlinked(ann)
    linked(ann, bob)
    pass_time(1, ann, bob)
    bob.finish(task_id)
    pass_time(1, ann, bob)
    assert state(ann, task_id) is TaskState.COMPLETED
    assert ann.tasks.ledger(bob.me).acknowledged == 1
    assert ann.is_conserved()


def test_the_same_epoch_is_not_offered_anything_again(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    ann.submit(bob)
    pass_time(1, ann, bob)
    unlinked(ann, bob)
    linked(ann, bob)
    assert not ann.wire


def test_refused_with_the_reason_and_the_same_way_again(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    bob.policy.refusals["echo"] = "not allowed: a2a:echo"
    task_id = ann.submit(bob)
    copy = ann.wire[0]
    deliver(ann, bob)
    view = ann.tasks.get(task_id)
    assert (view.state, view.reason) == (TaskState.REJECTED, "not allowed: a2a:echo")
    assert words_of(view.result or "") == "not allowed: a2a:echo"
    assert ann.tasks.ledger(bob.me).refused == 1
    bob.policy.refusals.clear()
    bob.receive(ann, copy.data)
    assert not bob.begun, "its sender was told no"
    assert bob.tasks.get(task_id).state is TaskState.REJECTED
    assert bob.tasks.why(task_id, bob.clock.now)["turned_away"] == "refused"


def test_slots_are_honoured_and_agents_do_not_wait_for_each_other(ann: Node, bob: Node) -> None:
    bob.policy.slot_count = 2
    ready(bob, "other")
    linked(ann, bob)
    echo = [ann.submit(bob) for _ in range(5)]
    other = ann.submit(bob, agent="other")
    deliver(ann, bob)
    assert list(bob.running) == [*echo[:2], other]
    bob.finish(echo[0])
    assert list(bob.running) == [echo[1], other, echo[2]]


def test_a_stopped_agent_keeps_its_queue(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    first, second = ann.submit(bob), ann.submit(bob)
    deliver(ann, bob)
    bob.handle(AgentStopped("echo"), AttemptLost(first))
    bob.running.clear()
    pass_time(1, ann, bob)
    assert bob.begun == [first]
    assert state(bob, first) is TaskState.SUBMITTED
    ready(bob)
    bob.finish(first)
    bob.finish(second)
    pass_time(1, ann, bob)
    assert state(ann, second) is TaskState.COMPLETED


def test_a_failure_is_reported_with_its_words(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.handle(AttemptEnded(task_id, Failed("out-of-fuel", 'half a character: "\ud800"')))
    deliver(ann, bob)
    view = ann.tasks.get(task_id)
    assert view.state is TaskState.FAILED
    assert view.reason == 'half a character: "?"'
    assert '"code":"out-of-fuel"' in (view.result or "")


@pytest.mark.parametrize(
    "parts",
    ["", "[]", "{}", '[{"text":1}]', '[{"text":"a","url":"b"}]', f'[{{"text":"{"x" * 61_000}"}}]'],
    ids=["empty", "none", "object", "number", "two kinds", "too large"],
)
def test_an_answer_that_cannot_be_told_is_a_failure(ann: Node, bob: Node, parts: str) -> None:
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.handle(AttemptEnded(task_id, Completed(parts)))
    deliver(ann, bob)
    assert '"code":"invalid-result"' in (ann.tasks.get(task_id).result or "")


def test_progress_reaches_the_sender_and_the_latest_wins(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    for word in ("one", "two", "three"):
        bob.handle(ProgressMade(task_id, word))
    deliver(ann, bob)
    assert words_of(ann.tasks.get(task_id).progress or "") == "one"
    pass_time(0.1, ann, bob)
    assert words_of(ann.tasks.get(task_id).progress or "") == "three", "two was overtaken"
    assert state(ann, task_id) is TaskState.WORKING
    ann.changed.clear()
    bob.handle(ProgressMade(task_id, "four"))
    bob.finish(task_id)
    pass_time(1, ann, bob)
    view = ann.tasks.get(task_id)
    assert (view.progress, view.state) == (None, TaskState.COMPLETED)
    assert task_id in ann.changed
    bob.handle(ProgressMade(task_id, "too late"))
    assert not bob.wire


def test_progress_that_was_overtaken_on_the_way_does_not_turn_back_time(
    ann: Node, bob: Node
) -> None:
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.handle(ProgressMade(task_id, "old"))
    old = [send for send in bob.wire if send.id is None][-1]
    pass_time(1, ann, bob)
    bob.handle(ProgressMade(task_id, "new"))
    deliver(ann, bob)
    ann.receive(bob, old.data)
    assert words_of(ann.tasks.get(task_id).progress or "") == "new"


def test_cancel_of_what_runs_stops_it(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    task_id = ann.submit(bob)
    pass_time(1, ann, bob)
    ann.cancel(task_id)
    deliver(ann, bob)
    assert bob.stopped == [task_id]
    assert bob.tasks.is_cancelled(task_id)
    bob.finish(task_id)
    pass_time(1, ann, bob)
    assert state(ann, task_id) is state(bob, task_id) is TaskState.CANCELED
    assert ann.store.outbox.last_number() == 0, "the cancel was answered"
    ann.cancel(task_id)
    assert not ann.wire, "what has ended is not cancelled"


def test_cancel_of_what_waits_there_means_it_never_runs(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    running, waiting = ann.submit(bob), ann.submit(bob)
    pass_time(1, ann, bob)
    ann.cancel(waiting)
    pass_time(1, ann, bob)
    assert state(ann, waiting) is TaskState.CANCELED
    bob.finish_all()
    assert bob.begun == [running]


def test_a_cancel_survives_a_restart_of_the_runner(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    task_id = ann.submit(bob)
    pass_time(1, ann, bob)
    ann.cancel(task_id)
    deliver(ann, bob)
    bob.restart()
    ready(bob)
    assert not bob.running
    assert state(bob, task_id) is TaskState.CANCELED


def test_a_task_for_an_absent_peer_is_withdrawn_at_once(ann: Node, bob: Node) -> None:
    task_id = ann.submit(bob)
    ann.cancel(task_id)
    assert state(ann, task_id) is TaskState.CANCELED
    ledger = ann.tasks.ledger(bob.me)
    assert (ledger.queued, ledger.expired) == (0, 1)
    linked(ann, bob)
    pass_time(1, ann, bob)
    assert not bob.begun
    assert ann.store.outbox.last_number() == 0, "the peer knew nothing of it, and said so"


def test_lost_trust_stops_everything_of_that_peer(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    running, waiting = ann.submit(bob), ann.submit(bob)
    deliver(ann, bob)
    bob.handle(TrustLost(ann.me))
    assert bob.stopped == [running]
    assert state(bob, waiting) is TaskState.CANCELED
    bob.finish(running)
    assert bob.begun == [running]
    assert state(bob, running) is TaskState.CANCELED


def test_lost_trust_stops_what_agents_here_do_for_that_peer(ann: Node, bob: Node) -> None:
    linked(ann, bob)
    relay = f"{bob.key.did}/relay"
    for_ann = bob.submit(bob, chain=(str(ann.key.did), relay))
    for_itself = bob.submit(bob, chain=(relay,))
    deliver(ann, bob)
    bob.handle(TrustLost(ann.me))
    assert bob.stopped == [for_ann] or state(bob, for_ann) is TaskState.CANCELED
    assert for_itself not in bob.stopped
    assert state(bob, for_itself) is not TaskState.CANCELED


def test_a_right_that_went_while_no_node_ran_starts_nothing(ann: Node, bob: Node) -> None:
    """Trust is removed or expires between acceptance and start: asked again, answered no."""
    linked(ann, bob)
    ids = [ann.submit(bob) for _ in range(2)]
    deliver(ann, bob)
    bob.policy.refusals["echo"] = "no right a2a:echo"
    bob.restart()
    ready(bob)
    linked(ann, bob)
    deliver(ann, bob)
    assert not bob.running
    for task_id in ids:
        assert bob.tasks.get(task_id).state is TaskState.CANCELED
        assert ann.tasks.get(task_id).reason == "not allowed any more: no right a2a:echo"
    assert ann.is_conserved()
    assert bob.is_conserved()
