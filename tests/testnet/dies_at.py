"""A node that kills itself at each place of its work where it did not die before.

    dies_at.py ORDER run …

Places lie before everything by which a task changes the store or is told to others; so one
lies after each commit as well. A place is what is about to happen, what happened since the
last commit, and the how-maniest it is. While the file ORDER is there, which holds the places
of earlier deaths, one a line, the first other place ends the process, and is told beside it;
the file is then gone. The node starts again at once, in a fork of a process that has loaded
all modules and done nothing else: so a life costs a tenth of a second, not most of one.
"""

import functools
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import akshi_mesh.node
from akshi_mesh.agent_ports import Diaries, Memory
from akshi_mesh.attempts import Attempts
from akshi_mesh.audit.log import AuditLog
from akshi_mesh.cli.main import main
from akshi_mesh.switchboard import Switchboard
from sandbox.host.databases import Databases
from sandbox.host.guest_sql import GuestSql
from sandbox.worker import libc
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
            self._order.rename(self._order.with_suffix(".obeyed"))
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


def live_again_and_again() -> None:
    """Return in each new life; the process that was started ends as the last of them does."""
    assert akshi_mesh.node, "what a node needs is loaded before the first life"
    while child := os.fork():

        def end(number: int, _: FrameType | None, child: int = child) -> None:
            os.kill(child, number)

        signal.signal(signal.SIGTERM, end)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != -signal.SIGKILL:
            sys.exit(code)
        # Who launched us reads that we are ready once: later lives would fill the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    fate = Fate(Path(sys.argv.pop(1)))
    for owner, name in METHODS:
        fate.watch(owner, name)
    live_again_and_again()
    sys.exit(main())
