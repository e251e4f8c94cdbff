"""A node whose store is older than what its peers know: a power cut, or a restored backup."""

from sync.proto.task_states import TaskState
from tests.sync.task_nodes import Clock, Node, deliver, linked, ready, unlinked


def test_a_result_that_the_sender_lost_is_told_again() -> None:
    """The sender's store is from after the receipt and before the result it has acknowledged."""
    clock = Clock()
    ann, bob = Node("ann", clock), Node("bob", clock)
    linked(ann, bob)
    task_id = ann.submit(bob)
    deliver(ann, bob)
    clock.mono_s += 1.0
    bob.wake()  # its receipt
    deliver(ann, bob)
    image = ann.db.image()
    ready(bob)
    bob.finish_all()
    deliver(ann, bob)
    clock.mono_s += 1.0
    ann.wake()  # the receipt of the result
    deliver(ann, bob)
    assert ann.tasks.get(task_id, "sent").state is TaskState.COMPLETED
    assert bob.store.outbox.last_number() == 0

    unlinked(ann, bob)
    ann.db.restore(image)
    ann.restart()
    assert ann.tasks.get(task_id, "sent").state is TaskState.WORKING
    linked(ann, bob)
    deliver(ann, bob)

    assert ann.tasks.get(task_id, "sent").state is TaskState.COMPLETED
    assert bob.begun == [task_id], "done once"
