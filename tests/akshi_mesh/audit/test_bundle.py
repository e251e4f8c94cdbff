"""A bundle of a task proves to an outsider what both sides have signed about it."""

import pytest

from akshi_mesh.audit import verify_audit
from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.bundle import task_files
from akshi_mesh.audit.errors import NoTask
from akshi_mesh.audit.notary import Notary
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


@pytest.mark.parametrize("task", ["", "00" * 32, "xy" * 32, "ab"])
def test_a_task_that_is_not_there_has_no_bundle(task: str) -> None:
    ann, bob = signing_pair()
    done(ann, bob)
    note = Notary(ann.db, ann.key, wall_ms=lambda: 0).checkpoint()
    with pytest.raises(NoTask):
        task_files(AuditBook(ann.db), note, task, network=NETWORK)
