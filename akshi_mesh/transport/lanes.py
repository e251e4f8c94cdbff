"""What waits on a link, and how much of it may be in flight. No I/O.

Two lanes, each with a window of 64 KiB: control and tasks, then sync. A sender spends its
window as it sends; the receiver gives bytes back when what they carried has been handled.
So a link never buffers more than 128 KiB of what arrived, and sync that nobody takes stops
sync, never tasks. A full queue refuses at once and calls when it has room again.
"""

from collections import deque
from typing import Final

from akshi_mesh.transport.errors import FlowViolated
from akshi_mesh.transport.wire import HEADER_BYTES, LANES, lane_of, pack, pack_credit

FIRST_LANE: Final = 0  # control and tasks
SYNC_LANE: Final = 1
WINDOW_BYTES: Final = 65_536
QUEUE_BYTES_MAX: Final = 65_536  # per lane; one full record's worth
# Handled bytes are given back from this many on: 65,536 − 512 still covers the largest
# message, so a sender that waits for credit always gets it.
GIVE_BACK_BYTES: Final = 512
_OWN_MAX: Final = 64  # PONGs owed, at most; who pings more often is not answered more often


class Outbox:
    """The sending side: a queue per lane, the credit for it, and the transport's own first."""

    def __init__(self) -> None:
        self._own: deque[bytes] = deque(maxlen=_OWN_MAX)
        self._queues: tuple[deque[bytes], ...] = tuple(deque() for _ in range(LANES))
        self._queued = [0] * LANES
        self._credit = [WINDOW_BYTES] * LANES
        self._handled = [0] * LANES
        self._refused = False

    @property
    def is_waiting(self) -> bool:
        """Whether anything wants to leave, be there credit for it or not."""
        first, sync = self._queues
        return bool(self._own or first or sync) or max(self._handled) >= GIVE_BACK_BYTES

    def put(self, message_type: int, body: bytes) -> bool:
        """Queue a message of the node's; False: the lane is full, `take` will tell when not."""
        lane = lane_of(message_type)
        message = pack(message_type, body)
        queued = self._queued[lane] + len(message)
        if queued > QUEUE_BYTES_MAX:
            self._refused = True
            return False
        self._queued[lane] = queued
        self._queues[lane].append(message)
        return True

    def put_own(self, message: bytes) -> None:
        """Queue one of the transport's own messages, ahead of all others."""
        self._own.append(message)

    def handled(self, lane: int, size: int) -> bool:
        """Bytes of the peer's were handled; True if it is time to give credit back."""
        self._handled[lane] += size
        return self._handled[lane] >= GIVE_BACK_BYTES

    def granted(self, lane: int, amount: int) -> None:
        """The peer gives credit back.

        Raises:
            FlowViolated: more than we ever spent.
        """
        self._credit[lane] += amount
        if self._credit[lane] > WINDOW_BYTES:
            raise FlowViolated("credit for what was never sent")

    def take(self, budget: int) -> bytes:
        """What the next record carries, at most `budget` bytes; empty: nothing may leave now."""
        if not self.is_waiting:
            return b""
        out: list[bytes] = []
        while self._own and len(self._own[0]) <= budget:
            budget -= len(self._own[0])
            out.append(self._own.popleft())
        first_of_node = len(out)
        for lane, queue in enumerate(self._queues):
            room = limit = min(budget, self._credit[lane])
            while queue and len(queue[0]) <= room:
                room -= len(queue[0])
                out.append(queue.popleft())
            spent = limit - room
            budget -= spent
            self._credit[lane] -= spent
            self._queued[lane] -= spent
        # Credit rides along when a record leaves anyway, and makes one leave when it is due.
        for lane, handled in enumerate(self._handled):
            if handled and (out or handled >= GIVE_BACK_BYTES) and budget >= 8:
                budget -= 8
                out.insert(first_of_node, pack_credit(lane, handled))
                self._handled[lane] = 0
        return b"".join(out)

    @property
    def has_refused(self) -> bool:
        """Whether somebody has to be called when there is room."""
        return self._refused

    def has_room_again(self) -> bool:
        """Whether a lane refused since the last True, and both are at most half full."""
        if self._refused and max(self._queued) <= QUEUE_BYTES_MAX // 2:
            self._refused = False
            return True
        return False


class Inbox:
    """The receiving side: what arrived per lane and was not handled yet."""

    def __init__(self) -> None:
        self.queues: tuple[deque[tuple[int, bytes]], ...] = tuple(deque() for _ in range(LANES))
        self._open = [0] * LANES

    def arrived(self, message_type: int, body: bytes) -> int:
        """Queue a message of the peer's; returns its lane.

        Raises:
            FlowViolated: it had no credit for it.
        """
        lane = lane_of(message_type)
        self._open[lane] += HEADER_BYTES + len(body)
        if self._open[lane] > WINDOW_BYTES:
            raise FlowViolated("more in flight than there was credit for")
        self.queues[lane].append((message_type, body))
        return lane

    def take(self, lane: int, budget: int) -> tuple[list[tuple[int, bytes]], int]:
        """The oldest messages of a lane until they reach `budget` bytes; and their size."""
        queue, size = self.queues[lane], 0
        messages: list[tuple[int, bytes]] = []
        while queue and size < budget:
            message = queue.popleft()
            messages.append(message)
            size += HEADER_BYTES + len(message[1])
        return messages, size

    def handled(self, lane: int, size: int) -> None:
        self._open[lane] -= size
