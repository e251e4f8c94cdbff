"""Whatever the network, the power and the clock do: done once, or reported, and always counted.

The oracle is the promise, not the engine: what was submitted, which attempts ran to their end, what
the senders were told.
"""

import random as randoms

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from sync.errors import QueueFull
from sync.proto.task_events import AgentReady, LinkDown, LinkUp, PeerHello, Send
from sync.proto.task_limits import Limits
from sync.proto.task_records import Origin
from sync.proto.task_states import ENDED, TaskState
from tests.sync.task_nodes import Clock, Node, deliver, pass_time

LIMITS = Limits(
    outbox_rows_max=12, waiting_max=4, window=3, received_rows_max=40, life_ms=3_600_000
)
NODES = st.sampled_from([0, 1])


class AnySchedule(RuleBasedStateMachine):
    """Two nodes task each other and themselves over wires that lose, copy and reorder."""

    tasks = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.nodes = [Node("ann", self.clock, LIMITS), Node("bob", self.clock, LIMITS)]
        self.submitted: dict[bytes, tuple[Node, Node]] = {}
        self.done: dict[bytes, int] = {}  # attempts that ran to their end and were stored
        self.ended_as: dict[bytes, TaskState] = {}
        self.old: list[tuple[Node, Send]] = []  # copies that may arrive at any time
        self.dice = randoms.Random(7)
        for node in self.nodes:
            node.handle(AgentReady("echo"))
        self.link(0)
        self.link(1)

    def other(self, node: Node) -> Node:
        return self.nodes[1 - self.nodes.index(node)]

    def by_key(self, key: bytes) -> Node:
        return next(node for node in self.nodes if node.me == key)

    @rule(target=tasks, index=NODES, to_self=st.booleans(), call=st.none() | st.integers(0, 2))
    def submit(self, index: int, to_self: bool, call: int | None) -> bytes:
        node = self.nodes[index]
        to = node if to_self else self.other(node)
        origin = None if call is None else Origin(b"maker of this work, 32 bytes long", call)
        known = set(self.submitted)
        try:
            task_id = node.submit(to, origin=origin)
        except QueueFull:
            assert node.tasks.ledger(to.me).queued == LIMITS.outbox_rows_max
            return b"?" * 32
        if origin is not None and task_id in known:
            return task_id
        self.submitted[task_id] = (node, to)
        return task_id

    @rule(task=tasks)
    def cancel(self, task: bytes) -> None:
        if task in self.submitted:
            self.submitted[task][0].cancel(task)

    @rule(index=NODES, seed=st.integers(0, 1000), loss=st.sampled_from([0, 0, 0.3, 1]))
    def deliver_some(self, index: int, seed: int, loss: float) -> None:
        """A handful of what is on the wire, out of order, some lost, some kept as copies."""
        dice = randoms.Random(seed)
        node = self.nodes[index]
        dice.shuffle(node.wire)
        for send in node.wire[:4]:
            node.wire.remove(send)
            if dice.random() < 0.3 and len(self.old) < 20:
                self.old.append((node, send))
            if dice.random() >= loss:
                self.by_key(send.peer).receive(node, send.data)

    @rule()
    def deliver_all(self) -> None:
        deliver(*self.nodes)

    @rule(data=st.data())
    def deliver_a_copy(self, data: st.DataObject) -> None:
        if self.old:
            node, send = data.draw(st.sampled_from(self.old))
            self.by_key(send.peer).receive(node, send.data)

    @rule(index=NODES)
    def finish(self, index: int) -> None:
        node = self.nodes[index]
        for task_id in list(node.running)[:1]:
            if task_id not in node.stopped:
                self.done[task_id] = self.done.get(task_id, 0) + 1
            node.finish(task_id)

    @rule(index=NODES)
    def crash(self, index: int) -> None:
        """kill -9: all that was committed stays, all else is gone."""
        node = self.nodes[index]
        node.stopped.clear()
        node.restart()
        node.handle(AgentReady("echo"))
        self.unlink(1 - index)
        self.link(index)
        self.link(1 - index)

    @rule(index=NODES)
    def unlink(self, index: int) -> None:
        node = self.nodes[index]
        for peer in self.nodes:
            node.handle(LinkDown(peer.me))

    @rule(index=NODES)
    def link(self, index: int) -> None:
        node = self.nodes[index]
        for peer in self.nodes:
            node.handle(LinkUp(peer.me), PeerHello(peer.me, peer.epoch.to_bytes(16, "big")))

    @rule(seconds=st.sampled_from([0.01, 1.0, 5.0, 300.0]))
    def wait(self, seconds: float) -> None:
        self.clock.mono_s += seconds
        for node in self.nodes:
            if node.tasks.deadline <= self.clock.mono_s:
                node.wake()

    @rule(ms=st.sampled_from([-3_600_000, 0, 200_000]))
    def jump(self, ms: int) -> None:
        self.clock.ahead_ms = ms

    @invariant()
    def everything_is_counted(self) -> None:
        for node in self.nodes:
            assert node.is_conserved()
            for peer in self.nodes:
                account = node.store.peer(peer.me)
                assert account.queued == node.tasks.ledger(peer.me).queued
                assert account.queued <= LIMITS.outbox_rows_max
                assert account.queued_bytes == node.db.value(
                    "SELECT ifnull(sum(size_bytes), 0) FROM tasks_sent"
                    " WHERE peer = ? AND counted = 0",
                    (peer.me,),
                )
                rows = node.db.value(
                    "SELECT count(*) FROM tasks_received WHERE peer = ?", (peer.me,)
                )
                assert account.received == rows
                owed = node.db.row(
                    "SELECT count(*), ifnull(sum(length(data)), 0) FROM tasks_outbox"
                    " WHERE peer = ? AND kind <> 'task'",
                    (peer.me,),
                )
                assert (account.owed, account.owed_bytes) == owed

    @invariant()
    def nothing_is_done_twice(self) -> None:
        assert all(times == 1 for times in self.done.values())

    @invariant()
    def what_was_told_is_not_taken_back(self) -> None:
        """A report may be replaced by the peer's own result, a result by nothing."""
        for task_id, (node, _) in self.submitted.items():
            state = node.tasks.get(task_id, "sent").state
            if self.ended_as.get(task_id) is TaskState.COMPLETED:
                assert state is TaskState.COMPLETED
            if state in ENDED:
                self.ended_as[task_id] = state
                if state is TaskState.COMPLETED:
                    assert self.done[task_id] == 1, "nobody did it"
            else:
                assert task_id not in self.ended_as, "it had ended"

    def teardown(self) -> None:
        """Calm weather: whatever is left is done or reported, and nothing keeps moving."""
        self.clock.ahead_ms = max(self.clock.ahead_ms, 0)
        for index in (0, 1):
            self.unlink(index)
            self.link(index)
        for _ in range(60):
            for node in self.nodes:
                for task_id in list(node.running):
                    if task_id not in node.stopped:
                        self.done[task_id] = self.done.get(task_id, 0) + 1
                    node.finish(task_id)
            pass_time(70, *self.nodes)
            if not any(node.store.outbox.last_number() or node.running for node in self.nodes):
                break
        self.nothing_is_done_twice()
        self.everything_is_counted()
        for task_id, (node, _) in self.submitted.items():
            view = node.tasks.get(task_id, "sent")
            assert view.is_ended
            if self.done.get(task_id):
                assert view.state in (TaskState.COMPLETED, TaskState.CANCELED)
        for node in self.nodes:
            assert node.store.outbox.last_number() == 0, "something is still being offered"


TestAnySchedule = AnySchedule.TestCase
TestAnySchedule.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
