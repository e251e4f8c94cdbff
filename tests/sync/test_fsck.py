"""What a disk has changed is found, cut away, said, and fetched back from a peer."""

import pytest

from sync.store.database import Database
from sync.store.fsck import check_journals, repair_journals, salvage_journals
from sync.store.journals_schema import JOURNALS_SCHEMA
from sync.store.journals_view import View
from tests.sync.journal_mesh import NETWORK, Mesh, Node

ENTRIES = 600


def pair() -> tuple[Mesh, Node, Node]:
    """Two nodes that hold the same log, with a checkpoint every 100 entries or so."""
    mesh = Mesh(2)
    one, two = mesh.nodes
    mesh.connect_all()
    for start in range(0, ENTRIES, 50):
        mesh.now_s += 0.01
        with one.database.transaction():
            for number in range(start, start + 50):
                one.engine.append(
                    "notes", one.id, tag="", text=f"{number}", originator="me", now=mesh.now
                )
            mesh.perform(one, one.engine.flush(mesh.now))
        mesh.settle(0)
    return mesh, one, two


DAMAGES = [
    "UPDATE journal_entries SET data = (SELECT data FROM journal_entries WHERE seq = 1)"
    " WHERE seq = 320",
    "DELETE FROM journal_entries WHERE seq = 320",
    "UPDATE journal_entries SET time = time + 1 WHERE seq = 320",
    "UPDATE journal_checkpoints SET data = x'00' WHERE size > 320",
    "DELETE FROM journal_checkpoints WHERE size > 320",
    "UPDATE journal_subtrees SET hash = zeroblob(32) WHERE number = 1",
    "UPDATE journal_logs SET frontier = zeroblob(length(frontier))",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_repaired_and_fetched_back(damage: str) -> None:
    mesh, _, two = pair()
    mesh.cut_all()
    with two.database.transaction():
        two.database.execute(damage)
    (found,) = check_journals(two.database, network=NETWORK).logs
    assert not found.is_sound
    assert found.proven <= ENTRIES
    with two.database.transaction():
        assert repair_journals(two.database, network=NETWORK).logs == (found,)
    report = check_journals(two.database, network=NETWORK)
    assert report.is_sound
    assert report.entries == ENTRIES - found.lost
    two.start(mesh.now)
    mesh.connect_all()
    mesh.settle(20)
    mesh.assert_converged()
    assert len(two.texts(mesh.now)) == ENTRIES
    assert check_journals(two.database, network=NETWORK).is_sound


def test_the_first_index_that_is_not_proven_is_told() -> None:
    _, _, two = pair()
    with two.database.transaction():
        two.database.execute(DAMAGES[0])
    (found,) = check_journals(two.database, network=NETWORK).logs
    assert 320 - 256 <= found.proven <= 320
    assert found.lost == ENTRIES - found.proven
    assert "do not have the signed root" in str(found.why)


def test_a_sound_store_is_sound() -> None:
    _, one, two = pair()
    for node in (one, two):
        report = check_journals(node.database, network=NETWORK)
        assert report.is_sound
        assert (report.entries, report.lost) == (ENTRIES, 0)
    assert check_journals(one.database, network=NETWORK, journal="other").logs == ()


def test_a_run_does_not_go_on_writing_a_log_that_was_cut() -> None:
    """It would sign other entries under numbers it has used: a fork of its own making."""
    mesh, one, _ = pair()
    mesh.cut_all()
    with one.database.transaction():
        one.database.execute(DAMAGES[0])
        repair_journals(one.database, network=NETWORK)
    mesh.write(one, "after the repair")
    mesh.connect_all()
    mesh.settle(20)
    mesh.assert_converged()
    assert len(one.view.logs("notes")) == 2
    assert one.view.counts("notes")["frozen"] == 0


def test_what_holds_is_copied_into_a_fresh_file() -> None:
    _, _, two = pair()
    with two.database.transaction():
        two.database.execute(DAMAGES[1])
    fresh = Database.open(":memory:", schemas=JOURNALS_SCHEMA)
    with fresh.transaction():
        report = salvage_journals(two.database, fresh, network=NETWORK)
    assert report.lost == ENTRIES - report.entries > 0
    assert check_journals(fresh, network=NETWORK).is_sound
    assert View(fresh).counts("notes")["entries"] == report.entries
