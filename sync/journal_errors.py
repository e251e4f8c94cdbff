"""Everything the journals raise on purpose; chosen, like all of `sync`, by who must act.

MalformedEntry, MalformedCheckpoint,
MalformedProof, MalformedMessage      a peer sent nonsense     -> Misbehaved, drop its link
EntryTooLarge, MalformedJournalName,
MalformedCursor, MalformedQuery       the caller passed it     -> tell the caller
TooManyEpochs                         the limit of DESIGN §8   -> tell the operator
JournalDamaged                        the disk lost something  -> serve nothing, run fsck
"""

from sync.errors import SyncError


class JournalError(SyncError):
    """Root of what the journals raise."""


class MalformedEntry(JournalError, ValueError):
    def __init__(self, why: str) -> None:
        super().__init__(f"entry: {why}")
        self.why = why


class EntryTooLarge(MalformedEntry):
    """An entry longer than its limit; a longer text belongs in several."""

    def __init__(self, size_bytes: int, *, bytes_max: int) -> None:
        super().__init__(f"{size_bytes} bytes, at most {bytes_max} are allowed")
        self.size_bytes = size_bytes
        self.bytes_max = bytes_max


class MalformedJournalName(JournalError, ValueError):
    def __init__(self, name: str) -> None:
        super().__init__(f"journal name {name[:80]!r}: want 1 to 64 of a-z A-Z 0-9 . _ -")
        self.name = name


class MalformedCursor(JournalError, ValueError):
    def __init__(self, text: str) -> None:
        super().__init__(f"cursor {text[:80]!r}: not one that a read returned")
        self.text = text


class MalformedQuery(JournalError, ValueError):
    def __init__(self, text: str) -> None:
        super().__init__(f"query {text[:80]!r}: no word to look for")
        self.text = text


class MalformedCheckpoint(JournalError, ValueError):
    def __init__(self, why: str) -> None:
        super().__init__(f"checkpoint: {why}")
        self.why = why


class MalformedProof(JournalError, ValueError):
    """A Merkle proof or a fork proof of a shape that no correct program writes."""

    def __init__(self, why: str) -> None:
        super().__init__(f"proof: {why}")
        self.why = why


class MalformedMessage(JournalError, ValueError):
    def __init__(self, why: str) -> None:
        super().__init__(f"sync message: {why}")
        self.why = why


class TooManyEpochs(JournalError):
    """An author has opened as many epochs as are kept."""

    hint = "give the agent a new name, or the node a new key"

    def __init__(self, author: bytes, *, epochs_max: int) -> None:
        super().__init__(f"author {author.hex()} has {epochs_max} epochs, no more are kept")
        self.author = author
        self.epochs_max = epochs_max


class JournalDamaged(JournalError):
    """What is stored does not give the root that was signed."""

    hint = "akshi-node fsck"

    def __init__(self, journal: str, why: str) -> None:
        super().__init__(f"journal {journal}: {why}")
        self.journal = journal
        self.why = why
