"""The acts themselves: each wish that the gate let through goes to its one file in `acts`."""

import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TypeVar

import trio

from sandbox.acts import a2a, database, filesystem, http_fetch, inference, journal, mcp, spend, task
from sandbox.agent_spec import mount_name
from sandbox.bounds import Use, refusal
from sandbox.capability import Capability, Effect
from sandbox.charge import Charge, Quote
from sandbox.endpoint import Url
from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.fetch import FetchRequest
from sandbox.find import FindEntries
from sandbox.host.boundary import Desk
from sandbox.host.counsel import Counsel
from sandbox.hostcall import TEXT_BYTES_MAX
from sandbox.mcp_server import CallTool, ListTools
from sandbox.policy import Deny, NeedApproval, decide
from sandbox.ports import TaskRun
from sandbox.prompt import Prompt
from sandbox.request import (
    AppendEntry,
    AskBalance,
    AskCancelled,
    CancelTask,
    DrawRandom,
    ListFiles,
    ReadEntries,
    ReadFile,
    ReportProgress,
    Request,
    RunSql,
    SearchEntries,
    SendTask,
    TellTime,
    Unreadable,
    WaitForTasks,
    WriteLog,
)
from sandbox.spend import KILL_SWITCH, Money

AnswerT = TypeVar("AnswerT")

TOKENS_OF_A_THREAD = 4.0  # files and searches: a thread hop and some system calls
TOKENS_OF_A_LISTING = 16.0  # looks at every name of a directory


class Clock:
    """How long a guest may still run: `deadline_s`, on trio's clock, is when to kill it.

    It stands still while a call waits for a person or another agent, and moves on with each
    progress report. What enforces it is the supervisor's watchdog.
    """

    def __init__(self, desk: Desk, run: TaskRun) -> None:
        self._desk = desk
        self._run = run
        self._clock_s = math.inf
        self._end_by_s = math.inf
        self.extend()

    @property
    def deadline_s(self) -> float:
        return min(self._clock_s, self._end_by_s)

    def left_s(self) -> float:
        """Until the task expires."""
        return (self._run.expires_ms - self._desk.boundary.wall_ms()) / 1_000

    def extend(self) -> None:
        """Give the guest its whole wall clock again, within the life of the task."""
        wall_clock_s = min(self._desk.spec.wall_clock_s, self.left_s())
        self._clock_s = trio.current_time() + wall_clock_s

    def end_in(self, grace_s: float) -> None:
        self._end_by_s = min(self._end_by_s, trio.current_time() + grace_s)

    async def stand_still(self, answer: Awaitable[AnswerT]) -> AnswerT:
        """Wait for `answer` without counting the time: the guest sleeps meanwhile."""
        left_s = self._clock_s - trio.current_time()
        self._clock_s = math.inf
        try:
            return await answer
        finally:
            self._clock_s = trio.current_time() + left_s


