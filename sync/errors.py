"""Everything `sync` raises on purpose.

Choose by who must act, not by where it happened:

    StoreFull, StoreReadOnly, StoreBusy   the machine is in the way  -> free it, start again
    DatabaseDamaged                       the disk lost something    -> serve nothing, run fsck
    MalformedTask                         a peer sent nonsense       -> drop its link
    SubmitRefused (QueueFull, ...)        not now, or never          -> tell who asked

A bug in our own code is an `AssertionError` (or apsw's SQLError); nobody catches it.
"""


class SyncError(Exception):
    """Root of the package; catch it only at the edge of the node."""

    hint: str | None = None


class StoreError(SyncError):
    """The database could not do what was asked. Nothing of the open transaction is kept."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class StoreFull(StoreError):
    """The disk is full. What was acknowledged is safe; nothing new is accepted."""

    hint = "free disk space; a node that runs goes on by itself, else: akshi-node run"


class StoreReadOnly(StoreError):
    """The database, its directory or its file system cannot be written."""

    hint = "make the home directory writable, then: akshi-node doctor"


class StoreBusy(StoreError):
    """Another program holds the database."""

    hint = "stop the other program that has the file open, then: akshi-node status"


class StoreUnreadable(StoreError):
    """The database cannot be opened or read, and not for a reason found in its content."""

    hint = "akshi-node doctor"


class DatabaseDamaged(StoreError):
    """A page does not match its checksum, or the file is not the database it should be."""

    hint = "akshi-node fsck"


class MalformedTask(SyncError, ValueError):
    """The body of an envelope about tasks is not what its kind allows. No correct peer sends it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"task: {why}")
        self.why = why


class UnknownTask(SyncError):
    """Nothing is known of a task with this id: never was, or too long ago."""

    hint = "akshi-node task list"

    def __init__(self, task_id: bytes) -> None:
        super().__init__(f"no task {task_id.hex()} is known here")
        self.task_id = task_id


class SubmitRefused(SyncError):
    """This node does not take the task on; nothing was stored."""


class QueueFull(SubmitRefused):
    """Too much waits for this peer already."""

    hint = "wait until the peer is back, or withdraw tasks: akshi-node task cancel ID"

    def __init__(self, *, rows: int, size_bytes: int) -> None:
        super().__init__(f"{rows} tasks of {size_bytes} bytes wait for this peer already")
        self.rows = rows
        self.size_bytes = size_bytes


class TaskTooLarge(SubmitRefused):
    def __init__(self, size_bytes: int, *, bytes_max: int) -> None:
        super().__init__(f"the task has {size_bytes} bytes, at most {bytes_max} fit an envelope")
        self.size_bytes = size_bytes
        self.bytes_max = bytes_max


class ChainTooLong(SubmitRefused):
    def __init__(self, hops: int, *, hops_max: int) -> None:
        super().__init__(f"the task came through {hops} agents, at most {hops_max} are allowed")
        self.hops = hops
        self.hops_max = hops_max


class LifeTooLong(SubmitRefused):
    def __init__(self, expires_ms: int, *, from_ms: int, until_ms: int) -> None:
        super().__init__(f"expiry {expires_ms} ms is not between {from_ms} and {until_ms} ms")
        self.expires_ms = expires_ms


class MessageIdTaken(SubmitRefused):
    """Another task for this agent has the same message id and other words."""

    hint = "give each new message an id of its own"

    def __init__(self, message_id: str, task_id: bytes) -> None:
        super().__init__(f"message id {message_id!r} belongs to task {task_id.hex()}")
        self.message_id = message_id
        self.task_id = task_id


class MalformedHello(SyncError, ValueError):
    """The first message on a link is not what it must be. No correct peer sends it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"hello: {why}")
        self.why = why


class TooManyCalls(SyncError):
    """A task whose host calls cannot all be remembered; it fails, and nothing is repeated."""

    def __init__(self, task_id: bytes, why: str) -> None:
        super().__init__(f"task {task_id.hex()}: {why}")
        self.task_id = task_id
        self.why = why
