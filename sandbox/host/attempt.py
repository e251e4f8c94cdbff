"""One run of one guest on one task: answers its calls, in order, each once.

Plays the gate: each step of its script meets the ports, the clock or an act here.
What a call costs the node is bounded twice. Calls are paced by a token bucket of the
agent: the guest waits, so that its answers do not depend on how busy it has been. And
an attempt has a limit of calls and of remembered bytes.
"""

import contextlib
import math
from collections.abc import Awaitable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, assert_never

import trio

from sandbox.acts import a2a, filesystem, journal, task
from sandbox.agent_spec import mount_name
from sandbox.audit import AuditRecord, Event
from sandbox.errors import (
    ActFailed,
    AuditUnavailable,
    PortRefused,
    ProtocolBroken,
    SandboxError,
)
from sandbox.fault import Fault, FaultCode
from sandbox.gate import (
    Answer,
    Begin,
    Commit,
    Perform,
    Recall,
    Record,
    Remember,
    RollBack,
    Step,
    host_call,
)
from sandbox.host.boundary import Desk
from sandbox.hostcall import Call
from sandbox.policy import State
from sandbox.ports import Remembered, TaskRun
from sandbox.request import (
    AppendEntry,
    AskCancelled,
    CancelTask,
    DrawRandom,
    ListFiles,
    NotBuilt,
    ReadEntries,
    ReadFile,
    ReportProgress,
    Request,
    SearchEntries,
    SendTask,
    TellTime,
    Unreadable,
    WaitForTasks,
    WriteLog,
    read_request,
)

TOKENS_PER_CHARACTER = 1 / 1_024
TOKENS_OF_A_THREAD = 4.0  # files and searches: a thread hop and some system calls
TOKENS_OF_A_LISTING = 16.0  # looks at every name of a directory
CALLS_PER_TASK_MAX = 100_000
KEPT_BYTES_MAX = 16 << 20  # remembered answers of one task

_TOO_MUCH = Fault(FaultCode.BUDGET_EXCEEDED, "this task has made all the calls it may make")


class _Undone(SandboxError):
    """Handed to a transaction so that it rolls back; never seen outside."""


