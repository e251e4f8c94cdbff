"""Conversations between nodes about tasks: each acknowledged, done once, and reported."""

import pytest

from sync.proto.task_states import TaskState
from tests.sync.task_nodes import (
    Clock,
    Node,
    deliver,
    linked,
    pass_time,
    ready,
)

MINUTE_MS = 60_000
DAY_S = 86_400.0


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
    assert bob.store.received.get(task_id).outbox is None  # type: ignore[union-attr]
    assert not ann.wire
    assert not bob.wire


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
