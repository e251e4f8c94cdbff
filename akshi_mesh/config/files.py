"""What reading a configuration asks of the disk."""

from typing import Protocol


class Files(Protocol):
    """The little that reading a configuration asks of the disk."""

    def place(self, written: str) -> str:
        """`written` as an absolute path."""
        ...

    def is_file(self, path: str) -> bool: ...

    def is_directory(self, path: str) -> bool: ...
