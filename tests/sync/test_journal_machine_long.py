"""Whatever is written, lost, doubled, cut, crashed or restored: the nodes end up alike."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sync.proto.journal_events import Misbehaved
from sync.proto.journal_link import KNOWN_MAX
from sync.proto.journal_wants import WANTS_MAX
from tests.sync.journal_mesh import Mesh

NODES = 3
nodes = st.integers(0, NODES - 1)


class AnyHistory(RuleBasedStateMachine):
    """Honest nodes, a bad network, and (with `fork`) one author who signs two histories."""

    def __init__(self) -> None:
        super().__init__()
        self.mesh = Mesh(NODES, loss=0.1, chaos=True)
        self.written = 0
        self.forked = False
        self.backups: dict[int, bytes] = {}
        self.restored = False

    @rule(number=nodes, count=st.integers(1, 5))
    def write(self, number: int, count: int) -> None:
        for _ in range(count):
            self.written += 1
            self.mesh.now_s += 0.001
            self.mesh.write(self.mesh.nodes[number], f"{number}: {self.written}")

    @rule(one=nodes, two=nodes)
    def connect(self, one: int, two: int) -> None:
        if one != two:
            self.mesh.connect(self.mesh.nodes[one], self.mesh.nodes[two])

    @rule(one=nodes, two=nodes)
    def cut(self, one: int, two: int) -> None:
        self.mesh.cut(self.mesh.nodes[one], self.mesh.nodes[two])

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self.mesh.settle(seconds)

    @rule(number=nodes)
    def crash(self, number: int) -> None:
        self._restart(number)

    @rule(number=nodes)
    def back_up(self, number: int) -> None:
        self.backups[number] = self.mesh.nodes[number].database.image()

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.backups)))
        self.mesh.nodes[number].database.restore(self.backups[number])
        self.restored = True
        self._restart(number)

    @precondition(lambda self: not self.forked)
    @rule(author=nodes, other=nodes, ones=st.integers(0, 4), twos=st.integers(0, 4))
    def fork(self, author: int, other: int, ones: int, twos: int) -> None:
        if author == other:
            return
        self.forked = True
        signer, copy = self.mesh.nodes[author], self.mesh.nodes[other]
        self._cut_all(other)
        self.backups.pop(other, None)
        copy.become(signer.key, signer.database.image(), signer.run, self.mesh.now)
        for node, count in ((signer, ones), (copy, twos)):
            for _ in range(count):
                self.written += 1
                self.mesh.now_s += 0.001
                self.mesh.perform(
                    node, node.write(f"fork {self.written}", self.mesh.now, author=signer.id)
                )
        copy.start(self.mesh.now)

    @invariant()
    def honest_nodes_accuse_nobody_and_stay_small(self) -> None:
        for node in self.mesh.nodes:
            assert not [e for e in node.effects if isinstance(e, Misbehaved)]
            counts = node.engine.counts()
            assert counts["wants"] <= WANTS_MAX
            assert counts["known"] <= KNOWN_MAX * NODES
            if not self.forked:
                assert node.view.counts("notes")["frozen"] == 0

    def teardown(self) -> None:
        self.mesh.loss = 0.0
        self.mesh.cut_all()
        self.mesh.connect_all()
        self.mesh.settle(90)
        self.mesh.assert_converged()
        self.honest_nodes_accuse_nobody_and_stay_small()
        if not self.forked and not self.restored:
            assert len(self.mesh.nodes[0].texts(self.mesh.now)) == min(self.written, 1000)

    def _restart(self, number: int) -> None:
        self._cut_all(number)
        self.mesh.nodes[number].start(self.mesh.now)

    def _cut_all(self, number: int) -> None:
        for other in self.mesh.nodes:
            self.mesh.cut(self.mesh.nodes[number], other)


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=1500, stateful_step_count=50, deadline=None)
