"""What the kernel says about a process and its children. Linux only."""

import os
import select
from pathlib import Path


def family(pid: int) -> list[int]:
    """`pid` and all that descend from it."""
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            found += family(int(child))
    return found


def pss_mb(pid: int) -> float:
    """Its proportional share of memory: private pages, and its part of each shared one."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the kernel counts Pss in smaps_rollup")


class Watch:
    """Waits for the end of processes that are not ours to reap."""

    def __init__(self, pids: list[int]) -> None:
        self._poll = select.poll()
        self._descriptors = {os.pidfd_open(pid) for pid in pids}
        for descriptor in self._descriptors:
            self._poll.register(descriptor, select.POLLIN)

    def wait_all_gone(self, timeout_s: float) -> None:
        """Return when the last one is dead."""
        while self._descriptors:
            ended = self._poll.poll(timeout_s * 1e3)
            assert ended, f"{len(self._descriptors)} processes live on"
            for descriptor, _ in ended:
                self._poll.unregister(descriptor)
                self._descriptors.discard(descriptor)
                os.close(descriptor)
