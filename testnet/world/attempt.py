"""One run of one simulated agent: the real gate, played as discrete events.

As `sandbox.host.attempt`, without a worker, a clock of its own, or anything asynchronous: answers
without an effect are kept here, and stored with the next local effect, in one transaction.
"""

import json
from collections.abc import Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from akshi_mesh.agent_ports import Errands
from akshi_mesh.whose_work import originator_of
from identity.did import Did
from sandbox.acts import a2a, journal, task
from sandbox.errors import PortRefused, SandboxError
from sandbox.fault import Fault, FaultCode
from sandbox.fetch import FetchRequest
from sandbox.gate import (
    Begin,
    Commit,
    Conclude,
    Consult,
    Perform,
    Recall,
    Record,
    Remember,
    RollBack,
    Script,
    Settle,
    Step,
    host_call,
)
from sandbox.kept import Answer
from sandbox.policy import State
from sandbox.ports import EndedTask, TaskRun
from sandbox.request import (
    AppendEntry,
    CancelTask,
    DrawRandom,
    ReadEntries,
    ReportProgress,
    Request,
    SendTask,
    TellTime,
    WaitForTasks,
    read_request,
)
from sync.proto.task_events import StartAttempt
from sync.proto.task_messages import check_message
from sync.proto.task_states import Completed, Failed, Outcome
from testnet.world.guest import GuestFailed, guest

if TYPE_CHECKING:
    from testnet.world.process import Process


class _Undone(SandboxError):
    """Handed to a transaction so that it rolls back; never seen outside."""


class LookOnce(Errands):
    """`Errands`, for whom waiting is the world's business: it says what is there now."""

    async def wait(
        self,
        *,
        task_id: bytes,  # noqa: ARG002 - as Errands
        ids: Sequence[str],
        timeout_s: float,  # noqa: ARG002 - the world's
    ) -> EndedTask | None:
        for text in ids:
            sent = self._tables.sent.get(bytes.fromhex(text))
            if sent is not None and sent.ended_ms is not None:
                return EndedTask(text, sent.result or "null")
        return None


