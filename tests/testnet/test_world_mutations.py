"""The world is believed because it notices: engines broken on purpose, and the promise that broke.

Each case breaks one rule and names worlds that must fail for it. docs/explanation/testing.md is
the list in words.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from identity.envelope import Kind
from sandbox.gate import BEGUN
from sync.mesh import Mesh
from sync.proto import task_events
from sync.proto.journals import Journals
from sync.proto.task_delivery import Delivery
from sync.proto.task_post import Post
from sync.proto.task_states import Disposition
from sync.proto.tasks_receiving import Receiving
from sync.proto.tasks_sending import Sending
from sync.store.calls import Calls
from sync.store.tasks import TaskTables
from sync.store.tasks_outbox import Outbox
from sync.store.tasks_received import ReceivedTasks
from testnet.world.process import Process
from testnet.world.world import World

Break = Callable[[pytest.MonkeyPatch], None]


def no_dedupe(patch: pytest.MonkeyPatch) -> None:
    """A copy of a task is taken for a new one."""
    patch.setattr(ReceivedTasks, "get", lambda *_: None)


def calls_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A second attempt draws and asks anew."""
    patch.setattr(Calls, "remember", lambda *_: None)


def intents_forgotten(patch: pytest.MonkeyPatch) -> None:
    """That an act outside was begun is not remembered, so it is begun again."""
    remember = Calls.remember

    def forgetful(self: Any, task: bytes, number: int, asked: bytes, answer: bytes) -> None:
        if answer != BEGUN:
            remember(self, task, number, asked, answer)

    patch.setattr(Calls, "remember", forgetful)


def calls_kept(patch: pytest.MonkeyPatch) -> None:
    """The memory of calls outlives the task."""
    patch.setattr(TaskTables, "forget_calls", lambda *_: None)


def spoken_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """What is then rolled back has been said."""

    def say(self: Any, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, task_events.DropStaged):
                self.journals.drop_staged(effect.task_id)
            else:
                self._perform(effect)

    patch.setattr(Mesh, "say", say)


def acknowledged_without_a_row(patch: pytest.MonkeyPatch) -> None:
    """Every tenth task is acknowledged and forgotten."""
    take, count = Receiving.task, iter(range(10_000))

    def task(self: Any, envelope: Any, now: Any) -> list[Any]:
        if next(count) % 10 == 9:
            self._note(envelope, Disposition.ACCEPTED, "", now)
            return []
        return take(self, envelope, now)

    patch.setattr(Receiving, "task", task)


def epoch_reused(patch: pytest.MonkeyPatch) -> None:
    """Each run writes under the number of the first, after a power cut as well."""
    construct = Process.__init__

    def fixed(self: Any, world: Any, site: Any, epoch: bytes) -> None:
        construct(self, world, site, site.me[:16])

    patch.setattr(Process, "__init__", fixed)


def results_not_retried(patch: pytest.MonkeyPatch) -> None:
    """A result is offered once a link; if that is lost, it is lost."""

    def retry(self: Any, now: Any) -> list[Any]:
        effects = []
        for peer, id_, number in self.delivery.due(now.mono_s):
            row = self._store.outbox.get(peer, number)
            if row.kind is Kind.TASK:
                self.delivery.sending(peer, number, id_, now.mono_s)
                effects.append(task_events.Send(peer, row.data, id_))
        return effects

    patch.setattr(Post, "retry", retry)


def lost_tasks_not_offered_again(patch: pytest.MonkeyPatch) -> None:
    """A new epoch of the peer changes nothing, and neither does one of ours."""
    patch.setattr(Outbox, "offer_kept", lambda *_: 0)


def effects_after_the_result(patch: pytest.MonkeyPatch) -> None:
    """Result and effects are two transactions."""

    def end(self: Any, task_id: bytes, outcome: Any) -> None:
        with self.mesh.transaction():
            del self.attempts[task_id]
            ended = task_events.AttemptEnded(task_id, outcome)
            self.mesh.say(self.mesh.tasks.handle(ended, self.now()))
        with self.mesh.transaction():
            self.mesh.journals.commit_staged(task_id, self.now())
            self.mesh.say(self.mesh.journals.flush(self.now()))

    patch.setattr(Process, "_commit_end", end)


def failures_keep_effects(patch: pytest.MonkeyPatch) -> None:
    """What a failed task staged is committed."""
    patch.setattr(Journals, "drop_staged", lambda self, id_: None)


def miscounted(patch: pytest.MonkeyPatch) -> None:
    """An end is counted twice."""
    settle = Sending._settle

    def twice(self: Any, task: Any, counted: Any) -> None:
        settle(self, task, counted)
        self._store.count(task.peer, acknowledged=1)

    patch.setattr(Sending, "_settle", twice)


def made_again(patch: pytest.MonkeyPatch) -> None:
    """A task that a call made does not remember which call."""
    submit = Sending.submit

    def anonymous(self: Any, order: Any, now: Any) -> Any:
        return submit(self, replace(order, origin=None), now)

    patch.setattr(Sending, "submit", anonymous)


def window_never_frees(patch: pytest.MonkeyPatch) -> None:
    """Who has answered is asked again."""
    patch.setattr(Delivery, "answered", lambda *_: None)


CASES: list[tuple[Break, list[int]]] = [
    (no_dedupe, [0]),
    (calls_forgotten, [0]),
    (calls_kept, [0]),
    (spoken_before_the_commit, [1]),
    (intents_forgotten, [1]),
    (acknowledged_without_a_row, [0]),
    (epoch_reused, [2]),
    (lost_tasks_not_offered_again, [2]),
    (results_not_retried, [6]),
    (effects_after_the_result, [0]),
    (failures_keep_effects, [0]),
    (miscounted, [0]),
    (made_again, [2, 8, 14]),
    (window_never_frees, [0]),
]


@pytest.mark.parametrize(
    ("breaking", "seeds"), CASES, ids=[breaking.__name__ for breaking, _ in CASES]
)
def test_the_world_notices(
    breaking: Break, seeds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that no world notices is not yet a rule."""
    breaking(monkeypatch)
    for seed in seeds:
        try:
            World(seed).run()
        except Exception:
            return
    pytest.fail("no world noticed")