class Attempt:
    """One run of one guest: answers its calls, in order, each once.

    `deadline_s` (on trio's clock) is when the guest must have ended; it stands still
    while a call waits for another agent, and moves on with each progress report. What
    enforces it is the supervisor's watchdog.
    """

    def __init__(self, desk: Desk, task: TaskRun) -> None:
        self.desk = desk
        self.task = task
        self.is_cancelled = False
        self.sent: dict[str, str] = {}
        self._clock_s = math.inf
        self._end_by_s = math.inf
        self._next = 0
        self._ports = desk.boundary.ports
        self._is_new_ground = False  # no earlier attempt has come this far
        self._kept: list[tuple[int, bytes, bytes]] = []
        self._kept_bytes = 0
        self._mark: int | None = None  # how many were kept when the transaction began
        self._transaction: AbstractContextManager[None] | None = None
        self._waiting: trio.CancelScope | None = None
        self._extend()

    def _left_s(self) -> float:
        """Until the task expires."""
        return (self.task.expires_ms - self.desk.boundary.wall_ms()) / 1_000

    def _extend(self) -> None:
        """Give the guest its whole wall clock again, within the life of the task."""
        wall_clock_s = min(self.desk.spec.wall_clock_s, self._left_s())
        self._clock_s = trio.current_time() + wall_clock_s

    @property
    def deadline_s(self) -> float:
        """When to kill the guest."""
        return min(self._clock_s, self._end_by_s)

    def cancel(self, *, grace_s: float) -> None:
        """The task is to end: the guest is told when it asks, and a call that waits returns."""
        self.is_cancelled = True
        self._end_by_s = min(self._end_by_s, trio.current_time() + grace_s)
        self.abandon()

    def abandon(self) -> None:
        """Nobody will read the answer of the call that waits now."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def answer(self, call: Call) -> Answer:
        """The answer to `call`, which may take as long as another agent takes.

        Raises:
            ProtocolBroken: not the next call, or one that no correct worker makes.
            Nondeterministic: not what an earlier attempt of this task did.
        """
        if call.number != self._next:
            raise ProtocolBroken(why=f"call {call.number} instead of {self._next}")
        self._next += 1
        pause_s = self.desk.pace.wait_s(trio.current_time())
        if pause_s > 0:
            await trio.sleep(pause_s)
        request = read_request(call.number, call.function, call.arguments)
        self._charge(1 + TOKENS_PER_CHARACTER * sum(map(_length, call.arguments)))
        if call.number >= CALLS_PER_TASK_MAX or self._kept_bytes > KEPT_BYTES_MAX:
            # Refused whether or not the log can take it.
            with contextlib.suppress(AuditUnavailable):
                self._record(Event.REFUSED, request, _TOO_MUCH)
            return _TOO_MUCH
        answer = await self._play(request)
        if isinstance(answer, Fault):
            return answer
        self._charge(TOKENS_PER_CHARACTER * len(answer))
        if isinstance(request.wish, SendTask):
            self.sent[answer] = self._canonical(request.wish)
        elif isinstance(request.wish, ReportProgress):
            self._extend()
        return answer

    async def _play(self, request: Request) -> Answer:
        boundary = self.desk.boundary
        state = State(boundary.me, boundary.resolve, boundary.stopped, self.task.chain)
        script = host_call(request, self.desk.spec, state)
        reply: object = None
        refused: PortRefused | AuditUnavailable | None = None
        try:
            while True:
                step = script.throw(refused) if refused else script.send(reply)
                reply = refused = None
                try:
                    reply = await self._take(step)
                except (PortRefused, AuditUnavailable) as failure:
                    refused = failure
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        finally:
            self._roll_back()  # does nothing unless a bug or a kill left it open

    async def _take(self, step: Step[Any]) -> object:
        match step:
            case Recall(number):
                return self._recall(number)
            case Record(event, request, fault):
                return self._record(event, request, fault)
            case Perform(request, target):
                return await self._perform(request, target)
            case Remember(request, answer):
                self._remember(request, answer)
            case Begin():
                self._begin()
            case Commit():
                self._commit()
            case RollBack():
                self._roll_back()
            case _:
                raise AssertionError(f"a step that nobody takes: {step!r}")
        return None

    def _recall(self, number: int) -> Remembered | None:
        if self._is_new_ground:
            return None
        found = self._ports.memory.recall(self.task.id, number)
        # Answers are written in order and without gaps, so the first that is missing is the last.
        self._is_new_ground = found is None
        return found

    def _record(self, event: Event, request: Request, fault: Fault | None) -> bool:
        record = AuditRecord(
            self.desk.boundary.wall_ms(),
            event,
            self.task.agent,
            self.task.originator,
            self.task.id,
            request.number,
            request.function.name,
            fault.code.value if fault else "",
            fault.why if fault else request.target,
            request.hash,
        )
        return self.desk.ledger.record(record, now_s=trio.current_time())

    def _remember(self, request: Request, answer: bytes) -> None:
        """Keep the answer; in the store as soon as something depends on it.

        Answers without an effect wait here for the next local effect and commit with it:
        if we crash before, nothing that outlives us has depended on them.
        """
        self._kept.append((request.number, request.hash, answer))
        self._kept_bytes += len(answer)
        if self._transaction is not None:
            for number, hash, kept in self._kept:
                self._ports.memory.remember(self.task.id, number, hash, kept)

    def _begin(self) -> None:
        self._mark = len(self._kept)
        transaction = self._ports.memory.transaction()
        transaction.__enter__()
        self._transaction = transaction

    def _commit(self) -> None:
        assert self._transaction is not None, "commit without begin"
        transaction, self._transaction = self._transaction, None
        transaction.__exit__(None, None, None)
        self._kept.clear()
        self._mark = None

    def _roll_back(self) -> None:
        if self._mark is not None:
            del self._kept[self._mark :]
            self._mark = None
        if self._transaction is not None:
            transaction, self._transaction = self._transaction, None
            transaction.__exit__(_Undone, _Undone(), None)

    async def _perform(self, request: Request, target: str) -> str:
        number, ports, run = request.number, self._ports, self.task
        match request.wish:
            case AppendEntry() as wish:
                return journal.append(ports.journals, run, wish, number=number)
            case ReadEntries() as wish:
                return journal.read(ports.journals, run, wish)
            case SearchEntries() as wish:
                self._charge(TOKENS_OF_A_THREAD)
                return await self._waited(journal.search(ports.journals, run, wish))
            case SendTask() as wish:
                me = self.desk.boundary.me
                return a2a.send(ports.tasks, run, wish, number=number, me=me, target=target)
            case WaitForTasks() as wish:
                return await self._wait_for_tasks(wish)
            case CancelTask() as wish:
                return a2a.cancel(ports.tasks, run, wish, sent=self.sent)
            case ListFiles() | ReadFile() as wish:
                return await self._look_at_files(wish, target)
            case ReportProgress() as wish:
                return task.progress(ports.tasks, run, wish)
            case WriteLog() as wish:
                return task.log(ports.log, run, wish)
            case AskCancelled():
                return task.is_cancelled(cancelled=self.is_cancelled)
            case TellTime():
                return task.now(self.desk.boundary.wall_ms)
            case DrawRandom() as wish:
                return task.random(self.desk.boundary.random_bytes, wish)
            case NotBuilt() | Unreadable():
                raise AssertionError("the policy lets none of these through")
            case _:
                assert_never(request.wish)

    async def _wait_for_tasks(self, wish: WaitForTasks) -> str:
        # The guest sleeps while another agent works, so its clock stands still; what bounds
        # the waiting is the timeout it gave and the life of its task.
        left_s = self._clock_s - trio.current_time()
        self._clock_s = math.inf
        try:
            return await self._waited(
                a2a.wait(
                    self._ports.tasks,
                    self.task,
                    wish,
                    sent=self.sent,
                    me=self.desk.boundary.me,
                    left_s=self._left_s(),
                )
            )
        finally:
            self._clock_s = trio.current_time() + left_s

    async def _look_at_files(self, wish: ListFiles | ReadFile, root: str) -> str:
        if isinstance(wish, ListFiles) and not wish.path.parts:
            names = [mount_name(path) for path in self.desk.spec.filesystem_allowed]
            return filesystem.list_shelves(names, after=wish.after, limit=wish.limit)
        self._charge(TOKENS_OF_A_THREAD)
        shelf = self.desk.shelves[root]
        if isinstance(wish, ReadFile):
            look = partial(shelf.read, wish.path)
        else:
            self._charge(TOKENS_OF_A_LISTING)
            look = partial(shelf.list_files, wish.path, after=wish.after, limit=wish.limit)
        return await self._waited(
            trio.to_thread.run_sync(look, abandon_on_cancel=True, limiter=self.desk.threads)
        )

    async def _waited(self, answer: Awaitable[str]) -> str:
        """Wait for `answer`, but not beyond the moment when nobody wants it any more."""
        with trio.CancelScope() as self._waiting:
            if self.is_cancelled:
                self._waiting.cancel()
            return await answer
        raise ActFailed(FaultCode.CANCELLED, "the task is to end")

    def _canonical(self, wish: SendTask) -> str:
        boundary = self.desk.boundary
        did = wish.target.did(me=boundary.me, resolve=boundary.resolve)
        return f"{did or wish.target.node}/{wish.target.agent}"

    def _charge(self, tokens: float) -> None:
        self.desk.pace.charge(tokens)


def _length(argument: str | int) -> int:
    return len(argument) if isinstance(argument, str) else 0
