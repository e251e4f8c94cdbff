"""What a person at the workbench is told."""

from pathlib import Path

from akshi_mesh.errors import BadNews, UsageError


class ProjectRefused(UsageError):
    """A project cannot be begun here, or this is none."""


class ToolMissing(UsageError):
    """A tool of a language's chain is not on this machine; the hint installs it."""

    def __init__(self, tool: str, *, install: str) -> None:
        super().__init__(f"{tool} is not on this machine", hint=install)
        self.tool = tool
        self.install = install


class BuildFailed(BadNews):
    """A tool refused; `words` are its own, line by line."""

    def __init__(self, message: str, *, words: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.words = words


class NotAComponent(UsageError):
    """A file that no node would read as an agent."""

    def __init__(self, path: Path, *, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.why = why
