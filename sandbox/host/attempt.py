"""One run of one guest on one task: answers its calls, in order, each once.

Plays the gate: each step of its script meets the ports, the counsel or an act.
What a call costs the node is bounded twice. Calls are paced by a token bucket of the
agent: the guest waits, so that its answers do not depend on how busy it has been. And
an attempt has a limit of calls and of remembered bytes.
"""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import trio

from sandbox.approvals import Decision
from sandbox.audit import AuditRecord, Event
from sandbox.errors import ActFailed, AuditUnavailable, PortRefused, ProtocolBroken, SandboxError
from sandbox.fault import Fault, FaultCode
from sandbox.gate import (
    BEGUN,
    Ask,
    Begin,
    Commit,
    Conclude,
    Consult,
    Consume,
    Perform,
    Recall,
    Record,
    Remember,
    Reserve,
    RollBack,
    Settle,
    Step,
    host_call,
)
from sandbox.host.boundary import Desk
from sandbox.host.counsel import Counsel
from sandbox.host.performer import Clock, Performer
from sandbox.hostcall import Call
from sandbox.kept import Answer
from sandbox.policy import State
from sandbox.ports import Remembered, TaskRun
from sandbox.request import ReportProgress, Request, SendTask, read_request
from sandbox.trace import CALLS_MAX, TRACE_BYTES_MAX, Told, Trace

TOKENS_PER_CHARACTER = 1 / 1_024
CALLS_PER_TASK_MAX = 100_000
KEPT_BYTES_MAX = 16 << 20  # remembered answers of one task

_TOO_MUCH = Fault(FaultCode.BUDGET_EXCEEDED, "this task has made all the calls it may make")


class _Undone(SandboxError):
    """Handed to a transaction so that it rolls back; never seen outside."""


