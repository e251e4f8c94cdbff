"""Whatever tasks of one agent do and however they end: the file holds what ended well, in order."""

import json
import tempfile
from pathlib import Path
from typing import Any

import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sandbox.errors import ActFailed
from sandbox.host import databases as module
from sandbox.host.databases import Databases
from sandbox.sql import read_statement

TASKS = [bytes([65 + n]) * 32 for n in range(3)]
tasks = st.sampled_from(TASKS)


class AnySchedule(RuleBasedStateMachine):
    """The model: rows that are committed, what each open task has staged, and who writes."""

    def __init__(self) -> None:
        super().__init__()
        module.PEN_WAIT_S = 0.01  # whoever has the pen keeps it: nobody ends a task meanwhile
        self.directory = tempfile.TemporaryDirectory()
        self.databases = Databases(Path(self.directory.name))
        self.committed: list[int] = []
        self.staged: list[int] = []
        self.writer: bytes | None = None
        self.seen: dict[bytes, int] = {}  # how many commits a task that reads had seen
        self.commits = 0
        self.rows: dict[bytes, bytes] = {}  # what a start would find
        self.next = 0
        self._run(self._create)

    def teardown(self) -> None:
        self.databases.close()
        self.directory.cleanup()

    def _run(self, function: Any, *arguments: Any) -> Any:
        return trio.run(function, *arguments)

    async def _create(self) -> None:
        task = b"0" * 32
        await self.databases.execute("ann", task, read_statement("CREATE TABLE t (a)", ""))
        await self.databases.prepare(task, b"")
        self.databases.commit(task)
        await self.databases.finish(task)

    def _read(self, task: bytes) -> list[int]:
        sql = read_statement("SELECT a FROM t ORDER BY rowid", "")
        rows = json.loads(self._run(self.databases.query, "ann", task, sql))["rows"]
        return [a for (a,) in rows]

    @rule(task=tasks)
    def look(self, task: bytes) -> None:
        staged = self.staged if task == self.writer else []
        assert self._read(task) == self.committed + staged
        if task != self.writer:
            self.seen.setdefault(task, self.commits)

    @precondition(lambda self: set(TASKS) - set(self.rows))
    @rule(task=tasks)
    def write(self, task: bytes) -> None:
        if task in self.rows:
            return
        self.next += 1
        sql = read_statement("INSERT INTO t VALUES (?)", json.dumps([self.next]))
        why = ""
        try:
            self._run(self.databases.execute, "ann", task, sql)
        except ActFailed as refused:
            why = refused.why
        if "has written since" in why:
            assert self.seen[task] != self.commits
            self.seen[task] = self.commits
            self.writer = task  # it has the pen, and nothing is staged
        elif why:
            assert self.writer not in {None, task}, why
        else:
            assert self.writer in {None, task}
            assert self.staged or self.seen.get(task, self.commits) == self.commits
            self.writer = task
            self.staged.append(self.next)

    @precondition(lambda self: self.writer is not None)
    @rule(tells=st.booleans())
    def end_well(self, tells: bool) -> None:
        """`tells`: node.db commits, too; else the node dies in between."""
        task = self.writer
        assert task is not None
        self._run(self.databases.prepare, task, b"[1]")
        self.databases.commit(task)
        self.databases.commit(task)
        if self.staged:
            self.commits += 1
            self.committed += self.staged
        if tells:
            self._run(self.databases.finish, task)
            if self.staged:
                self.commits += 1  # dropping the row is a commit of its own
        else:
            if self.staged:
                self.rows[task] = b"[1]"
            self._die()
        self.staged, self.writer = [], None
        self.seen.pop(task, None)

    @rule(task=tasks)
    def fail(self, task: bytes) -> None:
        self.databases.roll_back(task)
        self.seen.pop(task, None)
        if task == self.writer:
            self.staged, self.writer = [], None

    @rule()
    def crash(self) -> None:
        self._die()
        self.staged, self.writer = [], None

    def _die(self) -> None:
        self.databases.close()
        self.databases = Databases(Path(self.directory.name))
        self.seen.clear()

    @precondition(lambda self: self.rows)
    @rule()
    def start(self) -> None:
        """node.db learns of what had ended."""
        if self.writer is None:
            assert self.databases.ended("ann") == self.rows
            self.databases.forget("ann", list(self.rows))
            self.rows.clear()
            self.commits += 1

    @invariant()
    def nobody_else_sees_what_is_staged(self) -> None:
        other = b"9" * 32
        assert self._read(other) == self.committed
        self.databases.roll_back(other)


AnySchedule.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestAnySchedule = AnySchedule.TestCase
