"""Everything that can be wrong with an audit log, by whose fault it is.

MalformedNote     it is no signed note, or no checkpoint
MalformedBundle   it is no entry bundle
NoteUnsigned      nobody we know has signed it
LogChanged        what is in the log is not what was signed; nothing more is signed
NoRecord          there is no record with that number
ExportTaken       something else is where the export should go
NoTask            no record is about that task
NothingSigned     no node runs here, and none has signed a checkpoint
"""

from pathlib import Path

from akshi_mesh.errors import BadNews, Unreachable, UsageError


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


class NoTask(UsageError):
    """No record is about that task."""

    def __init__(self, task: str) -> None:
        super().__init__(f"no audit record about task {task[:80]!r}", hint="akshi-node task list")


class ExportTaken(UsageError):
    """There is something where the export should go."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: something else is there", hint="name another place")


class NothingSigned(Unreachable):
    """The node is not running, and has never signed a checkpoint."""

    def __init__(self) -> None:
        super().__init__("no checkpoint was signed yet", hint="akshi-node run")


class MalformedReconcile(BadNews, ValueError):
    """A question or an answer about receipts that no correct node sends."""

    def __init__(self, why: str) -> None:
        super().__init__(f"malformed reconcile message: {why}")
