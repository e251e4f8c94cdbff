"""An author who signs two histories is frozen with proof, on every node at the same entry."""

import pytest

from sync.proto.journal_events import ForkFound, Misbehaved
from tests.sync.journal_mesh import Mesh, Node


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
