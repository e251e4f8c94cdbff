"""Two nodes, one question: it is asked there, answered here, and nobody else's answer counts."""

import pytest
import trio
import trio.testing

from sandbox.approval_life import Standing
from sandbox.approvals import Approved, Denied
from sandbox.errors import ApprovalClosed
from tests.akshi_mesh.approvals.desks import ALICE, BOB
from tests.akshi_mesh.approvals.offices import NODE, Asking, Net, Site, answered, row, seen, settle
from tests.sandbox.questions import question


async def test_a_question_is_answered_from_another_node(
    net: Net, node: Site, alice: Site, nursery: trio.Nursery
) -> None:
    asking = Asking(node, nursery)
    await settle()
    assert seen(alice).approval == row(node)
    answered(alice)
    await settle()
    assert asking.decision == Approved(row(node).id)
    assert [vote.operator for vote in row(node).votes] == [str(ALICE.did)]
    after = seen(alice)
    assert (after.approval.standing, after.approves, after.waits) == (
        Standing.APPROVED,
        True,
        False,
    )


async def test_a_no_from_another_node_carries_its_note(
    net: Net, node: Site, alice: Site, nursery: trio.Nursery
) -> None:
    asking = Asking(node, nursery)
    await settle()
    answered(alice, approves=False, note="ask me tomorrow")
    await settle()
    assert asking.decision == Denied("ask me tomorrow")


async def test_whoever_links_later_is_told_what_waits(
    net: Net, node: Site, nursery: trio.Nursery
) -> None:
    asking = Asking(node, nursery)
    await settle()
    bob = net.site(BOB)
    net.link(NODE, BOB)
    answered(bob)
    await settle()
    assert isinstance(asking.decision, Approved)


async def test_two_of_two_nodes_must_say_yes(
    net: Net, node: Site, alice: Site, nursery: trio.Nursery
) -> None:
    bob = net.site(BOB)
    net.link(NODE, BOB)
    asking = Asking(node, nursery, quorum=2)
    await settle()
    answered(alice)
    await settle()
    assert row(node).standing is Standing.PENDING
    assert len(seen(bob).approval.votes) == 1
    answered(bob)
    await settle()
    assert isinstance(asking.decision, Approved)
    assert seen(alice).approval.standing is Standing.APPROVED


async def test_an_answer_waits_on_the_disk_until_there_is_a_link(
    net: Net, node: Site, alice: Site, nursery: trio.Nursery
) -> None:
    asking = Asking(node, nursery)
    await settle()
    net.cut(NODE, ALICE)
    assert answered(alice).waits
    alice.start()  # the operator's node restarts meanwhile
    net.link(NODE, ALICE)
    await settle()
    assert isinstance(asking.decision, Approved)
    assert not seen(alice).waits


async def test_an_answer_that_nobody_confirmed_is_sent_again(
    net: Net, node: Site, alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        asking = Asking(node, nursery)
        await settle()
        alice.room = False
        answered(alice)
        alice.room = True
        await nursery.start(alice.office.run)
        await trio.sleep(11)
        assert isinstance(asking.decision, Approved)
        nursery.cancel_scope.cancel()


async def test_a_full_link_is_told_when_it_has_room(
    net: Net, node: Site, alice: Site, nursery: trio.Nursery
) -> None:
    node.room = False
    Asking(node, nursery)
    await settle()
    assert alice.office.seen.all() == []
    node.room = True
    node.office.go_on(ALICE.public_key)
    assert seen(alice).approval.standing is Standing.PENDING
    nursery.cancel_scope.cancel()


async def test_what_was_withdrawn_or_answered_elsewhere_is_shown_as_that(
    net: Net, node: Site, alice: Site, nursery: trio.Nursery
) -> None:
    Asking(node, nursery)
    await settle()
    node.office.desk.withdraw(question().task_id, "the task was cancelled")
    assert seen(alice).approval.standing is Standing.WITHDRAWN
    with pytest.raises(ApprovalClosed):
        answered(alice)


async def test_an_answer_that_crosses_the_end_of_the_question_is_told_why_it_is_late(
    net: Net, node: Site, alice: Site, nursery: trio.Nursery
) -> None:
    Asking(node, nursery)
    await settle()
    alice.room = node.room = False
    node.office.desk.vote(row(node).id, str(NODE.did), approves=False, subject=None)
    answered(alice)
    alice.room = node.room = True
    alice.office.go_on(NODE.public_key)
    after = seen(alice)
    assert after.refusal.endswith("is denied")
    assert not after.waits
    assert net.refused[-2:] != [None, None]