class Attempt:
    """One run of one guest: answers its calls, in order, each once."""

    def __init__(self, desk: Desk, task: TaskRun) -> None:
        self.desk = desk
        self.task = task
        self.has_asked = False  # a person; whoever ends the task takes the question back
        self._clock = Clock(desk, task)
        self._counsel = Counsel(desk, task)
        self._performer = Performer(desk, task, self._clock, self._counsel)
        self._told: list[Told] | None = []  # None: more than is kept
        self._told_chars = 0
        self._priced: set[int] = set()  # calls for which something may be reserved
        self._next = 0
        self._ports = desk.boundary.ports
        self._is_new_ground = False  # no earlier attempt has come this far
        self._kept: list[tuple[int, bytes, bytes]] = []
        self._kept_bytes = 0
        self._mark: int | None = None  # how many were kept when the transaction began
        self._transaction: AbstractContextManager[None] | None = None

    @property
    def deadline_s(self) -> float:
        """When to kill the guest, on trio's clock."""
        return self._clock.deadline_s

    @property
    def is_cancelled(self) -> bool:
        return self._performer.is_cancelled

    @property
    def sent(self) -> dict[str, str]:
        """The tasks this task has sent, by id, with their targets."""
        return self._performer.sent

    def cancel(self, *, grace_s: float) -> None:
        """The task is to end: the guest is told when it asks, and a call that waits returns."""
        self._performer.is_cancelled = True
        self._clock.end_in(grace_s)
        self.abandon()

    def abandon(self) -> None:
        """Nobody will read the answer of the call that waits now."""
        self._performer.abandon()

    async def answer(self, call: Call) -> Answer:
        """The answer to `call`, which may take as long as another agent or a person takes.

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
        self.desk.usage.calls[request.function.name] += 1
        answer = await self._play(request)
        self._trace(request, answer)
        if isinstance(answer, Fault):
            self.desk.usage.refused[request.function.name] += 1
            return answer
        self._charge(TOKENS_PER_CHARACTER * len(answer))
        if isinstance(request.wish, SendTask):
            self._performer.note_sent(request.wish, answer)
        elif isinstance(request.wish, ReportProgress):
            self._clock.extend()
        return answer

    def trace(self, end: tuple[str, str]) -> bytes | None:
        """What the guest was told, to be kept with the end of its task; None if it is too much."""
        if self._told is None:
            return None
        task = self.task
        return Trace(
            task.id,
            task.agent,
            task.sender,
            task.message_json,
            self._counsel.module_cid,
            tuple(self._told),
            end,
        ).to_cbor()

    def _trace(self, request: Request, answer: Answer) -> None:
        if self._told is None:
            return
        self._told.append(Told(request.function.name, request.hash, answer))
        self._told_chars += len(answer) if isinstance(answer, str) else len(answer.why)
        if self._told_chars > TRACE_BYTES_MAX or len(self._told) >= CALLS_MAX:
            self._told = None

    async def _play(self, request: Request) -> Answer:
        script = host_call(request, self.desk.spec)
        reply: object = None
        refused: PortRefused | AuditUnavailable | None = None
        try:
            while True:
                step = script.throw(refused) if refused else script.send(reply)
                reply = refused = None
                try:
                    # Only what may wait is awaited: every call takes five steps that do not.
                    if type(step) is Perform:
                        reply = await self._performer.perform(step.request, step.target)
                    elif type(step) is Ask:
                        reply = await self._ask(step)
                    else:
                        reply = _TAKE[type(step)](self, step)
                except (PortRefused, AuditUnavailable) as failure:
                    refused = failure
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        finally:
            self._roll_back()  # does nothing unless a bug or a kill left it open

    def _consult(self, step: Consult) -> State:
        return self._counsel.state(step.request, now_s=trio.current_time())

    def _consume(self, step: Consume) -> None:
        assert self._ports.approvals is not None, "somebody was asked"
        state = self._counsel.state(step.request, now_s=trio.current_time())
        subject = self._counsel.subject(step.request, state, step.target).hash
        now_ms = self.desk.boundary.wall_ms()
        self._ports.approvals.consume(step.approval, subject, now_ms=now_ms)

    def _reserve(self, step: Reserve) -> None:
        purse, cost = self._ports.purse, step.state.cost
        assert purse is not None, "it has a price"
        assert cost is not None, "it has a price"
        purse.reserve(
            task_id=self.task.id,
            number=step.request.number,
            agent=self.task.agent,
            whose=tuple(who for who, _ in self._counsel.grants()),
            cost=cost,
        )
        self._priced.add(step.request.number)

    def _conclude(self, step: Conclude) -> None:
        self._ports.memory.conclude(self.task.id, step.request.number, step.answer)

    async def _ask(self, step: Ask) -> Decision:
        if self._ports.approvals is None:
            raise ActFailed(FaultCode.UNAVAILABLE, "this node has nobody to ask")
        self.has_asked = True
        state = self._counsel.state(step.request, now_s=trio.current_time())
        question = self._counsel.question(step.request, step.verdict, state)
        answer = self._performer.waited(self._ports.approvals.ask(question))
        return await self._clock.stand_still(answer)

    def _settle(self, step: Settle) -> None:
        purse, number, task_id = self._ports.purse, step.request.number, self.task.id
        if purse is None or number not in self._priced:
            return
        if not purse.holds(task_id=task_id, number=number):
            return
        if step.fault is None:
            purse.commit(task_id=task_id, number=number, actual=self._performer.spent)
        elif step.fault.code is FaultCode.UNKNOWN:
            purse.lose(task_id=task_id, number=number)
        else:
            purse.release(task_id=task_id, number=number)

    def _recall(self, number: int) -> Remembered | None:
        if self._is_new_ground:
            return None
        found = self._ports.memory.recall(self.task.id, number)
        # Answers are written in order and without gaps, so the first that is missing is the last.
        self._is_new_ground = found is None
        if found is not None and found.answer == BEGUN:
            self._priced.add(number)  # perhaps: an earlier attempt knew
        return found

    def _record(
        self,
        event: Event,
        request: Request,
        fault: Fault | None,
        facts: tuple[tuple[str, str], ...] = (),
    ) -> bool:
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
            facts=facts,
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

    def _begin(self, *, durable: bool) -> None:
        self._mark = len(self._kept)
        transaction = self._ports.memory.transaction(durable=durable)
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

    def _charge(self, tokens: float) -> None:
        self.desk.pace.charge(tokens)


_TAKE: dict[type[Step[Any]], Callable[[Attempt, Any], object]] = {
    Recall: lambda attempt, step: attempt._recall(step.number),
    Consult: Attempt._consult,
    Record: lambda attempt, step: attempt._record(step.event, step.request, step.fault, step.facts),
    Consume: Attempt._consume,
    Reserve: Attempt._reserve,
    Settle: Attempt._settle,
    Remember: lambda attempt, step: attempt._remember(step.request, step.answer),
    Conclude: Attempt._conclude,
    Begin: lambda attempt, step: attempt._begin(durable=step.durable),
    Commit: lambda attempt, _: attempt._commit(),
    RollBack: lambda attempt, _: attempt._roll_back(),
}


def _length(argument: str | int) -> int:
    return len(argument) if isinstance(argument, str) else 0
