"""A bundle of a task proves to an outsider what both sides have signed about it."""

from dataclasses import replace

import pytest

from akshi_mesh.audit import verify_audit
from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.bundle import task_files
from akshi_mesh.audit.errors import NoTask
from akshi_mesh.audit.export import selection
from akshi_mesh.audit.notary import Notary
from akshi_mesh.audit.receipts import of_task
from identity.envelope import Kind
from sync.proto.task_bodies import dump_json
from tests.akshi_mesh.audit.signing_nodes import SigningNode, done, signing_pair
from tests.sync.task_nodes import NETWORK, arrived


def bundle(node: SigningNode, task_id: bytes) -> dict[str, bytes]:
    note = Notary(node.db, node.key, wall_ms=lambda: 0).checkpoint()
    return dict(task_files(AuditBook(node.db), note, task_id.hex(), network=NETWORK))


def refused(files: dict[str, bytes]) -> bool:
    try:
        verify_audit.verify(files)
    except verify_audit.MALFORMED:
        return True
    return False


def test_both_sides_bundles_prove_the_same_envelopes() -> None:
    ann, bob = signing_pair()
    done(ann, bob, "another")
    task_id = done(ann, bob)
    ours, theirs = bundle(ann, task_id), bundle(bob, task_id)
    for files in (ours, theirs):
        proved = verify_audit.verify(files)
        assert "1 of 2 records verified, 2 envelopes of both sides" in proved
    for name in ("result", "receipt"):
        assert ours[f"evidence/{name}.cbor"] == theirs[f"evidence/{name}.cbor"]


def test_every_changed_byte_of_the_evidence_is_noticed() -> None:
    ann, bob = signing_pair()
    files = bundle(ann, done(ann, bob))
    for name in ("evidence/result.cbor", "evidence/receipt.cbor", "evidence/network"):
        data = files[name]
        for at in range(len(data)):
            changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            assert refused({**files, name: changed}), f"{name} at {at}"


def test_evidence_of_another_task_is_refused() -> None:
    ann, bob = signing_pair()
    first, second = bundle(ann, done(ann, bob, "one")), bundle(ann, done(ann, bob, "two"))
    for name in ("evidence/result.cbor", "evidence/receipt.cbor"):
        assert refused({**first, name: second[name]})
    stranger = {**first, "evidence/other.cbor": second["evidence/result.cbor"]}
    assert refused(stranger)


def test_a_contradiction_is_in_the_bundle_with_both_signatures() -> None:
    ann, bob = signing_pair()
    task_id = done(ann, bob)
    task = ann.store.sent.get(task_id)
    assert task is not None
    assert task.result is not None
    forged = dump_json(task.result.replace("done", "other words"))
    ann.handle(arrived(bob, ann, Kind.RESULT, forged, task_id))
    files = bundle(ann, task_id)
    assert "3 envelopes of both sides" in verify_audit.verify(files)
    assert b"other words" in files["evidence/other.cbor"]


def claimed(ann: SigningNode, task_id: bytes, **changes: str) -> dict[str, bytes]:
    """A bundle of a log that lies about who signed what; the log itself is sound."""
    (honest,) = [leaf for leaf in ann.leaves if leaf.task_id == task_id]
    facts = {**dict(honest.facts), **changes}
    lying = SigningNode("ann", ann.clock)
    lying.audit.record(replace(honest, facts=tuple(facts.items())))
    files = bundle(ann, task_id)
    note = Notary(lying.db, lying.key, wall_ms=lambda: 0).checkpoint()
    return {**files, **dict(selection(AuditBook(lying.db), note, [1]))}


def test_a_log_that_claims_a_signature_of_somebody_else_is_refused() -> None:
    ann, bob = signing_pair()
    task_id = done(ann, bob)
    assert not refused(claimed(ann, task_id))
    assert refused(claimed(ann, task_id, role="did"))
    assert refused(claimed(ann, task_id, peer=str(ann.key.did)))


def test_a_result_of_another_task_and_a_receipt_of_another_result_prove_nothing() -> None:
    ann, bob = signing_pair()
    first, second = done(ann, bob, "one"), done(ann, bob, "two")
    (other,) = of_task(ann.db, second)
    for part, id_, data in (
        ("result", other.result_id, other.result),
        ("receipt", other.receipt_id, other.receipt),
    ):
        files = claimed(ann, first, **{part: id_.hex()})
        assert refused({**files, f"evidence/{part}.cbor": data}), part
    # The result alone: it is of another task, and no receipt is there to say so.
    files = claimed(ann, first, result=other.result_id.hex())
    del files["evidence/receipt.cbor"]
    assert refused({**files, "evidence/result.cbor": other.result})


@pytest.mark.parametrize("task", ["", "00" * 32, "xy" * 32, "ab"])
def test_a_task_that_is_not_there_has_no_bundle(task: str) -> None:
    ann, bob = signing_pair()
    done(ann, bob)
    note = Notary(ann.db, ann.key, wall_ms=lambda: 0).checkpoint()
    with pytest.raises(NoTask):
        task_files(AuditBook(ann.db), note, task, network=NETWORK)
