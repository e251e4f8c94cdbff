"""Bytes in an anonymous file that nobody can change any more: what is handed to a child."""

import fcntl
import os
import sys
import tempfile
from types import TracebackType
from typing import Self


class Memfile:
    """A sealed file without a name. Close it, or use it in a `with`."""

    def __init__(self, data: bytes) -> None:
        self.bytes = len(data)
        if sys.platform == "linux":
            self.descriptor = os.memfd_create("akshi", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        else:
            with tempfile.TemporaryFile() as unnamed:
                self.descriptor = os.dup(unnamed.fileno())
        try:
            _write_whole(self.descriptor, data)
            if sys.platform == "linux":
                seals = (
                    fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
                )
                fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)
        except BaseException:
            os.close(self.descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it; children that have it keep it."""
        os.close(self.descriptor)


def _write_whole(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
