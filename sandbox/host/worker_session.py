"""One task in one worker: RUN out, calls answered, an outcome back.

    RUN ─▶ (CALL ─▶ gate ─▶ ANSWER)* ─▶ DONE     completed, or the guest's own error
                                     └▶ FAULT    the guest trapped, ran dry, said nonsense
    silence, kill, nonsense  ─▶ how the process ended tells why

At most one answer is on its way to a worker, and none is longer than 1 MiB: a worker
that does not read stops its own session until the watchdog ends it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from sandbox import guest_json
from sandbox.agent_spec import AgentSpec
from sandbox.errors import (
    MalformedFrame,
    MalformedJson,
    Nondeterministic,
    ProtocolBroken,
    WorkerLost,
)
from sandbox.host.boundary import Desk
from sandbox.host.zygote import Exit, WorkerProcess
from sandbox.hostcall import Answer, Call, Done, Faulted, FaultKind, Limits, Run
from sandbox.kept import Answer as GuestAnswer
from sandbox.ports import Cancelled, Completed, Failed, Interrupted, Outcome, TaskRun

WHY_CHARS_MAX = 500  # of what a guest says about its failure; it goes into a signed result
MEMORIES_MAX = 3  # QuickJS needs three

_CODES = {
    FaultKind.TRAP: "trapped",
    FaultKind.STACK_OVERFLOW: "trapped",
    FaultKind.MALFORMED_TEXT: "trapped",
    FaultKind.OUT_OF_FUEL: "out-of-fuel",
    FaultKind.TOO_LONG: "invalid-result",
}


class Ending(StrEnum):
    """Why the node itself ended a worker in the middle of a task."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    AGENT_STOPPED = "agent-stopped"
    NODE_STOPS = "node-stops"
    RESTARTED = "restarted"


class Caller(Protocol):
    """Whoever answers the guest's calls: an `Attempt`, or a trace of one."""

    @property
    def task(self) -> TaskRun: ...

    @property
    def desk(self) -> Desk: ...

    @property
    def is_cancelled(self) -> bool: ...

    async def answer(self, call: Call) -> GuestAnswer: ...

    def abandon(self) -> None: ...


CallerT = TypeVar("CallerT", bound=Caller)


@dataclass(slots=True)
class Session(Generic[CallerT]):
    """A task in a worker, as the watchdog sees it."""

    worker: WorkerProcess
    attempt: CallerT
    ending: Ending | None = None
    fuel_used: int = 0

    def end(self, why: Ending) -> None:
        """End it now. The first reason is the one that is told."""
        if self.ending is None:
            self.ending = why
        self.worker.kill()
        self.attempt.abandon()

    async def outcome(self, limits: Limits) -> "Outcome | Broken":
        """Run the task to its end. After `Broken`, and after an `ending`, the worker is dead."""
        try:
            return await self._converse(limits)
        except Nondeterministic as broken:
            self.worker.kill()
            return Failed("nondeterministic", str(broken))
        except (MalformedFrame, ProtocolBroken) as broken:
            self.worker.kill()
            return Broken(Exit(), str(broken))
        except WorkerLost as lost:
            self.worker.kill()
            how = await self.worker.wait()
            is_zygotes = how.code is None and how.signal is None
            return self._explained() or Broken(how, f"{lost}: {how}", is_zygotes)

    async def _converse(self, limits: Limits) -> "Outcome | Broken":
        await self.worker.send(Run(limits, task_json(self.attempt.task)))
        while True:
            frame = await self.worker.receive()
            match frame:
                case Call():
                    answer = await self.attempt.answer(frame)
                    await self.worker.send(Answer(frame.number, answer))
                case Done(ok=True, text=text, fuel_used=fuel_used):
                    self.fuel_used = fuel_used
                    return _completed(text)
                case Done(ok=False, text=text, fuel_used=fuel_used):
                    self.fuel_used = fuel_used
                    if self.attempt.is_cancelled:
                        return Cancelled()
                    return Failed("guest-error", text[:WHY_CHARS_MAX])
                case Faulted(FaultKind.WORKER | FaultKind.REFUSED, why):
                    self.worker.kill()
                    return Broken(Exit(), why)
                case Faulted(kind, why):
                    return Failed(_CODES[kind], why[:WHY_CHARS_MAX])
                case _:
                    raise ProtocolBroken(why=f"{type(frame).__name__} in the middle of a task")

    def _explained(self) -> Outcome | None:
        match self.ending:
            case None:
                return None
            case Ending.CANCELLED:
                return Cancelled()
            case Ending.NODE_STOPS:
                return Interrupted("the node stops")
            case Ending.RESTARTED:
                return Interrupted("the agent was restarted")
            case Ending.AGENT_STOPPED:
                return Failed("agent-stopped", "the agent was stopped")
            case Ending.TIMEOUT:
                seconds = self.attempt.desk.spec.wall_clock_s
                return Failed("timeout", f"no result and no progress within {seconds:g} s")


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker failed, not the guest: it broke its jail, crashed, or was killed from outside."""

    how: Exit
    why: str
    is_zygotes: bool = False  # lost with its zygote: nobody's fault here, try again


def _completed(text: str) -> Outcome:
    try:
        return Completed(guest_json.read_parts(text))
    except MalformedJson as malformed:
        return Failed("invalid-result", malformed.why)


def task_json(task: TaskRun) -> str:
    """What the guest's `run` is called with. The message is JSON already."""
    head = guest_json.write({"id": task.id.hex(), "from": task.sender})
    return f'{head[:-1]},"message":{task.message_json}}}'


def limits_of(spec: AgentSpec) -> Limits:
    """What one attempt of the agent may use."""
    return Limits(fuel=spec.fuel, memory_bytes=spec.memory_mb << 20, memories=MEMORIES_MAX)
