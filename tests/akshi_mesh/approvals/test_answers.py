"""An answer counts only if it is the operator's own, to this node, to this question, in time."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import trio
import trio.testing

from akshi_mesh.approvals.errors import MalformedAnswer
from akshi_mesh.approvals.message import Answer, News
from identity import SigningKey
from identity.envelope import Kind, seal
from identity.errors import BadSignature, Expired, WrongAudience
from sandbox.approval_life import Approval, Standing
from sandbox.approvals import digest_of
from tests.akshi_mesh.approvals.desks import BOB, MALLORY
from tests.akshi_mesh.approvals.offices import (
    NETWORK,
    NODE,
    Asking,
    Net,
    Site,
    row,
    settle,
)

# What does not count


def forged(
    key: SigningKey,
    one: Approval,
    *,
    audience: SigningKey = NODE,
    expires_ms: int | None = None,
    **changes: object,
) -> bytes:
    """An answer signed by `key`, with what is changed about it."""
    answer = replace(Answer(one.id, one.subject.hash, approves=True), **changes)  # type: ignore[arg-type]
    return seal(
        key,
        kind=Kind.APPROVAL,
        body=answer.to_cbor(),
        network=NETWORK,
        nonce=bytes(16),
        issued_ms=one.asked_ms,
        expires_ms=one.expires_ms if expires_ms is None else expires_ms,
        audience=audience.public_key,
    )


@pytest.fixture
async def pending(net: Net, node: Site, alice: Site, nursery: trio.Nursery) -> Approval:
    Asking(node, nursery)
    await settle()
    return row(node)


def still_pending(node: Site) -> bool:
    return row(node).standing is Standing.PENDING and not row(node).votes


async def test_an_answer_of_somebody_who_is_no_operator(
    net: Net, node: Site, pending: Approval
) -> None:
    why = net.deliver(MALLORY.public_key, NODE.public_key, forged(MALLORY, pending))
    assert why == "an approval of somebody who is no operator of this node"
    assert still_pending(node)


async def test_an_answer_of_an_operator_who_is_not_trusted_any_more(
    net: Net, node: Site, pending: Approval
) -> None:
    node.trusted.remove(BOB.public_key)
    assert net.deliver(BOB.public_key, NODE.public_key, forged(BOB, pending)) is not None
    assert still_pending(node)


async def test_an_answer_with_a_forged_signature(net: Net, node: Site, pending: Approval) -> None:
    data = forged(BOB, pending)
    with pytest.raises(BadSignature):
        net.deliver(BOB.public_key, NODE.public_key, data[:-1] + bytes([data[-1] ^ 1]))
    as_if_bob = forged(MALLORY, pending).replace(MALLORY.public_key, BOB.public_key)
    with pytest.raises(BadSignature):
        net.deliver(BOB.public_key, NODE.public_key, as_if_bob)
    assert still_pending(node)


async def test_an_answer_that_was_meant_for_another_node(
    net: Net, node: Site, pending: Approval
) -> None:
    with pytest.raises(WrongAudience):
        net.deliver(BOB.public_key, NODE.public_key, forged(BOB, pending, audience=MALLORY))
    assert still_pending(node)


async def test_an_answer_that_has_expired(net: Net, node: Site, pending: Approval) -> None:
    data = forged(BOB, pending, expires_ms=pending.asked_ms + 1_000)
    net.world.pass_ms(1_000)
    with pytest.raises(Expired):
        net.deliver(BOB.public_key, NODE.public_key, data)
    assert still_pending(node)


async def test_an_answer_about_another_subject(net: Net, node: Site, pending: Approval) -> None:
    data = forged(BOB, pending, subject=digest_of(b"another"))
    assert net.deliver(BOB.public_key, NODE.public_key, data) is not None
    assert still_pending(node)


async def test_an_answer_to_nothing(net: Net, node: Site, pending: Approval) -> None:
    data = forged(BOB, pending, approval="apr-" + "f" * 16)
    assert net.deliver(BOB.public_key, NODE.public_key, data) == (
        "an approval of a question that is not here"
    )
    assert still_pending(node)


async def test_an_answer_that_comes_twice_counts_once(
    net: Net, node: Site, nursery: trio.Nursery, alice: Site
) -> None:
    Asking(node, nursery, quorum=2)
    await settle()
    data = forged(BOB, row(node))
    assert net.deliver(BOB.public_key, NODE.public_key, data) is None
    assert net.deliver(BOB.public_key, NODE.public_key, data) is None
    assert [vote.operator for vote in row(node).votes] == [str(BOB.did)]
    nursery.cancel_scope.cancel()


async def test_an_old_yes_is_no_yes_to_the_next_question(
    net: Net, node: Site, pending: Approval, nursery: trio.Nursery
) -> None:
    """Recorded on the wire and played again after the same call has asked anew."""
    data = forged(BOB, pending)
    node.office.desk.withdraw(pending.task_id, "the attempt died")
    Asking(node, nursery)
    await settle()
    assert row(node).subject == pending.subject
    assert net.deliver(BOB.public_key, NODE.public_key, data) is not None
    assert still_pending(node)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: b"",
        lambda body: b"\xa0",
        lambda body: body + b"\0",
        lambda body: body.replace(b"apr-", b"apr_"),
    ],
)
async def test_nonsense_ends_the_link(
    net: Net, node: Site, pending: Approval, spoil: Callable[[bytes], bytes]
) -> None:
    body = spoil(Answer(pending.id, pending.subject.hash, approves=True).to_cbor())
    with pytest.raises(MalformedAnswer):
        Answer.from_cbor(body)
    with pytest.raises(MalformedAnswer):
        News.from_cbor(spoil(News(pending).to_cbor()) if b"apr-" in body else body)
