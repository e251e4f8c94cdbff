"""What can be wrong with a configuration, said by file and line.

ConfigError         one or more problems in the text: fix the file
ConfigUnreadable    there is no such file, or others may write it
"""

from collections.abc import Sequence
from dataclasses import dataclass

from akshi_mesh.errors import UsageError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to change, or to know. `line` is None where no line is to blame."""

    file: str
    line: int | None
    text: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file} line {self.line}"
        return f"{where}: {self.text}"


class ConfigError(UsageError):
    """The text is not a configuration; `problems` holds every reason, in order of lines."""

    def __init__(self, problems: Sequence[Problem], *, hint: str = "") -> None:
        assert problems, "an error has a reason"
        super().__init__("; ".join(map(str, problems)), hint=hint)
        self.problems = tuple(problems)

    @property
    def line(self) -> int | None:
        """The line of the first problem."""
        return self.problems[0].line


class ConfigUnreadable(UsageError):
    """The file cannot be opened, or must not be trusted."""
