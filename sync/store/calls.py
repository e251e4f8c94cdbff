"""What the host calls of unfinished tasks were answered, so that a later attempt is told the same.

Forgotten in the transaction that ends the task. The sandbox owns the protocol (`CallMemory`); this
fits it by shape, for neither package knows the other.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass

from sync.errors import TooManyCalls
from sync.store.database import Database

CALLS_MAX = 10_000  # of one task; beyond: TooManyCalls, and the task fails
ANSWER_BYTES_MAX = 1 << 20  # as of a host call
TASK_BYTES_MAX = 64 * 1024 * 1024  # all answers of one task; beyond: TooManyCalls


@dataclass(frozen=True, slots=True)
class Remembered:
    """The answer one call got, and what had been asked."""

    request_hash: bytes
    answer: bytes


class Calls:
    """The memory of calls, in the node's database."""

    def __init__(self, database: Database) -> None:
        self._db = database
        # Bytes remembered for a task, so that not every call sums them up. A rolled back
        # call leaves it too high, never too low; it is counted anew when it says "full".
        self._bytes: dict[bytes, int] = {}

    def transaction(self) -> AbstractContextManager[None]:
        return self._db.transaction()

    def recall(self, task_id: bytes, number: int) -> Remembered | None:
        row = self._db.row(
            "SELECT request_hash, answer FROM task_calls WHERE task_id = ? AND number = ?",
            (task_id, number),
        )
        return None if row is None else Remembered(*row)

    def remember(self, task_id: bytes, number: int, request_hash: bytes, answer: bytes) -> None:
        """Keep the answer of a call, in the caller's transaction.

        Raises:
            TooManyCalls: by number or by bytes; the task cannot go on.
        """
        if not 0 <= number < CALLS_MAX:
            raise TooManyCalls(task_id, f"call {number}, at most {CALLS_MAX} are remembered")
        if len(answer) > ANSWER_BYTES_MAX:
            raise TooManyCalls(task_id, f"an answer of {len(answer)} bytes is not remembered")
        if self._bytes.get(task_id, TASK_BYTES_MAX) + len(answer) > TASK_BYTES_MAX:
            self._bytes[task_id] = self._stored_bytes(task_id)
            if self._bytes[task_id] + len(answer) > TASK_BYTES_MAX:
                raise TooManyCalls(task_id, f"its answers exceed {TASK_BYTES_MAX} bytes")
        self._bytes[task_id] += len(answer)
        self._db.execute(
            "INSERT INTO task_calls VALUES (?, ?, ?, ?)", (task_id, number, request_hash, answer)
        )

    def conclude(self, task_id: bytes, number: int, answer: bytes) -> None:
        """Put the answer of a call in the place of what was remembered; in a transaction.

        The call has happened, so no limit of the task keeps its answer out.

        Raises:
            TooManyCalls: one answer that is longer than any may be.
        """
        if len(answer) > ANSWER_BYTES_MAX:
            raise TooManyCalls(task_id, f"an answer of {len(answer)} bytes is not remembered")
        self._bytes[task_id] = self._bytes.get(task_id, 0) + len(answer)
        self._db.execute(
            "UPDATE task_calls SET answer = ? WHERE task_id = ? AND number = ?",
            (answer, task_id, number),
        )

    def forget(self, task_id: bytes) -> None:
        """The task has ended."""
        self._bytes.pop(task_id, None)
        self._db.execute("DELETE FROM task_calls WHERE task_id = ?", (task_id,))

    def _stored_bytes(self, task_id: bytes) -> int:
        total: int | None = self._db.value(
            "SELECT sum(length(answer)) FROM task_calls WHERE task_id = ?", (task_id,)
        )
        return total or 0
