"""Everything that can be wrong with an audit log, by whose fault it is.

MalformedNote     it is no signed note, or no checkpoint
MalformedBundle   it is no entry bundle
NoteUnsigned      nobody we know has signed it
LogChanged        what is in the log is not what was signed; nothing more is signed
NoRecord          there is no record with that number
"""

from akshi_mesh.errors import BadNews, UsageError


class MalformedNote(BadNews, ValueError):
    """It is no signed note, or no checkpoint."""

    def __init__(self, why: str) -> None:
        super().__init__(f"not a checkpoint: {why}")


class MalformedBundle(BadNews, ValueError):
    """It is no entry bundle."""

    def __init__(self) -> None:
        super().__init__("not an entry bundle: it ends within an entry")


class NoteUnsigned(BadNews):
    """No signature of the key that should have signed it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no good signature of {name} under this note")


class LogChanged(BadNews):
    """The log is not what a checkpoint of its own says."""

    hint = "akshi-node audit verify"

    def __init__(self, why: str) -> None:
        super().__init__(f"the audit log was changed: {why}")


class NoRecord(UsageError):
    """There is no record with that number."""

    def __init__(self, seq: int, size: int) -> None:
        super().__init__(f"no audit record {seq}: there are {size}")
