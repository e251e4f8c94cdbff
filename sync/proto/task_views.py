"""What people and programs may know about a task: where it is, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sync.clock import Moment
from sync.errors import UnknownTask
from sync.proto import task_messages
from sync.proto.task_ports import TaskStore
from sync.proto.task_post import Post
from sync.proto.task_records import Ledger, ReceivedTask, SentTask
from sync.proto.task_states import Counted, Disposition, TaskState
from sync.proto.tasks_receiving import Receiving

Role = Literal["sent", "received"]
Fact = str | int | bool | None
LIST_ROWS_MAX = 1_000
_MS_MAX = (1 << 63) - 1  # what the store can compare with


@dataclass(frozen=True, slots=True)
class TaskView:
    """One task, seen from this node."""

    id: bytes
    role: Role
    peer: bytes  # who is to do it, or who asked for it
    agent: str
    message_id: str | None
    state: TaskState
    created_ms: int
    expires_ms: int
    ended_ms: int | None
    reason: str  # why it did not go well; empty if it did
    progress: str | None  # A2A TaskStatusUpdateEvent, JSON: the latest
    result: str | None  # A2A Task, JSON: how it ended
    is_by_peer: bool = False  # the reason is what the peer says, not what we know

    @property
    def is_ended(self) -> bool:
        return self.ended_ms is not None


class Views:
    """Reads only; may be asked outside a transaction."""

    def __init__(self, store: TaskStore, post: Post, receiving: Receiving) -> None:
        self._store = store
        self._post = post
        self._receiving = receiving

    def get(self, task_id: bytes, role: Role | None = None) -> TaskView:
        """The task with this id; where it is both ours and for us, the sender's side first.

        Raises:
            UnknownTask
        """
        if role != "received" and (sent := self._store.sent.get(task_id)) is not None:
            return _view_sent(sent)
        if role != "sent" and (received := self._store.received.get(task_id)) is not None:
            return self._view_received(received)
        raise UnknownTask(task_id)

    def list(self, role: Role, *, before_ms: int = _MS_MAX, limit: int = 100) -> list[TaskView]:
        """The latest tasks created before that time, the latest first."""
        limit = max(0, min(limit, LIST_ROWS_MAX))
        if role == "sent":
            return [_view_sent(task) for task in self._store.sent.recent(before_ms, limit)]
        return [self._view_received(task) for task in self._store.received.recent(before_ms, limit)]

    def ended(self, task_ids: Iterable[bytes]) -> TaskView | None:
        """The first of these tasks of ours, in the given order, that has ended.

        Raises:
            UnknownTask: one of them is not ours.
        """
        views = (self.get(task_id, "sent") for task_id in task_ids)
        return next((view for view in views if view.is_ended), None)

    def ledger(self, peer: bytes) -> Ledger:
        account = self._store.peer(peer)
        return Ledger(
            peer=peer,
            sent=account.sent,
            acknowledged=account.acknowledged,
            queued=self._store.sent.queued(peer),
            expired=account.expired,
            refused=account.refused,
        )

    def why(self, task_id: bytes, now: Moment) -> dict[str, Fact]:
        """Everything known about where this task is; the words for it are the caller's.

        Raises:
            UnknownTask
        """
        view = self.get(task_id)
        facts: dict[str, Fact] = {
            "task": task_id.hex(),
            "role": view.role,
            "peer": view.peer.hex(),
            "agent": view.agent,
            "state": str(view.state),
            "reason": view.reason,
            "expires_in_s": (view.expires_ms - self._post.clock_high_ms(now)) // 1000,
            "link": "up" if self._post.delivery.is_up(view.peer) else "down",
        }
        if view.role == "sent":
            sent = self._store.sent.get(task_id)
            assert sent is not None, "it was found just now"
            facts["counted"] = sent.counted.name.lower()
            facts["answered_by_peer"] = sent.answered
            facts["cancel_asked"] = sent.cancel
            facts["held_back"] = self._post.delivery.reason(view.peer, task_id)
            facts["attempts"] = self._post.delivery.attempts(view.peer, task_id)
            if sent.origin is not None:
                facts["made_by_task"] = sent.origin.task_id.hex()
                facts["made_by_call"] = sent.origin.call
            return facts
        received = self._store.received.get(task_id)
        assert received is not None, "it was found just now"
        facts["running"] = self._receiving.is_running(task_id)
        facts["agent_ready"] = self._receiving.is_ready(received.agent)
        facts["waiting_for_agent"] = self._store.received.unfinished(received.agent)
        facts["result_delivered"] = received.result is not None and received.outbox is None
        facts["cancel_asked"] = received.cancel
        if received.disposition is not None:
            facts["turned_away"] = Disposition(received.disposition).name.lower()
        return facts

    def _view_received(self, task: ReceivedTask) -> TaskView:
        if task.disposition is not None:
            state = TaskState.REJECTED
        elif task.result is not None:
            state = task_messages.state_of(task.result)
        elif self._receiving.is_running(task.id):
            state = TaskState.WORKING
        else:
            state = TaskState.SUBMITTED
        return TaskView(
            id=task.id,
            role="received",
            peer=task.peer,
            agent=task.agent,
            message_id=task.message_id,
            state=state,
            created_ms=task.created_ms,
            expires_ms=task.expires_ms,
            ended_ms=task.finished_ms,
            reason=task.reason,
            progress=None,
            result=task.result,
        )


def _view_sent(task: SentTask) -> TaskView:
    reason = task.reason
    if task.result is not None:
        state = task_messages.state_of(task.result)
        if not reason and state is not TaskState.COMPLETED:
            reason = task_messages.words_of(task.result)
    elif task.progress is not None:
        state = task_messages.state_of(task.progress)
    else:
        state = TaskState.SUBMITTED
        if task.counted is Counted.ACKNOWLEDGED:
            state = TaskState.WORKING
    return TaskView(
        id=task.id,
        role="sent",
        peer=task.peer,
        agent=task.agent,
        message_id=task.message_id,
        state=state,
        created_ms=task.created_ms,
        expires_ms=task.expires_ms,
        ended_ms=task.ended_ms,
        reason=reason,
        progress=task.progress,
        result=task.result,
        is_by_peer=task.answered or task.counted is Counted.REFUSED,
    )
