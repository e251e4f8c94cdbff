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

    hint = "free disk space, then start the node again: akshi-node run"


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
