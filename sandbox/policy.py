"""Whether a host call may happen: pure and total, and nothing defaults to yes.

In this order, and the first that says no is the reason the guest reads:

    stopped?  ->  capability  ->  built?  ->  readable?  ->  allowlist

Whatever is allowed comes with the target that was checked, in the form it was
checked in; the act uses that and never reads the guest's words again.
"""

from dataclasses import dataclass
from typing import assert_never

from sandbox.agent_address import Resolve, pattern_of
from sandbox.agent_spec import AgentSpec, mount_name
from sandbox.errors import MalformedAgentAddress
from sandbox.fault import FaultCode
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
)

HOPS_MAX = 4  # agents a task has come through, the sender of the new one included


@dataclass(frozen=True, slots=True)
class Allow:
    """The call may happen, aimed at `target`: `did:key:…/agent`, an allowed root, or nothing."""

    target: str = ""


@dataclass(frozen=True, slots=True)
class Deny:
    """The call must not happen. `reason` is for the guest and for the operator."""

    code: FaultCode
    reason: str


Verdict = Allow | Deny


@dataclass(frozen=True, slots=True)
class State:
    """What a decision depends on beside the agent's configuration and the request.

    Attributes:
        me: the DID of this node.
        resolve: petname to DID, as the trust store has it now.
        stopped: why no agent may act any more, or None. The kill switch.
        chain: hops of the task that asks, oldest first, without the agent itself.
    """

    me: str
    resolve: Resolve
    stopped: str | None = None
    chain: tuple[str, ...] = ()


def decide(config: AgentSpec, request: Request, state: State) -> Verdict:
    """Whether the agent with `config` may do what `request` asks. Never raises.

    Cost: 2 to 10 µs.
    """
    if state.stopped is not None:
        return Deny(FaultCode.CANCELLED, state.stopped)
    capability = request.function.capability
    if capability is not None and capability not in config.capabilities:
        return Deny(
            FaultCode.CAPABILITY_DENIED,
            f"agent {config.name} has no capability {capability.value}",
        )
    match request.wish:
        case NotBuilt():
            return Deny(FaultCode.UNAVAILABLE, f"{request.function.name} is not available here")
        case Unreadable(why):
            return Deny(FaultCode.INVALID, why)
        case SendTask():
            return _decide_send(config, request.wish, state)
        case ListFiles(path) | ReadFile(path):
            return _decide_path(config, path.shelf, is_list=isinstance(request.wish, ListFiles))
        case (
            AppendEntry()
            | ReadEntries()
            | SearchEntries()
            | WaitForTasks()
            | CancelTask()
            | ReportProgress()
            | AskCancelled()
            | WriteLog()
            | TellTime()
            | DrawRandom()
        ):
            return Allow()
        case _:
            assert_never(request.wish)


def _decide_send(config: AgentSpec, wish: SendTask, state: State) -> Verdict:
    if sum("/" in hop for hop in state.chain) + 1 > HOPS_MAX:
        return Deny(FaultCode.NOT_ALLOWED, f"the task has come through {HOPS_MAX} agents already")
    did = wish.target.did(me=state.me, resolve=state.resolve)
    if did is None:
        return Deny(FaultCode.NOT_ALLOWED, f"no trusted peer is called {wish.target.node}")
    for line in config.peers_allowed:
        try:
            pattern = pattern_of(line)
        except MalformedAgentAddress:  # a line that means nothing allows nothing
            continue
        if pattern.covers_name(wish.target.agent) and (
            pattern.did(me=state.me, resolve=state.resolve) == did
        ):
            return Allow(f"{did}/{wish.target.agent}")
    return Deny(
        FaultCode.NOT_ALLOWED,
        f"{wish.target} is not in [agents.peers] allowed of agent {config.name}",
    )


def _decide_path(config: AgentSpec, shelf: str | None, *, is_list: bool) -> Verdict:
    if shelf is None:
        if is_list and config.filesystem_allowed:
            return Allow()
        return Deny(FaultCode.NOT_ALLOWED, "no path is allowed, or / is asked for as a file")
    for root in config.filesystem_allowed:
        if mount_name(root) == shelf:
            return Allow(root)
    return Deny(
        FaultCode.NOT_ALLOWED,
        f"/{shelf} is not in [agents.filesystem] allowed of agent {config.name}",
    )