class Attempt:
    """`step` makes one host call; `outcome` is there when the guest has ended."""

    def __init__(self, process: "Process", started: StartAttempt) -> None:
        self._process = process
        sender = str(Did(started.peer))
        self.run = TaskRun(
            id=started.task_id,
            agent=started.agent,
            sender=started.chain[-1] if started.chain else sender,
            originator=originator_of(sender, str(Did(process.site.me)), started.chain),
            chain=started.chain,
            message_json=started.message,
            expires_ms=started.expires_ms,
        )
        check_message(started.message)
        text = _text_of(started.message)
        self.label: str = json.loads(text)["label"]
        self._guest = guest(text)
        self.outcome: Outcome | None = None
        self.is_cancelled = False
        self.waits_until_s: float | None = None
        self._wish: WaitForTasks | None = None
        self._script: Script | None = None
        self._answer: Answer | None = None
        self._next = 0
        self._sent: dict[str, str] = {}
        self._told: list[str] = []
        self._kept: list[tuple[int, bytes, bytes]] = []
        self._mark = 0
        self._transaction: AbstractContextManager[None] | None = None

    @property
    def waits_for(self) -> tuple[str, ...]:
        return self._wish.ids if self._wish else ()

    def step(self) -> None:
        """The next host call, or the end. Raises what a crash raises."""
        try:
            name, arguments = (
                next(self._guest) if self._answer is None else self._guest.send(self._answer)
            )
        except StopIteration as end:
            self.outcome = Completed(end.value)
        except GuestFailed as failure:
            self.outcome = Failed("guest-error", str(failure))
        else:
            self._request = read_request(self._next, name, arguments)
            self._next += 1
            site = self._process.site
            self._script = host_call(self._request, site.specs[self.run.agent])
            self._play(None)

    def look(self, *, is_late: bool) -> bool:
        """Whether the wait is over: one of the tasks has ended, or nobody waits any more."""
        wish, script = self._wish, self._script
        assert wish is not None, "it waits"
        assert script is not None, "within a call"
        try:
            answer = "null" if is_late else self._look(wish)
            if self.is_cancelled:
                raise PortRefused(FaultCode.CANCELLED, "the task is to end")
        except PortRefused as refused:
            self._wish = self.waits_until_s = None
            self._play(None, refused)
            return True
        if answer == "null" and not is_late and wish.ids:
            return False
        self._wish = self.waits_until_s = None
        self._play(answer)
        return True

    def stop(self) -> None:
        """The process or its worker is gone."""
        self._roll_back()

    def _look(self, wish: WaitForTasks) -> str:
        left_s = (self.run.expires_ms - self._process.now().wall_ms) / 1000
        ports, site = self._process.errands, self._process.site
        waiting = a2a.wait(ports, self.run, wish, sent=self._sent, me=site.did, left_s=left_s)
        return _finished(waiting)

    def _play(self, reply: object, refused: PortRefused | None = None) -> None:
        script = self._script
        assert script is not None, "within a call"
        try:
            while True:
                step = script.throw(refused) if refused else script.send(reply)
                reply = refused = None
                self._process.point("a host call")
                if isinstance(step, Perform) and isinstance(step.request.wish, WaitForTasks):
                    self._wish = step.request.wish
                    now_s = self._process.now().mono_s
                    self.waits_until_s = now_s + step.request.wish.timeout_ms / 1000
                    return
                try:
                    reply = self._take(step)
                except PortRefused as failure:
                    refused = failure
        except StopIteration as end:
            self._answer = end.value
            self._told.append(str(end.value))
            if not self._kept:
                self._process.world.oracle.settled(self._process, self.run.id, self._told)
            if isinstance(end.value, Fault):
                self._process.world.oracle.fault(self._process, self.label, end.value)
            if isinstance(end.value, str) and isinstance(self._request.wish, SendTask):
                self._sent[end.value] = str(self._request.wish.target)
        finally:
            self._roll_back()  # does nothing unless the process dies in between

    def _take(self, step: Step[Any]) -> object:
        calls = self._process.memory
        match step:
            case Recall(number):
                return calls.recall(self.run.id, number)
            case Consult():
                return State(self._process.site.did, lambda _: None, None, self.run.chain)
            case Record():
                return True
            case Settle():  # nothing here costs anything
                pass
            case Conclude(request, answer):
                calls.conclude(self.run.id, request.number, answer)
            case Perform(request, target):
                return self._perform(request, target)
            case Remember(request, answer):
                self._kept.append((request.number, request.hash, answer))
                if self._transaction is not None:
                    for kept in self._kept:
                        calls.remember(self.run.id, *kept)
            case Begin():
                self._mark = len(self._kept)
                self._transaction = calls.transaction()
                self._transaction.__enter__()
            case Commit():
                assert self._transaction is not None, "commit without begin"
                transaction, self._transaction = self._transaction, None
                transaction.__exit__(None, None, None)
                self._kept.clear()
            case RollBack():
                self._roll_back()
            case _:
                raise AssertionError(f"a step that nobody takes: {step!r}")
        return None

    def _roll_back(self) -> None:
        if self._transaction is not None:
            transaction, self._transaction = self._transaction, None
            del self._kept[self._mark :]
            transaction.__exit__(_Undone, _Undone(), None)

    def _perform(self, request: Request, target: str) -> str:
        process, run, number = self._process, self.run, request.number
        match request.wish:
            case AppendEntry() as wish:
                return journal.append(process.diaries, run, wish, number=number)
            case ReadEntries() as wish:
                return journal.read(process.diaries, run, wish)
            case SendTask() as wish:
                me = process.site.did
                return a2a.send(process.errands, run, wish, number=number, me=me, target=target)
            case CancelTask() as wish:
                return a2a.cancel(process.errands, run, wish, sent=self._sent)
            case ReportProgress() as wish:
                return task.progress(process.errands, run, wish)
            case FetchRequest() as wish:
                process.world.oracle.fetched(process, str(wish.url))
                process.point("an act outside")
                return json.dumps({"status": 200})
            case TellTime():
                return task.now(lambda: process.now().wall_ms)
            case DrawRandom() as wish:
                return task.random(process.dice.randbytes, wish)
            case _:
                raise AssertionError("no guest here asks for it")


def _finished(coroutine: Coroutine[Any, Any, str]) -> str:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer: str = end.value
        return answer
    raise AssertionError("it waited")


def _text_of(message: str) -> str:
    text: str = json.loads(message)["parts"][0]["text"]
    return text
