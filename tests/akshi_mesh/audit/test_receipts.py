"""Both logs hold what both have signed about a task, and say so where a signature lacks."""

import hashlib
from dataclasses import replace

import pytest

from akshi_mesh.audit import receipts
from akshi_mesh.audit.receipts import AGREED, CONTRADICTED, LATE, OPEN, Held, of_task, one
from identity.envelope import Kind, open_envelope
from sync.errors import StoreFull
from sync.proto.task_bodies import dump_json
from tests.akshi_mesh.audit.signing_nodes import SigningNode, done, signing_pair
from tests.sync.task_nodes import NETWORK, START_MS, arrived, deliver, linked, pass_time, unlinked

HOUR_S = 3_600.0


def held(node: SigningNode, task_id: bytes) -> Held:
    (found,) = of_task(node.db, task_id)
    return found


def test_both_logs_hold_a_receipt_that_both_have_signed() -> None:
    ann, bob = signing_pair()
    task_id = done(ann, bob)
    theirs, ours = held(bob, task_id), held(ann, task_id)
    assert (ours.asked, theirs.asked) == (True, False)
    assert (ours.standing, theirs.standing) == (AGREED, AGREED)
    for field in ("request", "answer", "state", "result_id", "result", "receipt_id", "receipt"):
        assert getattr(ours, field) == getattr(theirs, field), field
    result = open_envelope(ours.result, network=NETWORK, me=ann.me, now_ms=START_MS)
    receipt = open_envelope(ours.receipt, network=NETWORK, me=bob.me, now_ms=START_MS)
    assert (result.author, result.in_reply_to, result.id) == (bob.me, task_id, ours.result_id)
    assert (receipt.author, receipt.kind, receipt.id) == (ann.me, Kind.RECEIPT, ours.receipt_id)
    for node, role in ((ann, "asked"), (bob, "did")):
        (leaf,) = node.leaves
        assert (leaf.event.value, leaf.code, leaf.task_id) == ("receipt", "completed", task_id)
        assert leaf.fact("role") == role
        assert leaf.fact("result") == ours.result_id.hex()
        assert leaf.fact("answer") == hashlib.sha256(result.body).hexdigest()


def test_a_task_to_oneself_needs_no_second_signature() -> None:
    ann, bob = signing_pair()
    task_id = bob.submit(bob)
    deliver(ann, bob)
    bob.finish_all()
    deliver(ann, bob)
    assert of_task(bob.db, task_id) == []
    assert bob.leaves == []


def test_a_receipt_that_is_lost_comes_with_the_next_offer() -> None:
    ann, bob = signing_pair()
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.finish_all()
    for send in bob.wire:
        ann.receive(bob, send.data)
    bob.wire.clear()
    ann.clock.mono_s += 0.1
    ann.wake()
    ann.wire.clear()  # the receipt is lost
    assert (held(ann, task_id).standing, held(bob, task_id).standing) == (AGREED, OPEN)
    pass_time(10, ann, bob)
    assert held(bob, task_id).standing == AGREED
    assert [leaf.event.value for leaf in bob.leaves] == ["receipt"]


def test_a_signature_that_does_not_come_within_an_hour_is_a_leaf() -> None:
    ann, bob = signing_pair()
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.finish_all()
    unlinked(ann, bob)
    bob.clock.mono_s += HOUR_S - 1
    assert not bob.receipts.turn()
    assert bob.leaves == []
    bob.clock.mono_s += 2
    assert not bob.receipts.turn()
    assert not bob.receipts.turn()
    (leaf,) = bob.leaves
    assert (leaf.event.value, leaf.detail) == ("uncountersigned", "no receipt came")
    assert held(bob, task_id).standing == LATE
    linked(ann, bob)
    pass_time(10, ann, bob)
    assert [leaf.event.value for leaf in bob.leaves] == ["uncountersigned", "receipt"]
    assert held(bob, task_id).standing == AGREED


def test_a_result_that_never_comes_is_a_leaf() -> None:
    ann, bob = signing_pair()
    task_id = ann.submit(bob, expires_ms=ann.clock.now.wall_ms + 60_000)
    pass_time(1, ann, bob)
    unlinked(ann, bob)
    ann.clock.mono_s += 2 * HOUR_S
    ann.wake()
    (leaf,) = ann.leaves
    assert (leaf.event.value, leaf.code, leaf.detail) == (
        "uncountersigned",
        "unknown",
        "no result came",
    )
    assert held(ann, task_id).standing == LATE


def test_a_second_result_that_says_something_else_is_kept_as_evidence_once() -> None:
    ann, bob = signing_pair()
    task_id = done(ann, bob)
    before = held(ann, task_id)
    text = ann.store.sent.get(task_id).result  # type: ignore[union-attr]
    for words in ("other words", "and others"):
        forged = dump_json(text.replace("done", words))  # type: ignore[union-attr]
        ann.handle(arrived(bob, ann, Kind.RESULT, forged, task_id))
    after = held(ann, task_id)
    assert after.standing == CONTRADICTED
    assert (after.result, after.receipt) == (before.result, before.receipt)
    other = open_envelope(after.other, network=NETWORK, me=ann.me, now_ms=START_MS)
    assert (other.author, other.in_reply_to) == (bob.me, task_id)
    assert b"other words" in other.body
    assert [leaf.event.value for leaf in ann.leaves] == ["receipt", "contradicted"]
    assert ann.leaves[1].fact("other") == hashlib.sha256(after.other).hexdigest()


