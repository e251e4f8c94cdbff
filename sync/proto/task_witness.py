"""Who keeps what both sides of a task have signed. The engine tells; nothing depends on it.

Each method is called inside the transaction that stores what it is about, and may be called
again for the same task: results are offered and acknowledged until both sides know.
"""

from collections.abc import Sequence
from typing import Protocol

from identity.envelope import Envelope
from sync.proto.task_bodies import Receipt
from sync.proto.task_records import Outgoing, ReceivedTask, SentTask
from sync.proto.task_states import TaskState


class TaskWitness(Protocol):
    """Of all tasks, those to ourselves included."""

    def result_offered(self, task: ReceivedTask, offered: Outgoing, body: bytes) -> None:
        """We have signed a result for a peer."""

    def result_acknowledged(self, offered: Outgoing, receipt: Envelope) -> None:
        """The peer has signed that it has the result."""

    def result_received(self, task: SentTask, result: Envelope, state: TaskState) -> None:
        """The peer has signed a result of a task of ours."""

    def receipt_sealed(
        self, peer: bytes, lines: Sequence[Receipt], receipt_id: bytes, data: bytes
    ) -> None:
        """We have signed what became of envelopes of a peer."""

    def result_missed(self, task: SentTask) -> None:
        """The peer took a task of ours and never said how it ended."""


class NoWitness:
    """Keeps nothing."""

    def result_offered(self, task: ReceivedTask, offered: Outgoing, body: bytes) -> None:
        """Nothing."""

    def result_acknowledged(self, offered: Outgoing, receipt: Envelope) -> None:
        """Nothing."""

    def result_received(self, task: SentTask, result: Envelope, state: TaskState) -> None:
        """Nothing."""

    def receipt_sealed(
        self, peer: bytes, lines: Sequence[Receipt], receipt_id: bytes, data: bytes
    ) -> None:
        """Nothing."""

    def result_missed(self, task: SentTask) -> None:
        """Nothing."""
