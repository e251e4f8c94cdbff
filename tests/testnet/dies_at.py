"""A node that kills itself at each place of its work where it did not die before.

    dies_at.py ORDER run …

Places lie before everything by which a task changes the store or is told to others; so one
lies after each commit as well. A place is what is about to happen, what happened since the
last commit, and the how-maniest it is. While the file ORDER is there, which holds the places
of earlier deaths, one a line, the first other place ends the process, and is told beside it.
"""

import functools
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from akshi_mesh.agent_ports import Diaries, Memory
from akshi_mesh.attempts import Attempts
from akshi_mesh.audit.log import AuditLog
from akshi_mesh.cli.main import main
from akshi_mesh.switchboard import Switchboard
from sandbox.host.databases import Databases
from sandbox.host.guest_sql import GuestSql
from sync.mesh import Mesh
from sync.proto.journals import Journals
from sync.store.database import Database

METHODS: tuple[tuple[type, str], ...] = (
    (AuditLog, "record"),
    (Diaries, "stage"),
    (Memory, "remember"),
    (Attempts, "start"),
    (Journals, "commit_staged"),
    (Mesh, "_perform"),
    (Switchboard, "send"),
    (Databases, "execute"),
    (Databases, "prepare"),
    (Databases, "commit"),
    (Databases, "finish"),
    (GuestSql, "forget"),
    (Database, "execute"),  # of all statements, COMMIT
)


class Fate:
    """Knows where the node died before, and ends it at the next place."""

    def __init__(self, order: Path) -> None:
        self._order = order
        self._heard = ""
        self._passed: Counter[str] = Counter()
        self._uncommitted: list[str] = []

    def meet(self, what: str) -> None:
        if not self._order.exists():
            return
        order = self._order.read_text()
        if order != self._heard:
            self._heard = order
            self._passed.clear()
        place = f"{what} ({', '.join(self._uncommitted)})"
        self._passed[place] += 1
        place += f" {self._passed[place]}"
        if place not in order.splitlines():
            self._order.with_suffix(".died").write_text(place)
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "COMMIT":
            self._uncommitted.clear()
        else:
            self._uncommitted.append(what)

    def watch(self, owner: type, name: str) -> None:
        """Make a place before each call of the method."""
        method = getattr(owner, name)

        @functools.wraps(method)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if name == "_perform":
                self.meet(f"{type(args[1]).__name__}")
            elif name != "execute":
                self.meet(f"{owner.__name__}.{name}")
            elif args[1] == "COMMIT":
                self.meet("COMMIT")
            return method(*args, **kwargs)

        setattr(owner, name, watched)


if __name__ == "__main__":
    fate = Fate(Path(sys.argv.pop(1)))
    for owner, name in METHODS:
        fate.watch(owner, name)
    sys.exit(main())
