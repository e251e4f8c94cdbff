"""What must happen, in which order, before an agent's call touches the world.

A host call is a script: it yields a step, someone outside takes it, the script
gets the answer. So the whole rule is testable without wasm, trio or a store.

    remembered? ── same call ──▶ the remembered answer, and no second act
        │ no    └─ another call ─▶ nondeterministic: the attempt ends
        ▼
    decide ── deny ──▶ record, remember, tell the guest
        │ allow
        ▼
    LOCAL        one transaction: record, act, remember
    READ, NONE   record, act, record what failed, remember

Recorded before it happens: a crash may leave a record without an act, never an
act without a record. Where no record can be kept, nothing happens.
"""

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sandbox.agent_spec import AgentSpec
from sandbox.audit import Event
from sandbox.capability import Capability, Effect
from sandbox.errors import AuditUnavailable, Nondeterministic, PortRefused
from sandbox.fault import Fault, FaultCode
from sandbox.policy import Deny, State, decide
from sandbox.ports import Remembered
from sandbox.request import Request

AnswerT = TypeVar("AnswerT")
Answer = str | Fault

# What was read from a file is kept as its hash beyond this: a guest that reads a shelf must
# not copy it into the node's store. A later attempt reads again, which changes nothing.
KEPT_CHARS_MAX = 1_024


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
class Record(Step[bool]):
    """Write it down. False: the agent's audit budget is spent. May raise AuditUnavailable."""

    event: Event
    request: Request
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Perform(Step[str]):
    """Do it, at the target that was checked. May raise PortRefused: then nothing happened."""

    request: Request
    target: str


@dataclass(frozen=True, slots=True)
class Remember(Step[None]):
    """Keep the answer for later attempts, with the local effect of the same transaction."""

    request: Request
    answer: bytes


@dataclass(frozen=True, slots=True)
class Begin(Step[None]):
    """Open the transaction."""


@dataclass(frozen=True, slots=True)
class Commit(Step[None]):
    """Commit it. May raise PortRefused: then it is rolled back."""


@dataclass(frozen=True, slots=True)
class RollBack(Step[None]):
    """Undo what happened since Begin; harmless where Commit has already failed."""


Script = Generator[Step[Any], Any, Answer]

_BEGIN, _COMMIT, _ROLL_BACK = Begin(), Commit(), RollBack()
_UNRECORDED = Fault(FaultCode.UNAVAILABLE, "the audit log of this node cannot be written")
_TOO_MANY = Fault(FaultCode.RATE_LIMITED, "the audit budget of this agent is spent")


def host_call(request: Request, config: AgentSpec, state: State) -> Script:
    """The answer for the guest.

    Raises:
        Nondeterministic: another attempt of this task made another call here, or what it
            read has changed since.
    """
    remembered = yield from Recall(request.number)
    if remembered is not None:
        return (yield from _again(request, remembered, config, state))
    verdict = decide(config, request, state)
    if isinstance(verdict, Deny):
        return (yield from _refuse(request, Fault(verdict.code, verdict.reason), Event.REFUSED))
    if request.function.effect is Effect.LOCAL:
        return (yield from _act_locally(request, verdict.target))
    return (yield from _look(request, verdict.target))


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


def _act_locally(request: Request, target: str) -> Script:
    yield from _BEGIN
    try:
        # One record, since it commits with the act: neither is ever there alone.
        if not (yield from Record(Event.DONE, request)):
            yield from _ROLL_BACK
            return (yield from _remembered(request, _TOO_MANY))
        answer = yield from Perform(request, target)
        yield from Remember(request, keep(request, answer))
        yield from _COMMIT
    except PortRefused as refused:
        yield from _ROLL_BACK
        return (yield from _refuse(request, refused.fault, Event.FAILED))
    except AuditUnavailable:
        yield from _ROLL_BACK
        return (yield from _remembered(request, _UNRECORDED))
    return answer


def _look(request: Request, target: str) -> Script:
    try:
        if not (yield from Record(Event.ALLOWED, request)):
            return (yield from _remembered(request, _TOO_MANY))
        answer = yield from Perform(request, target)
    except PortRefused as refused:
        return (yield from _refuse(request, refused.fault, Event.FAILED))
    except AuditUnavailable:
        return (yield from _remembered(request, _UNRECORDED))
    return (yield from _remembered(request, answer))


def _again(request: Request, remembered: Remembered, config: AgentSpec, state: State) -> Script:
    if remembered.request_hash != request.hash:
        raise Nondeterministic(request.number, why="an earlier attempt made another call here")
    kept = read_kept(remembered.answer)
    if not isinstance(kept, bytes):
        return kept
    verdict = decide(config, request, state)
    if isinstance(verdict, Deny):
        raise Nondeterministic(request.number, why=f"no longer allowed: {verdict.reason}")
    try:
        is_recorded = yield from Record(Event.ALLOWED, request)
        answer = (yield from Perform(request, verdict.target)) if is_recorded else ""
    except (PortRefused, AuditUnavailable) as failure:
        raise Nondeterministic(request.number, why=f"cannot read again: {failure}") from failure
    if _digest(answer) != kept:
        raise Nondeterministic(request.number, why="what it read has changed since")
    return answer


# How an answer is kept: one letter, then text. Opaque to the store.


def keep(request: Request, answer: Answer) -> bytes:
    """The bytes to remember for `answer`."""
    if isinstance(answer, Fault):
        return f"f{answer.code.value} {answer.why}".encode()
    is_file = request.function.capability is Capability.FILESYSTEM
    if is_file and len(answer) > KEPT_CHARS_MAX:
        return b"h" + _digest(answer)
    return b"o" + answer.encode()


def read_kept(data: bytes) -> Answer | bytes:
    """The answer that `keep` wrote, or the hash of one that was too long to keep."""
    kind, rest = data[:1], data[1:]
    if kind == b"o":
        return rest.decode()
    if kind == b"h":
        return rest
    assert kind == b"f", "the store gave back what we never wrote"
    code, _, why = rest.decode().partition(" ")
    return Fault(FaultCode(code), why)


def _digest(answer: str) -> bytes:
    return hashlib.sha256(answer.encode()).digest()