def test_the_same_result_again_changes_nothing() -> None:
    ann, bob = signing_pair()
    task_id = done(ann, bob)
    text = ann.store.sent.get(task_id).result  # type: ignore[union-attr]
    ann.handle(arrived(bob, ann, Kind.RESULT, dump_json(text), task_id))  # type: ignore[arg-type]
    ann.clock.mono_s += 1
    ann.wake()
    assert held(ann, task_id).standing == AGREED
    assert len(ann.leaves) == 1


def test_without_room_for_the_leaf_nothing_is_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = signing_pair()
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.finish_all()
    for send in bob.wire:
        ann.receive(bob, send.data)
    bob.wire.clear()

    def full(row: object, *, fsync: bool) -> None:
        raise StoreFull("node.db", "full")

    monkeypatch.setattr(ann.audit, "_append", full)
    ann.clock.mono_s += 0.1
    with pytest.raises(StoreFull):
        ann.wake()
    assert [send for send in ann.wire if send.id is None] == []
    assert held(ann, task_id).standing == OPEN


def test_what_is_kept_is_bounded_and_leaves_with_age(monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = signing_pair()
    first = done(ann, bob, "first")
    ann.clock.mono_s += 10
    second = done(ann, bob, "second")
    at_ms = held(ann, second).at_ms
    ann.receipts.prune(at_ms)
    assert one(ann.db, bob.me, first, asked=True) is None
    assert held(ann, second).standing == AGREED
    monkeypatch.setattr(receipts, "ROWS_MAX", 1)
    bob.receipts.prune(0)
    assert of_task(bob.db, first) == []
    assert held(bob, second).standing == AGREED
    monkeypatch.setattr(receipts, "BYTES_MAX", 10)
    for _ in range(3):
        done(ann, bob, "more")
    monkeypatch.setattr(receipts, "ROWS_MAX", 1_000)
    bob.receipts.prune(0)
    assert bob.db.value("SELECT count(*) FROM audit_receipts") == 3
    monkeypatch.setattr(receipts, "UNSEALED_MAX", 1)
    ann.receipts._unsealed.update({b"a": b"x", b"b": b"y"})
    done(ann, bob, "again")
    assert ann.leaves[-1].event.value == "receipt"


def test_a_receipt_about_an_earlier_sealing_does_not_sign_this_one() -> None:
    ann, bob = signing_pair()
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.finish_all()
    before = held(bob, task_id)
    offered = bob.store.outbox.get(ann.me, 1)
    assert offered is not None
    result = open_envelope(before.result, network=NETWORK, me=ann.me, now_ms=START_MS)
    bob.receipts.result_acknowledged(replace(offered, id=b"x" * 32), result)
    assert held(bob, task_id).standing == OPEN
    bob.receipts.result_acknowledged(offered, result)
    assert held(bob, task_id).standing == AGREED


def test_a_result_that_is_sealed_anew_takes_the_place_of_one_that_nobody_has_signed() -> None:
    ann, bob = signing_pair()
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.finish_all()
    task, offered = bob.store.received.get(task_id), bob.store.outbox.get(ann.me, 1)
    assert task is not None
    assert offered is not None
    result = open_envelope(offered.data, network=NETWORK, me=ann.me, now_ms=START_MS)
    bob.receipts.result_offered(task, replace(offered, id=b"x" * 32), result.body)
    assert held(bob, task_id).result_id == b"x" * 32
    bob.receipts.result_offered(task, offered, result.body)
    bob.receipts.result_acknowledged(offered, result)
    signed = held(bob, task_id)
    bob.receipts.result_offered(task, replace(offered, id=b"x" * 32), result.body)
    bob.receipts.result_acknowledged(offered, result)
    assert held(bob, task_id) == signed
    assert [leaf.event.value for leaf in bob.leaves] == ["receipt"]


def test_a_result_that_comes_after_all_is_kept_and_signed() -> None:
    ann, bob = signing_pair()
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.finish_all()
    task = ann.store.sent.get(task_id)
    assert task is not None
    ann.receipts.result_missed(task)
    assert held(ann, task_id).standing == LATE
    deliver(ann, bob)
    ann.clock.mono_s += 0.1
    ann.wake()
    deliver(ann, bob)
    assert held(ann, task_id).standing == held(bob, task_id).standing == AGREED
    assert held(ann, task_id).result == held(bob, task_id).result


def test_what_is_contradicted_is_not_agreed_by_a_receipt_of_ours() -> None:
    ann, bob = signing_pair()
    task_id = ann.submit(bob)
    deliver(ann, bob)
    bob.finish_all()
    offered = bob.store.outbox.get(ann.me, 1)
    assert offered is not None
    ann.receive(bob, offered.data)
    forged = dump_json(ann.store.sent.get(task_id).result.replace("done", "other"))  # type: ignore[union-attr]
    ann.handle(arrived(bob, ann, Kind.RESULT, forged, task_id))
    ann.clock.mono_s += 0.1
    ann.wake()
    assert held(ann, task_id).standing == CONTRADICTED
    assert [leaf.event.value for leaf in ann.leaves] == ["contradicted"]