class Performer:
    """For the calls of one task."""

    def __init__(self, desk: Desk, run: TaskRun, clock: Clock, counsel: Counsel) -> None:
        self.is_cancelled = False
        self.sent: dict[str, str] = {}
        self.spent: Money | None = None  # by the last call that had a price; None: all of it
        self._desk = desk
        self._run = run
        self._clock = clock
        self._counsel = counsel
        self._ports = desk.boundary.ports
        self._waiting: trio.CancelScope | None = None
        self._is_abandoned = False

    def abandon(self) -> None:
        """Nobody will read the answer of the call that waits now."""
        self._is_abandoned = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def perform(self, request: Request, target: str) -> str:
        """Do what `request` asks, at the target that was checked.

        Raises:
            PortRefused: it did not happen; with the code `unknown`, nobody knows.
        """
        self.spent = None
        answer = await self._perform(request, target)
        # Escapes and marks make an answer longer than what was bounded when it came; what no
        # frame holds must not reach the worker's channel.
        if len(answer) > TEXT_BYTES_MAX // 4 and len(answer.encode()) > TEXT_BYTES_MAX:
            is_done = request.function.effect in {Effect.OUTSIDE, Effect.LOCAL}
            code = FaultCode.UNKNOWN if is_done else FaultCode.INVALID
            raise ActFailed(code, f"the answer is over {TEXT_BYTES_MAX} bytes")
        return answer

    async def _perform(self, request: Request, target: str) -> str:
        number, ports, run = request.number, self._ports, self._run
        match request.wish:
            case AppendEntry() as wish:
                return journal.append(ports.journals, run, wish, number=number)
            case ReadEntries() as wish:
                return journal.read(ports.journals, run, wish)
            case FindEntries() as wish:
                self._desk.pace.charge(TOKENS_OF_A_THREAD)
                return await self.waited(journal.find(ports.journals, run, wish))
            case SearchEntries() as wish:
                self._desk.pace.charge(TOKENS_OF_A_THREAD)
                return await self.waited(journal.search(ports.journals, run, wish))
            case SendTask() as wish:
                return self._send(wish, number, target)
            case WaitForTasks() as wish:
                return await self._clock.stand_still(self.waited(self._wait_for_tasks(wish)))
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
                return task.now(self._desk.boundary.wall_ms)
            case DrawRandom() as wish:
                return task.random(self._desk.boundary.random_bytes, wish)
            case _:
                return await self._perform_elsewhere(request)

    async def _perform_elsewhere(self, request: Request) -> str:
        """What takes others: a database, a server, money."""
        ports, run = self._ports, self._run
        match request.wish:
            case RunSql() as wish:
                self._desk.pace.charge(TOKENS_OF_A_THREAD)
                run_sql = database.query
                if request.function.name == "database.execute":
                    run_sql = database.execute
                if ports.databases is None:
                    raise ActFailed(FaultCode.UNAVAILABLE, "this node keeps no databases")
                return await self.waited(run_sql(ports.databases, run, wish.statement))
            case FetchRequest() as wish:
                return await self.waited(self._fetch_paid(wish, request), leaves=True)
            case AskBalance() | Quote() | Charge() as wish:
                grants, number = self._counsel.grants(), request.number
                return await self.waited(
                    spend.spend(ports.purse, run, wish, number=number, grants=grants),
                    leaves=isinstance(wish, Charge),
                )
            case Prompt() as wish:
                if ports.models is None:
                    raise ActFailed(FaultCode.UNAVAILABLE, "this node asks no models")
                # Not `waited`: what was cut off after it left is `unknown`, and the act knows.
                asked = inference.prompt(
                    ports.models, run, wish, still=self._still_wanted, halted=self._still_paying
                )
                with self._paying(request):
                    answered = await self._clock.stand_still(asked)
                self.spent = answered.cost
                return answered.json
            case ListTools() | CallTool() as wish:
                return await self.waited(
                    mcp.ask(ports.tools, run, wish, still_allowed=self._still_allowed),
                    leaves=isinstance(wish, CallTool),
                )
            case Unreadable():
                raise AssertionError("the policy lets none of these through")
            case _:
                raise AssertionError(f"{request.function.name} is performed by nobody")

    async def waited(self, answer: Awaitable[AnswerT], *, leaves: bool = False) -> AnswerT:
        """Wait for `answer`, but not beyond the moment when nobody wants it any more.

        Args:
            answer: what is waited for.
            leaves: it may have left the node when it is cut off, and then nobody knows.
        """
        is_late = self.is_cancelled
        with trio.CancelScope() as self._waiting:
            if is_late:
                self._waiting.cancel()
            return await answer
        if leaves and not is_late:
            raise ActFailed(FaultCode.UNKNOWN, "it was cut off: the task is to end")
        raise ActFailed(FaultCode.CANCELLED, "the task is to end")

    def _fetch(self, wish: FetchRequest, request: Request) -> Awaitable[str]:
        def hop(url: Url, method: str) -> str | None:
            state = self._counsel.state(request, now_s=trio.current_time())
            moved = replace(request, wish=replace(wish, url=url, method=method))
            verdict = decide(self._desk.spec, moved, state)
            if isinstance(verdict, NeedApproval):  # what was approved was another place
                return "it needs an approval of its own"
            return verdict.reason if isinstance(verdict, Deny) else None

        def still_allowed() -> str | None:
            stopped = self._still_allowed()
            return stopped if stopped or wish.payment is None else self._still_paying()

        return http_fetch.fetch(
            self._ports.http,
            self._run,
            wish,
            rules=self._desk.spec.endpoints,
            still_allowed=still_allowed,
            hop=hop,
        )

    async def _fetch_paid(self, wish: FetchRequest, request: Request) -> str:
        """Where a request shows a proof, showing it may be what moves the money."""
        if wish.payment is None:
            return await self._fetch(wish, request)
        if self._ports.purse is None:
            raise ActFailed(FaultCode.UNAVAILABLE, "this node has no purse")
        with self._ports.purse.paying(task_id=self._run.id, number=request.number):
            return await self._fetch(wish, request)

    def _still_allowed(self) -> str | None:
        return self._desk.boundary.stopped

    def _paying(self, request: Request) -> AbstractContextManager[None]:
        """Where something is reserved for the call, the switch of money cuts it off."""
        purse, run = self._ports.purse, self._run
        if purse is None or not purse.holds(task_id=run.id, number=request.number):
            return nullcontext()
        return purse.paying(task_id=run.id, number=request.number)

    def _still_wanted(self) -> str | None:
        if self.is_cancelled or self._is_abandoned:
            return "the task is to end"
        return self._still_allowed()

    def _still_paying(self) -> str | None:
        return KILL_SWITCH if self._desk.boundary.spend_halted else None

    def _send(self, wish: SendTask, number: int, target: str) -> str:
        boundary = self._desk.boundary
        id = a2a.send(
            self._ports.tasks, self._run, wish, number=number, me=boundary.me, target=target
        )
        return id

    def note_sent(self, wish: SendTask, id: str) -> None:
        """Also of an earlier attempt: whoever sent it may wait for it."""
        boundary = self._desk.boundary
        did = wish.target.did(me=boundary.me, resolve=boundary.resolve)
        self.sent[id] = f"{did or wish.target.node}/{wish.target.agent}"

    def _wait_for_tasks(self, wish: WaitForTasks) -> Awaitable[str]:
        # What bounds the waiting is the timeout the guest gave and the life of its task.
        return a2a.wait(
            self._ports.tasks,
            self._run,
            wish,
            sent=self.sent,
            me=self._desk.boundary.me,
            left_s=self._clock.left_s(),
        )

    async def _look_at_files(self, wish: ListFiles | ReadFile, root: str) -> str:
        if isinstance(wish, ListFiles) and not wish.path.parts:
            bounds = self._counsel.bounds()
            names = [
                name
                for name in map(mount_name, self._desk.spec.filesystem_allowed)
                if refusal(bounds, Use(Capability.FILESYSTEM, name)) is None
            ]
            return filesystem.list_shelves(names, after=wish.after, limit=wish.limit)
        self._desk.pace.charge(TOKENS_OF_A_THREAD)
        shelf = self._desk.shelves[root]
        look: Callable[[], str]
        if isinstance(wish, ReadFile):
            look = partial(shelf.read, wish.path)
        else:
            self._desk.pace.charge(TOKENS_OF_A_LISTING)
            look = partial(shelf.list_files, wish.path, after=wish.after, limit=wish.limit)
        return await self.waited(
            trio.to_thread.run_sync(look, abandon_on_cancel=True, limiter=self._desk.threads)
        )
