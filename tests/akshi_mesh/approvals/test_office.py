"""Two nodes, one question: it is asked there, answered here, and nobody else's answer counts."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import trio
import trio.testing

from akshi_mesh.approvals.errors import MalformedAnswer, UnknownApproval
from akshi_mesh.approvals.message import Answer, News
from akshi_mesh.approvals.office import SCHEMA, ApprovalOffice, Around
from akshi_mesh.approvals.seen import PER_PEER_MAX, Seen
from akshi_mesh.config.model import ApprovalConfig
from identity import SigningKey
from identity.envelope import Envelope, Kind, open_envelope, seal
from identity.errors import BadSignature, Expired, WrongAudience
from sandbox.approval_life import Approval, Standing
from sandbox.approvals import Approved, Decision, Denied, Question, digest_of
from sandbox.errors import ApprovalClosed
from sync.store.database import Database
from tests.akshi_mesh.approvals.desks import ALICE, BOB, MALLORY, ME, World
from tests.sandbox.questions import question

NETWORK = "test"
NODE = ME  # asks; ALICE and BOB are its operators


class Site:
    """One node's office, joined to others by `Net`."""

    def __init__(self, net: "Net", key: SigningKey, operators: tuple[SigningKey, ...]) -> None:
        self.net, self.key = net, key
        self.world = World(Database.open(":memory:", schemas=SCHEMA))
        self.config = ApprovalConfig(tuple(operator.did for operator in operators))
        self.trusted = {other.public_key for other in (ME, ALICE, BOB, MALLORY)}
        self.room = True
        self.start()

    def start(self) -> None:
        """A new run of the node over the same store."""
        self.office = ApprovalOffice(
            self.world.database,
            self.world,
            self.config,
            Around(
                key=self.key,
                network=NETWORK,
                is_trusted=self.trusted.__contains__,
                send=self._send,
                clock=self.net.world.moment,
                stored_ms=0,
                nonce=lambda: self.world.draw(16),
                draw=self.world.draw,
            ),
        )

    def _send(self, peer: bytes, _: int, data: bytes) -> bool:
        return self.room and self.net.carry(self.key.public_key, peer, data)


class Net:
    """Links that carry at once and in order, and remember what they carried."""

    def __init__(self) -> None:
        self.world = World()
        self.sites: dict[bytes, Site] = {}
        self.links: set[frozenset[bytes]] = set()
        self.carried: list[tuple[bytes, bytes, bytes]] = []
        self.refused: list[str | None] = []

    def site(self, key: SigningKey, *operators: SigningKey) -> Site:
        self.sites[key.public_key] = Site(self, key, operators)
        return self.sites[key.public_key]

    def link(self, one: SigningKey, two: SigningKey) -> None:
        self.links.add(frozenset((one.public_key, two.public_key)))
        self.sites[one.public_key].office.greet(two.public_key)
        self.sites[two.public_key].office.greet(one.public_key)

    def cut(self, one: SigningKey, two: SigningKey) -> None:
        self.links.remove(frozenset((one.public_key, two.public_key)))
        self.sites[one.public_key].office.part(two.public_key)
        self.sites[two.public_key].office.part(one.public_key)

    def carry(self, sender: bytes, receiver: bytes, data: bytes) -> bool:
        if frozenset((sender, receiver)) not in self.links:
            return False
        self.carried.append((sender, receiver, data))
        self.refused.append(self.deliver(sender, receiver, data))
        return True

    def deliver(self, sender: bytes, receiver: bytes, data: bytes) -> str | None:
        """As the mesh does: opened for the receiver, and only from its author."""
        opened = self.open(receiver, data)
        assert opened.author == sender, "the mesh refuses envelopes of others"
        return self.sites[receiver].office.take(sender, opened)

    def open(self, receiver: bytes, data: bytes) -> Envelope:
        return open_envelope(data, network=NETWORK, me=receiver, now_ms=self.world.wall_ms)


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture
def node(net: Net) -> Site:
    return net.site(NODE, ALICE, BOB)


@pytest.fixture
def alice(net: Net, node: Site) -> Site:
    site = net.site(ALICE)
    net.link(NODE, ALICE)
    return site


class Asking:
    def __init__(self, site: Site, nursery: trio.Nursery, **changes: object) -> None:
        self.decision: Decision | None = None
        nursery.start_soon(self._ask, site, question(**changes))

    async def _ask(self, site: Site, asked: Question) -> None:
        self.decision = await site.office.desk.ask(asked)


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


def seen(site: Site) -> Seen:
    (one,) = site.office.seen.all()
    return one


def row(site: Site) -> Approval:
    (one,) = site.office.desk.table.open()
    return one


def answered(site: Site, *, approves: bool = True, note: str = "") -> Seen:
    one = seen(site)
    return site.office.seen.answer(one.peer, one.approval.id, approves=approves, note=note)


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
        alice.office.seen.answer(NODE.public_key, "apr-0", approves=True, note="")


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
