"""What a killed run staged does not outlive its task."""

from sync.proto.messages import ENVELOPE
from sync.proto.task_events import TrustLost
from tests.sync.test_mesh import ALICE, BOB, NOW, Node


def test_what_a_dead_attempt_staged_goes_when_its_task_ends_without_another() -> None:
    """Else its rows would stay for ever: no attempt is left to commit or to drop them."""
    alice, bob = Node(ALICE), Node(BOB)
    bob.mesh.link_up(ALICE.public_key)
    task_id = bob.submit(ALICE)
    for _, message_type, body in bob.heard.sent:
        if message_type == ENVELOPE:
            alice.mesh.message(BOB.public_key, message_type, body)
    journals = alice.mesh.journals
    with alice.mesh.transaction():  # by an attempt that was killed since: none runs now
        journals.stage(
            "echo",
            ALICE.public_key,
            task_id=task_id,
            number=0,
            tag="t",
            text="half done",
            originator="bob",
            now=NOW,
        )

    alice.mesh.tell_tasks(TrustLost(BOB.public_key))

    assert alice.mesh.tasks.get(task_id, "received").is_ended
    assert journals.staged(task_id) == []
