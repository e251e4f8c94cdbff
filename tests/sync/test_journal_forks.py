"""An author who signs two histories is frozen with proof, on every node at the same entry."""

import pytest

from sync.checkpoint import Checkpoint, Previous
from sync.fork_proof import ForkProof
from sync.frontier import Frontier
from sync.journal import Entry, LogName
from sync.merkle import leaf_hash
from sync.proto.journal_events import ForkFound, Misbehaved, Received
from sync.proto.journal_messages import Entries, encode
from sync.proto.journal_store import Batch
from tests.sync.journal_mesh import NETWORK, Mesh, Node


def forked(mesh: Mesh, *, common: int, ones: int, twos: int) -> tuple[Node, Node, bytes]:
    """Two nodes on which one author went on differently after `common` entries."""
    one, two = mesh.nodes[:2]
    author = one.key
    for number in range(common):
        mesh.now_s += 0.01
        mesh.write(one, f"common {number}")
    two.become(author, one.database.image(), one.run, mesh.now)
    for number in range(ones):
        mesh.now_s += 0.01
        mesh.write(one, f"one {number}")
    for number in range(twos):
        mesh.now_s += 0.01
        mesh.write(two, f"two {number}", author=author.public_key)
    return one, two, author.public_key


def fork_indices(mesh: Mesh) -> list[list[int | None]]:
    return [[log.frozen_at for log in node.view.logs("notes")] for node in mesh.nodes]


@pytest.mark.parametrize(
    ("common", "ones", "twos"),
    [(0, 1, 1), (0, 1, 2), (5, 1, 1), (5, 3, 1), (5, 1, 7), (300, 40, 2), (255, 300, 600)],
)
def test_a_forked_author_is_frozen_at_the_same_entry_everywhere(
    common: int, ones: int, twos: int
) -> None:
    mesh = Mesh(3)
    _, _, author = forked(mesh, common=common, ones=ones, twos=twos)
    mesh.connect_all()
    mesh.settle(40)
    assert fork_indices(mesh) == [[common]] * 3
    mesh.assert_converged()
    for node in mesh.nodes:
        assert node.texts(mesh.now) == [f"common {number}" for number in range(common)]
        assert ForkFound(author, "notes", mesh.nodes[0].run, common) in node.effects
        assert not any(isinstance(effect, Misbehaved) for effect in node.effects)


def test_a_later_log_of_a_forked_author_is_hidden_until_the_operator_accepts() -> None:
    mesh = Mesh(3)
    one, _, author = forked(mesh, common=2, ones=2, twos=2)
    mesh.connect_all()
    mesh.settle(40)
    one.start(mesh.now)
    mesh.cut_all()
    mesh.connect_all()
    mesh.write(one, "after the fork")
    mesh.settle(40)
    mesh.assert_converged()
    third = mesh.nodes[2]
    assert third.texts(mesh.now) == ["common 0", "common 1"]
    assert third.view.counts("notes")["hidden"] == 1
    with third.database.transaction():
        third.engine.accept_fork(author)
    assert third.texts(mesh.now) == ["common 0", "common 1", "after the fork"]


def test_a_log_from_before_the_fork_stays_in_the_view() -> None:
    mesh = Mesh(3)
    one = mesh.nodes[0]
    mesh.write(one, "first run")
    one.start(mesh.now)
    forked(mesh, common=1, ones=1, twos=1)
    mesh.connect_all()
    mesh.settle(40)
    mesh.assert_converged()
    assert mesh.nodes[2].texts(mesh.now) == ["first run", "common 0"]


def test_three_histories_freeze_where_the_first_of_them_parts() -> None:
    mesh = Mesh(4)
    one, two, third = mesh.nodes[:3]
    for number in range(3):
        mesh.now_s += 0.01
        mesh.write(one, f"common {number}")
    third.become(one.key, one.database.image(), one.run, mesh.now)
    for number in range(6):
        mesh.now_s += 0.01
        mesh.write(third, f"third {number}", author=one.id)
    # What one and two have in common is three and two more entries.
    forked(mesh, common=2, ones=3, twos=4)
    mesh.connect(one, two)
    mesh.settle(30)
    assert fork_indices(mesh)[:2] == [[5], [5]]
    mesh.connect_all()
    mesh.settle(60)
    assert fork_indices(mesh) == [[3]] * 4
    mesh.assert_converged()


