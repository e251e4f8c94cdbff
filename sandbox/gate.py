"""What must happen, in which order, before an agent's call touches the world.

A host call is a script: it yields a step, someone outside takes it, the script
gets the answer. So the whole rule is testable without wasm, trio or a store.

    remembered? ── same call ──▶ the remembered answer, and no second act
        │ no    ├─ another call ─▶ nondeterministic: the attempt ends
        │       └─ begun, not ended ─▶ outside: unknown, never repeated; else: done anew
        ▼
    consult, decide ── deny ──▶ record, remember, tell the guest
        │       └─ a person must say yes ─▶ ask, on record ─▶ consult and decide again
        ▼ allow
    LOCAL          one transaction: record, use up the approval, act, remember
    READ, NONE     record, act, record what failed, remember
    STAGED         as READ; a later attempt does it again and compares
    OUTSIDE, or    one transaction: record, use up the approval, reserve, remember "begun"
    approved       act
                   one transaction: settle, record, remember the answer

Recorded before it happens: a crash may leave a record without an act, never an
act without a record. Where no record can be kept, nothing happens.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, assert_never

from sandbox.agent_spec import AgentSpec
from sandbox.approvals import Approved, Decision, Denied, TimedOut, TooMany, Withdrawn
from sandbox.audit import Event
from sandbox.capability import Effect
from sandbox.errors import AuditUnavailable, Nondeterministic, PortRefused
from sandbox.fault import Fault, FaultCode
from sandbox.kept import Answer, Kept, keep, read_kept
from sandbox.policy import Allow, Deny, NeedApproval, State, decide
from sandbox.ports import Remembered
from sandbox.request import Request

AnswerT = TypeVar("AnswerT")
Facts = tuple[tuple[str, str], ...]


class Step(Generic[AnswerT]):
    """Take me with ``answer = yield from step``; the answer is typed."""

    __slots__ = ()

    def __iter__(self) -> Generator["Step[Any]", Any, AnswerT]:
        answer: AnswerT = yield self
        return answer


@dataclass(frozen=True, slots=True)
class Recall(Step[Remembered | None]):
    """What an earlier attempt was answered under this number."""

    number: int


@dataclass(frozen=True, slots=True)
class Consult(Step[State]):
    """How the node stands now, for this request."""

    request: Request


@dataclass(frozen=True, slots=True)
class Record(Step[bool]):
    """Write it down. False: the agent's audit budget is spent. May raise AuditUnavailable."""

    event: Event
    request: Request
    fault: Fault | None = None
    facts: Facts = ()


@dataclass(frozen=True, slots=True)
class Ask(Step[Decision]):
    """Ask a person, on record, and wait. May raise PortRefused: nobody was asked."""

    request: Request
    verdict: NeedApproval


@dataclass(frozen=True, slots=True)
class Consume(Step[None]):
    """Use up the approval, for exactly what would happen now. May raise PortRefused."""

    request: Request
    target: str
    approval: str


@dataclass(frozen=True, slots=True)
class Reserve(Step[None]):
    """Count what the call may cost as spent. May raise PortRefused: then it must not happen."""

    request: Request
    state: State


@dataclass(frozen=True, slots=True)
class Perform(Step[str]):
    """Do it, at the target that was checked. May raise PortRefused: then nothing happened."""

    request: Request
    target: str


@dataclass(frozen=True, slots=True)
class Settle(Step[None]):
    """Count what the call did cost: all, nothing, or unknown, as its outcome says."""

    request: Request
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Remember(Step[None]):
    """Keep the answer for later attempts, with the local effect of the same transaction."""

    request: Request
    answer: bytes


@dataclass(frozen=True, slots=True)
class Conclude(Step[None]):
    """Put the answer in the place of what was remembered as begun."""

    request: Request
    answer: bytes


@dataclass(frozen=True, slots=True)
class Begin(Step[None]):
    """Open the transaction."""

    # Whether it has to survive a power cut before anything follows from it.
    durable: bool = False


@dataclass(frozen=True, slots=True)
class Commit(Step[None]):
    """Commit it. May raise PortRefused: then it is rolled back."""


@dataclass(frozen=True, slots=True)
class RollBack(Step[None]):
    """Undo what happened since Begin; harmless where Commit has already failed."""


Script = Generator[Step[Any], Any, Answer]

