"""A node that kills itself at the n-th point of its work: `dies_at.py ORDER run …`.

Points lie before everything by which a task changes the store or is told to others; so one
lies after each commit as well. Nothing is counted until the file ORDER is there, which holds
n: the process that recovers from one death waits for its own. Where it died stands beside it.
"""

import functools
import os
import signal
import sys
from pathlib import Path
from typing import Any

from akshi_mesh.agent_ports import Diaries, Memory
from akshi_mesh.attempts import Attempts
from akshi_mesh.audit_log import AuditLog
from akshi_mesh.cli.main import main
from akshi_mesh.switchboard import Switchboard
from sync.mesh import Mesh
from sync.proto.journals import Journals
from sync.store.database import Database

POINTS: tuple[tuple[type, str], ...] = (
    (AuditLog, "record"),
    (Diaries, "stage"),
    (Memory, "remember"),
    (Attempts, "start"),
    (Journals, "commit_staged"),
    (Mesh, "_perform"),
    (Switchboard, "send"),
    (Database, "execute"),  # of all statements, COMMIT
)


class Fate:
    """Counts points, and ends the process at the one that was named."""

    def __init__(self, order: Path) -> None:
        self._order = order
        self._passed = 0

    def pass_point(self, name: str) -> None:
        if not self._order.exists():
            return
        self._passed += 1
        if self._passed == int(self._order.read_text()):
            self._order.with_suffix(".died").write_text(name)
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, owner: type, name: str) -> None:
        """Make a point before each call of the method."""
        method = getattr(owner, name)

        @functools.wraps(method)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if name != "execute" or args[1] == "COMMIT":
                self.pass_point(f"{owner.__name__}.{name}")
            return method(*args, **kwargs)

        setattr(owner, name, watched)


if __name__ == "__main__":
    fate = Fate(Path(sys.argv.pop(1)))
    for owner, name in POINTS:
        fate.watch(owner, name)
    sys.exit(main())