def test_a_forked_author_opens_another_log_in_the_same_run() -> None:
    mesh = Mesh(2)
    one, *_ = forked(mesh, common=1, ones=1, twos=1)
    mesh.connect_all()
    mesh.settle(30)
    mesh.write(one, "goes on")
    mesh.settle(30)
    mesh.assert_converged()
    epochs = {log.epoch for log in one.view.logs("notes")}
    assert len(epochs) == 2


def test_a_log_forked_at_its_first_entry_is_known_to_one_who_comes_later() -> None:
    """There is nothing of it to fetch but the proof; without it, later logs would be shown."""
    mesh = Mesh(3)
    one, two, _ = forked(mesh, common=0, ones=1, twos=1)
    mesh.connect(one, two)
    mesh.settle(20)
    mesh.connect_all()
    mesh.settle(20)
    assert fork_indices(mesh) == [[0]] * 3
    mesh.assert_converged()


@pytest.mark.parametrize("common", [3, 256, 300])
def test_who_comes_after_the_freeze_gets_all_that_was_common(common: int) -> None:
    """The end of it is covered by no checkpoint, only by the proof."""
    mesh = Mesh(3)
    one, two, third = mesh.nodes
    author = one.key
    with one.database.transaction():
        for number in range(common + 5):
            one.engine.append(
                "notes", one.id, tag="", text=f"{number}", originator="", now=mesh.now
            )
        image_before = one.database.image()
        one.engine.flush(mesh.now)
    # The copy signs the same first entries, and then others, under one checkpoint.
    two.become(author, image_before, one.run, mesh.now)
    with two.database.transaction():
        rows = two.store.unsealed()[:common]
        two.store.forget_unsealed()
        for journal, writer, _, data in rows:
            two.store.append(journal, writer, Entry.parse(data))
        for number in range(7):
            two.engine.append(
                "notes", author.public_key, tag="", text=f"x{number}", originator="", now=mesh.now
            )
        two.engine.flush(mesh.now)
    mesh.connect(one, two)
    mesh.settle(30)
    mesh.connect_all()
    mesh.settle(30)
    assert fork_indices(mesh) == [[common]] * 3
    mesh.assert_converged()
    assert third.texts(mesh.now) == [str(number) for number in range(common)]


@pytest.mark.parametrize("same_entries", [False, True])
def test_two_logs_before_one_are_a_fork_at_its_first_entry(same_entries: bool) -> None:
    """And then it is not certain what came before, so nothing else of the author is shown."""
    mesh = Mesh(3)
    one, two, third = mesh.nodes
    mesh.write(one, "first run")
    one.start(mesh.now)
    log = LogName("notes", one.id, one.run)
    entry = Entry(1, bytes(16), "o", "t", "x").encode()
    for number, node in enumerate((one, two)):
        before = Previous(bytes([number + 1]) * 16, 1, bytes(32))
        with node.database.transaction():
            stored = node.store.create(log, before, None)
            size = 1 if same_entries else number + 1
            edge = Frontier().extended([leaf_hash(entry)] * size)
            batch = Batch([1] * size, [entry] * size, [leaf_hash(entry)] * size, edge)
            signed = Checkpoint(log, size, edge.root, before).sealed(one.author, mesh.now)
            node.store.extend(stored, batch, signed)
    mesh.connect_all()
    mesh.settle(40)
    mesh.assert_converged()
    assert [log.frozen_at for log in third.view.logs("notes") if log.epoch == one.run] == [0]
    assert third.texts(mesh.now) == []
    assert third.view.counts("notes") == {"logs": 2, "entries": 1, "frozen": 1, "hidden": 1}


def test_a_proof_of_heads_hides_the_log_until_the_index_is_found() -> None:
    mesh = Mesh(3)
    one, two, author = forked(mesh, common=3, ones=2, twos=2)
    third = mesh.nodes[2]
    log = LogName("notes", author, one.run).id
    heads = []
    for node in (one, two):
        held = node.store.log(log)
        assert held is not None
        head = node.store.checkpoint_over(held, 4)
        assert head is not None
        heads.append(head)
    proof = ForkProof.of_heads(heads[0], heads[1], network=NETWORK)
    mesh.connect(one, third)
    mesh.settle(5)
    assert len(third.texts(mesh.now)) == 5
    mesh.perform(
        third,
        third.handle(
            Received(one.id, encode(Entries(log, proof.index, (), None, proof.raw, None))), mesh.now
        ),
    )
    assert third.texts(mesh.now) == []
    mesh.settle(30)
    mesh.connect_all()
    mesh.settle(60)
    assert fork_indices(mesh) == [[3]] * 3
    mesh.assert_converged()
