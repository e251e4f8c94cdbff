"""Two logs are compared over the wire: equal ones agree, lies are found and proved."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from akshi_mesh.api.errors import PeerSilent
from akshi_mesh.audit import reconciler as module
from akshi_mesh.audit.receipts import CONTRADICTED, of_task
from akshi_mesh.audit.reconcile import PAGE_ROWS, Page, Question, Row
from akshi_mesh.audit.reconciler import Reconciler
from identity.envelope import Envelope, Kind, open_envelope
from sync.proto.task_bodies import Receipt, dump_receipts
from sync.proto.task_states import Disposition
from tests.akshi_mesh.audit.signing_nodes import SigningNode, done, signing_pair
from tests.sync.task_nodes import NETWORK, START_MS, deliver

Lie = Callable[[Page], Page]


class Talker:
    """A node that talks about receipts; what it answers may be a lie."""

    def __init__(self, node: SigningNode) -> None:
        self.node = node
        self.others: dict[bytes, Talker] = {}
        self.lie: Lie | None = None
        self.is_linked = True
        self.asked = 0
        self.reconciler = Reconciler(
            node.key,
            node.db,
            node.receipts,
            self.send,
            network=NETWORK,
            nonce=lambda: next(node._nonces),
            wall_ms=lambda: node.clock.now.wall_ms,
        )

    def send(self, peer: bytes, message_type: int, body: bytes) -> bool:
        if not self.is_linked:
            return False
        other = self.others[peer]
        opened = open_envelope(body, network=NETWORK, me=peer, now_ms=self.node.clock.now.wall_ms)
        trio.lowlevel.current_trio_token()  # only within a run
        other.hear(self.node.me, opened)
        return True

    def hear(self, peer: bytes, opened: Envelope) -> None:
        self.asked += opened.kind is Kind.RECONCILE
        if self.lie is not None and opened.kind is Kind.RECONCILE:
            page = self.reconciler._page(peer, Question.from_cbor(opened.body))
            body = self.lie(page).to_cbor()
            _, data = self.reconciler._sealed(peer, Kind.RECONCILED, body, about=opened.id)
            self.send(peer, 0, data)
        else:
            self.reconciler.take(peer, opened)


@pytest.fixture
def talkers() -> tuple[Talker, Talker]:
    ann, bob = (Talker(node) for node in signing_pair())
    ann.others[bob.node.me] = bob
    bob.others[ann.node.me] = ann
    return ann, bob


@pytest.fixture
def clock(autojump_clock: MockClock) -> Iterator[MockClock]:
    return autojump_clock  # type: ignore[return-value]


def changed(**changes: object) -> Lie:
    def lie(page: Page) -> Page:
        rows = tuple(replace(row, **changes) for row in page.rows)  # type: ignore[arg-type]
        return replace(page, rows=rows)

    return lie


async def test_two_honest_nodes_agree(talkers: tuple[Talker, Talker]) -> None:
    ann, bob = talkers
    for number in range(3):
        done(ann.node, bob.node, f"task {number}")
    for one, other in ((ann, bob), (bob, ann)):
        report = await one.reconciler.reconcile(other.node.me)
        assert (report["agreed"], report["one_sided"], report["contradictory"]) == (3, 0, 0)
        assert report["first"] is None


async def test_many_tasks_come_in_pages(
    talkers: tuple[Talker, Talker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = talkers
    for number in range(11):
        done(ann.node, bob.node, f"task {number}")
    monkeypatch.setattr(module, "PAGE_ROWS", 2)
    report = await ann.reconciler.reconcile(bob.node.me)
    assert report["agreed"] == 11
    assert bob.asked == 6
    missing = sorted(t for (t,) in bob.node.db.rows("SELECT task_id FROM audit_receipts"))[3:6]
    with bob.node.db.transaction():
        for task_id in missing:
            bob.node.db.execute("DELETE FROM audit_receipts WHERE task_id = ?", (task_id,))
    report = await ann.reconciler.reconcile(bob.node.me)
    assert (report["agreed"], report["one_sided"]) == (8, 3)
    assert {finding["task_id"] for finding in report["findings"]} == {t.hex() for t in missing}
    report = await bob.reconciler.reconcile(ann.node.me)
    assert (report["agreed"], report["one_sided"]) == (8, 3)


async def test_only_tasks_between_the_two_are_told(talkers: tuple[Talker, Talker]) -> None:
    ann, bob = talkers
    done(ann.node, bob.node)
    stranger = b"s" * 32
    assert bob.reconciler._page(stranger, Question()).rows == ()
    (row,) = bob.reconciler._page(ann.node.me, Question()).rows
    assert bob.reconciler._page(stranger, Question(receipt_of=row.task_id)).receipt == b""


async def test_one_lost_receipt_is_one_sided_and_named(talkers: tuple[Talker, Talker]) -> None:
    ann, bob = talkers
    done(ann.node, bob.node, "first")
    lost = ann.node.submit(bob.node, "second")
    deliver(ann.node, bob.node)
    bob.node.finish_all()
    for send in bob.node.wire:
        ann.node.receive(bob.node, send.data)
    bob.node.wire.clear()
    ann.node.clock.mono_s += 0.1
    ann.node.wake()
    ann.node.wire.clear()
    for one, other, why in (
        (ann, bob, "the other node lacks a signature"),
        (bob, ann, "no receipt came"),
    ):
        report = await one.reconciler.reconcile(other.node.me)
        assert (report["agreed"], report["one_sided"], report["contradictory"]) == (1, 1, 0)
        assert report["first"] is not None
        assert (report["first"]["task_id"], report["first"]["why"]) == (lost.hex(), why)


@pytest.mark.parametrize("change", ["answer", "request", "state"])
async def test_a_forged_row_contradicts_and_its_signature_is_kept(
    talkers: tuple[Talker, Talker], change: str
) -> None:
    ann, bob = talkers
    task_id = done(ann.node, bob.node)
    bob.lie = changed(**{change: "failed" if change == "state" else b"x" * 32})
    for _ in range(2):  # the second time it is found again, and recorded no more
        report = await ann.reconciler.reconcile(bob.node.me)
        assert (report["agreed"], report["contradictory"]) == (0, 1)
    (held,) = of_task(ann.node.db, task_id)
    assert held.standing == CONTRADICTED
    said = open_envelope(held.other, network=NETWORK, me=ann.node.me, now_ms=2 * START_MS)
    assert (said.author, said.kind) == (bob.node.me, Kind.RECONCILED)
    assert getattr(Page.from_cbor(said.body).rows[0], change) != getattr(held, change)
    assert [leaf.event.value for leaf in ann.node.leaves] == ["receipt", "contradicted"]


async def test_a_receipt_that_was_never_signed_cannot_be_shown(
    talkers: tuple[Talker, Talker],
) -> None:
    ann, bob = talkers
    task_id = done(ann.node, bob.node)
    bob.lie = changed(receipt_id=b"x" * 32)
    report = await ann.reconciler.reconcile(bob.node.me)
    assert report["contradictory"] == 1
    assert report["first"] is not None
    assert report["first"]["why"] == "it claims a receipt that this node did not sign"
    (held,) = of_task(ann.node.db, task_id)
    assert held.standing == CONTRADICTED


@pytest.mark.parametrize("shown", [b"", b"nonsense"])
async def test_a_made_up_receipt_is_no_receipt(
    talkers: tuple[Talker, Talker], shown: bytes
) -> None:
    ann, bob = talkers
    done(ann.node, bob.node)

    def lie(page: Page) -> Page:
        if page.receipt is not None:
            return replace(page, receipt=shown)
        return changed(receipt_id=b"x" * 32)(page)

    bob.lie = lie
    assert (await ann.reconciler.reconcile(bob.node.me))["contradictory"] == 1


async def test_a_receipt_of_its_own_hand_is_not_ours(talkers: tuple[Talker, Talker]) -> None:
    ann, bob = talkers
    task_id = done(ann.node, bob.node)
    (theirs,) = of_task(bob.node.db, task_id)
    own_id, own = bob.node.tasks._post._author.seal(
        Kind.RECEIPT,
        dump_receipts([Receipt(theirs.result_id, Disposition.DONE)]),
        now=bob.node.clock.now,
        audience=bob.node.me,
    )

    def lie(page: Page) -> Page:
        if page.receipt is not None:
            return replace(page, receipt=own)
        return changed(receipt_id=own_id)(page)

    bob.lie = lie
    assert (await ann.reconciler.reconcile(bob.node.me))["contradictory"] == 1


async def test_an_answer_of_somebody_else_is_no_answer(
    talkers: tuple[Talker, Talker], clock: MockClock
) -> None:
    ann, bob = talkers
    done(ann.node, bob.node)

    def through_carol(peer: bytes, opened: Envelope) -> None:
        _, data = bob.reconciler._sealed(peer, Kind.RECONCILED, Page().to_cbor(), about=opened.id)
        answer = open_envelope(data, network=NETWORK, me=peer, now_ms=2 * START_MS)
        ann.reconciler.take(b"c" * 32, answer)

    bob.hear = through_carol  # type: ignore[method-assign]
    with pytest.raises(PeerSilent, match="no answer"):
        await ann.reconciler.reconcile(bob.node.me)


async def test_a_receipt_that_we_signed_and_forgot_is_believed(
    talkers: tuple[Talker, Talker],
) -> None:
    """A power cut or a backup took ours; the peer shows it, and it is our own signature."""
    ann, bob = talkers
    task_id = done(ann.node, bob.node)
    with ann.node.db.transaction():
        ann.node.db.execute("UPDATE audit_receipts SET receipt_id = ?", (b"o" * 32,))
    report = await ann.reconciler.reconcile(bob.node.me)
    assert (report["agreed"], report["contradictory"]) == (1, 0)
    (held,) = of_task(ann.node.db, task_id)
    assert held.standing != CONTRADICTED


async def test_a_task_that_is_left_out_is_one_sided(talkers: tuple[Talker, Talker]) -> None:
    ann, bob = talkers
    done(ann.node, bob.node)
    bob.lie = lambda page: Page() if page.receipt is None else page
    report = await ann.reconciler.reconcile(bob.node.me)
    assert (report["agreed"], report["one_sided"]) == (0, 1)


async def test_who_asks_too_often_is_told_and_asks_again(
    talkers: tuple[Talker, Talker], clock: MockClock
) -> None:
    ann, bob = talkers
    done(ann.node, bob.node)
    for _ in range(module.QUESTIONS_BURST):
        assert not bob.reconciler._page(ann.node.me, Question()).busy
    assert bob.reconciler._page(ann.node.me, Question()).busy
    assert (await ann.reconciler.reconcile(bob.node.me))["agreed"] == 1


async def test_silence_nonsense_and_endless_pages_end(
    talkers: tuple[Talker, Talker], clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = talkers
    ann.is_linked = False
    with pytest.raises(PeerSilent, match="no link"):
        await ann.reconciler.reconcile(bob.node.me)
    ann.is_linked = True
    monkeypatch.setattr(bob, "hear", lambda peer, opened: None)
    with pytest.raises(PeerSilent, match="no answer"):
        await ann.reconciler.reconcile(bob.node.me)
    monkeypatch.undo()
    bob.lie = lambda _: Page(busy=True)
    with pytest.raises(PeerSilent, match="no time"):
        await ann.reconciler.reconcile(bob.node.me)
    row = Row(b"t" * 32, False, "completed", b"", b"", b"", b"", 0, "open")
    bob.lie = lambda _: Page((row, row))
    with pytest.raises(PeerSilent, match="nonsense"):
        await ann.reconciler.reconcile(bob.node.me)
    numbers = iter(range(1, 10_000))

    def endless(_: Page) -> Page:
        bob.reconciler._budgets.clear()
        rows = tuple(
            replace(row, task_id=next(numbers).to_bytes(32, "big")) for _ in range(PAGE_ROWS)
        )
        return Page(rows, rows[-1].task_id)

    bob.lie = endless
    monkeypatch.setattr(module, "PAGES_MAX", 5)
    with pytest.raises(PeerSilent, match="for ever"):
        await ann.reconciler.reconcile(bob.node.me)
    assert len(ann.reconciler._asked) == 0
