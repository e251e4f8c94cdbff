"""What the kernel counts for a worker: no core file, no written file, no child, little memory."""

import resource
from pathlib import Path

from sandbox.worker import libc


def data_bytes_now() -> int:
    """Private writable memory of this process, as RLIMIT_DATA counts it. Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * resource.getpagesize()


def restrict(*, data_bytes: int) -> None:
    """Apply the limits for good; `data_bytes` may be used on top of what is used now.

    RLIMIT_DATA and not RLIMIT_AS: wasmtime reserves address space that costs nothing.
    """
    if libc.LINUX:
        limit = data_bytes_now() + data_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    no_core()
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(kind, (0, 0))


def no_core() -> None:
    """A crash leaves no picture of our memory on disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def no_more_files() -> None:
    """Open descriptors stay usable, not one more can be made."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