BEGUN = b"i"  # in the place of an answer: the act was begun and has not ended
_COMMIT, _ROLL_BACK = Commit(), RollBack()
_UNRECORDED = Fault(FaultCode.UNAVAILABLE, "the audit log of this node cannot be written")
_TOO_MANY = Fault(FaultCode.RATE_LIMITED, "the audit budget of this agent is spent")
_CUT_OFF = Fault(FaultCode.UNKNOWN, "an earlier attempt was cut off here; it is not repeated")
_UNTOLD = Fault(FaultCode.UNKNOWN, "it was cut off: the audit log cannot be written")
_LOST = Fault(FaultCode.UNKNOWN, "it was done, and its outcome could not be recorded")


@dataclass(frozen=True, slots=True)
class _Leave:
    """The call may happen: the verdict, on which grounds, and the approval it uses up."""

    verdict: Allow | NeedApproval
    state: State
    approval: str | None

    @property
    def facts(self) -> Facts:
        facts = self.verdict.risk.facts() if self.verdict.risk else ()
        if self.approval is not None:
            facts = (*facts, ("approval", self.approval))
        if self.state.cost is not None:
            cost = self.state.cost
            facts = (*facts, ("price", str(cost.money)), ("payee", cost.payee))
        return facts


def host_call(request: Request, config: AgentSpec) -> Script:
    """The answer for the guest.

    Raises:
        Nondeterministic: another attempt of this task made another call here, or what it
            read has changed since.
    """
    remembered = yield from Recall(request.number)
    if remembered is not None:
        return (yield from _again(request, remembered, config))
    leave = yield from _leave(request, config)
    if isinstance(leave, Fault):
        return (yield from _refuse(request, leave, Event.REFUSED))
    if request.function.effect is Effect.LOCAL:
        return (yield from _act_locally(request, leave))
    if request.function.effect is Effect.OUTSIDE or leave.approval is not None:
        return (yield from _act_once(request, leave))
    return (yield from _look(request, leave))


def _leave(request: Request, config: AgentSpec) -> Generator[Step[Any], Any, _Leave | Fault]:
    """Whether it may happen, with a person's word where one is needed."""
    state = yield from Consult(request)
    verdict = decide(config, request, state)
    if isinstance(verdict, Deny):
        return Fault(verdict.code, verdict.reason)
    if isinstance(verdict, Allow):
        return _Leave(verdict, state, None)
    try:
        decision = yield from Ask(request, verdict)
    except AuditUnavailable:
        return _UNRECORDED
    except PortRefused as refused:
        return refused.fault
    if not isinstance(decision, Approved):
        return _not_approved(decision)
    # It took a person's time: whatever else has changed meanwhile counts.
    state = yield from Consult(request)
    verdict = decide(config, request, state)
    if isinstance(verdict, Deny):
        return Fault(verdict.code, verdict.reason)
    return _Leave(verdict, state, decision.id)


def _not_approved(decision: Denied | TimedOut | Withdrawn | TooMany) -> Fault:
    match decision:
        case Denied(note):
            why = f"approval_denied: {note}" if note else "approval_denied"
            return Fault(FaultCode.APPROVAL_DENIED, why)
        case TimedOut():
            return Fault(FaultCode.APPROVAL_TIMEOUT, "approval_timeout: nobody said yes in time")
        case Withdrawn(why):
            return Fault(FaultCode.CANCELLED, f"the question was withdrawn: {why}")
        case TooMany(why):
            return Fault(FaultCode.RATE_LIMITED, why)
        case _:
            assert_never(decision)


def _refuse(request: Request, fault: Fault, event: Event) -> Script:
    """Record and remember a refusal."""
    try:
        yield from Record(event, request, fault)
    except AuditUnavailable:
        fault = _UNRECORDED
    return (yield from _remembered(request, fault))


def _remembered(request: Request, answer: Answer) -> Script:
    # Every answer, refusals too: a number left out would make a later attempt believe
    # that nobody had come this far, and act a second time from there.
    yield from Remember(request, keep(request, answer))
    return answer


def _act_locally(request: Request, leave: _Leave) -> Script:
    try:
        yield from Begin(durable=leave.approval is not None)
        # One record, since it commits with the act: neither is ever there alone.
        if not (yield from Record(Event.DONE, request, None, leave.facts)):
            yield from _ROLL_BACK
            return (yield from _remembered(request, _TOO_MANY))
        if leave.approval is not None:
            yield from Consume(request, leave.verdict.target, leave.approval)
        answer = yield from Perform(request, leave.verdict.target)
        yield from Remember(request, keep(request, answer))
        yield from _COMMIT
    except PortRefused as refused:
        yield from _ROLL_BACK
        return (yield from _refuse(request, refused.fault, Event.FAILED))
    except AuditUnavailable:
        yield from _ROLL_BACK
        return (yield from _remembered(request, _UNRECORDED))
    return answer


