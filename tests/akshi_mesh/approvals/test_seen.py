"""What other nodes ask this one's operator is bounded, and keeps its meaning."""

from dataclasses import replace

import pytest
import trio
import trio.testing

from akshi_mesh.approvals.errors import MalformedAnswer, UnknownApproval
from akshi_mesh.approvals.message import News
from akshi_mesh.approvals.seen import PER_PEER_MAX
from identity.envelope import Kind, seal
from sandbox.approval_life import Approval, Standing
from sandbox.errors import OtherSubject
from tests.akshi_mesh.approvals.desks import ALICE, MALLORY, World
from tests.akshi_mesh.approvals.offices import NETWORK, NODE, Net, Site, answered, seen
from tests.sandbox.questions import question

# The operator's side is bounded, too


def told(net: Net, one: Approval, *, refusal: str = "") -> str | None:
    data = seal(
        MALLORY,
        kind=Kind.APPROVAL_REQUEST,
        body=News(one, refusal).to_cbor(),
        network=NETWORK,
        nonce=bytes(16),
        issued_ms=net.world.wall_ms,
        expires_ms=net.world.wall_ms + 1_000,
        audience=ALICE.public_key,
    )
    return net.deliver(MALLORY.public_key, ALICE.public_key, data)


def asked(number: int = 0, **changes: object) -> Approval:
    start = question(number=number, **changes)
    return Approval.asked(f"apr-{number:016x}", start, now_ms=World().wall_ms)


def test_a_peer_that_floods_us_with_questions_buys_no_rows(net: Net, alice: Site) -> None:
    for number in range(PER_PEER_MAX):
        assert told(net, asked(number)) is None
    assert told(net, asked(PER_PEER_MAX)) is not None
    assert len(alice.office.seen.all()) == PER_PEER_MAX
    assert told(net, asked(0).withdrawn("over", now_ms=World().wall_ms)) is None
    assert told(net, asked(PER_PEER_MAX)) is None  # what is over makes room


def test_what_is_over_does_not_open_again(net: Net, alice: Site) -> None:
    one = asked()
    assert told(net, one.withdrawn("over", now_ms=one.asked_ms)) is None
    assert told(net, one) is None
    assert seen(alice).approval.standing is Standing.WITHDRAWN


def test_a_question_cannot_become_another_under_its_id(net: Net, alice: Site) -> None:
    told(net, asked())
    told(net, asked(request=b"pay mallory"))
    assert seen(alice).approval == asked()


def test_what_is_shown_must_be_what_is_asked(net: Net, alice: Site) -> None:
    with pytest.raises(MalformedAnswer, match="what is shown is not what is asked"):
        told(net, replace(asked(), shown=b"x" * len(asked().shown)))
    with pytest.raises(MalformedAnswer, match="lives too long"):
        told(net, replace(asked(), expires_ms=asked().asked_ms + 90_000_000))
    one, later = asked(), 10**9
    ahead = {name: getattr(one, name) + later for name in ("asked_ms", "expires_ms", "changed_ms")}
    with pytest.raises(MalformedAnswer, match="too far ahead"):
        told(net, replace(one, **ahead))


def test_what_nobody_asked_cannot_be_answered(alice: Site) -> None:
    with pytest.raises(UnknownApproval):
        alice.office.seen.answer(NODE.public_key, "apr-0", approves=True, subject=b"", note="")


async def test_what_is_long_over_is_forgotten(
    net: Net, alice: Site, autojump_clock: trio.testing.MockClock
) -> None:
    told(net, asked())
    async with trio.open_nursery() as nursery:
        await nursery.start(alice.office.run)
        net.world.pass_ms(25 * 3_600_000)
        await trio.sleep(601)
        assert alice.office.seen.all() == []
        nursery.cancel_scope.cancel()


def test_an_answer_is_for_what_the_operator_has_seen(net: Net, alice: Site) -> None:
    told(net, asked())
    one = seen(alice)
    with pytest.raises(OtherSubject):
        alice.office.seen.answer(
            one.peer, one.approval.id, approves=True, subject=bytes(32), note=""
        )
    assert seen(alice).approves is None


def test_an_operator_may_think_again_until_it_has_arrived(net: Net, alice: Site) -> None:
    told(net, asked())
    assert answered(alice).approves is True
    assert answered(alice, approves=False).approves is False
    assert seen(alice).waits


def test_a_row_that_cannot_be_read_is_not_shown(net: Net, alice: Site) -> None:
    told(net, asked())
    with alice.world.database.transaction():
        alice.world.database.execute("UPDATE approvals_seen SET record = x'00'")
    assert alice.office.seen.all() == []


def test_a_vote_of_nobody_is_nonsense(net: Net, alice: Site) -> None:
    voted = asked(quorum=2).voted(
        "nobody", approves=True, subject=asked().subject.hash, now_ms=asked().asked_ms
    )
    with pytest.raises(MalformedAnswer, match="a vote of nobody"):
        told(net, voted)
