"""Two nodes write, part, meet again, and have the same journal."""

from sync.proto.journal_events import Misbehaved
from tests.sync.journal_mesh import Mesh


def test_an_entry_is_on_the_other_node_at_once() -> None:
    mesh = Mesh(2)
    mesh.connect_all()
    mesh.settle()
    mesh.write(mesh.nodes[0], "hello")
    mesh.settle()
    assert mesh.nodes[1].texts(mesh.now) == ["hello"]
    mesh.assert_converged()


def test_two_nodes_append_while_parted_and_converge_when_they_meet() -> None:
    mesh = Mesh(2)
    one, two = mesh.nodes
    for number in range(400):
        mesh.now_s += 0.001
        mesh.write(one, f"one {number}")
        if number % 3 == 0:
            mesh.write(two, f"two {number}")
    mesh.connect_all()
    mesh.settle(1)
    mesh.assert_converged()
    assert len(one.texts(mesh.now)) == 400 + 134
    assert not any(isinstance(effect, Misbehaved) for node in mesh.nodes for effect in node.effects)