def _look(request: Request, leave: _Leave) -> Script:
    try:
        if not (yield from Record(Event.ALLOWED, request, None, leave.facts)):
            return (yield from _remembered(request, _TOO_MANY))
        answer = yield from Perform(request, leave.verdict.target)
    except PortRefused as refused:
        return (yield from _refuse(request, refused.fault, Event.FAILED))
    except AuditUnavailable:
        return (yield from _remembered(request, _UNRECORDED))
    return (yield from _remembered(request, answer))


def _act_once(request: Request, leave: _Leave) -> Script:
    """What cannot be taken back: begun is remembered first, so that nobody begins it twice."""
    is_durable = leave.approval is not None or leave.state.cost is not None
    try:
        yield from Begin(durable=is_durable)
        if not (yield from Record(Event.ALLOWED, request, None, leave.facts)):
            yield from _ROLL_BACK
            return (yield from _remembered(request, _TOO_MANY))
        if leave.approval is not None:
            yield from Consume(request, leave.verdict.target, leave.approval)
        if leave.state.cost is not None:
            yield from Reserve(request, leave.state)
        yield from Remember(request, BEGUN)
        yield from _COMMIT
    except PortRefused as refused:
        yield from _ROLL_BACK
        return (yield from _refuse(request, refused.fault, Event.FAILED))
    except AuditUnavailable:
        yield from _ROLL_BACK
        return (yield from _remembered(request, _UNRECORDED))
    answer: Answer
    try:
        answer = yield from Perform(request, leave.verdict.target)
    except PortRefused as refused:
        answer = refused.fault
    except AuditUnavailable:  # of a secret that was to be used, or of one that was found
        answer = _UNTOLD
    return (yield from _end(request, answer, is_durable=leave.state.cost is not None))


def _end(request: Request, answer: Answer, *, is_durable: bool) -> Script:
    """How it ended, in one transaction; where that cannot be kept, it has begun and no more."""
    fault = answer if isinstance(answer, Fault) else None
    event = Event.DONE
    if fault is not None:
        event = Event.UNKNOWN if fault.code is FaultCode.UNKNOWN else Event.FAILED
    try:
        yield from Begin(durable=is_durable)
        yield from Settle(request, fault)
        # A spent audit budget is no reason to forget what has happened.
        yield from Record(event, request, fault)
        yield from Conclude(request, keep(request, answer))
        yield from _COMMIT
    except (PortRefused, AuditUnavailable):
        yield from _ROLL_BACK
        return _LOST
    return answer


def _again(request: Request, remembered: Remembered, config: AgentSpec) -> Script:
    if remembered.request_hash != request.hash:
        raise Nondeterministic(request.number, why="an earlier attempt made another call here")
    is_begun = remembered.answer == BEGUN
    if is_begun and request.function.effect is Effect.OUTSIDE:
        return (yield from _end(request, _CUT_OFF, is_durable=False))
    kept = None if is_begun else read_kept(remembered.answer)
    if not (kept is None or isinstance(kept, Kept)):
        return kept
    try:
        answer: Answer = yield from _do_again(request, config)
    except (PortRefused, AuditUnavailable) as failure:
        if kept is not None or not isinstance(failure, PortRefused):
            why = f"cannot read again: {failure}"
            raise Nondeterministic(request.number, why=why) from failure
        answer = failure.fault
    if kept is None:
        return (yield from _end(request, answer, is_durable=False))
    if not (isinstance(answer, str) and kept.fits(answer)):
        raise Nondeterministic(request.number, why="what it read has changed since")
    return answer


def _do_again(request: Request, config: AgentSpec) -> Script:
    """What was allowed once, and a person's word with it; rules that changed since still hold."""
    state = yield from Consult(request)
    verdict = decide(config, request, state)
    if isinstance(verdict, Deny):
        raise Nondeterministic(request.number, why=f"no longer allowed: {verdict.reason}")
    if not (yield from Record(Event.ALLOWED, request)):
        return ""
    return (yield from Perform(request, verdict.target))
