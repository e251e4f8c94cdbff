"""Whether a host call may happen: pure and total, and nothing defaults to yes.

In this order, and the first that says no is the reason the guest reads:

    stopped, money halted?  ->  capability  ->  readable?  ->  allowlist  ->  whose work
        ->  rate  ->  risk  ->  spend  ->  does a person have to say yes?

Whatever is allowed comes with the target that was checked, in the form it was
checked in; the act uses that and never reads the guest's words again.
"""

from dataclasses import dataclass
from typing import assert_never

from sandbox import spend
from sandbox.agent_address import Resolve, pattern_of
from sandbox.agent_spec import AgentSpec, mount_name
from sandbox.approvals import RULE_DEFAULT, ApprovalRule
from sandbox.bounds import Bounds, Use
from sandbox.bounds import refusal as refusal_of
from sandbox.capability import Capability
from sandbox.charge import Charge, Quote
from sandbox.errors import MalformedAgentAddress
from sandbox.fault import Fault, FaultCode
from sandbox.fetch import FetchRequest
from sandbox.fields import fields_of
from sandbox.find import FindEntries
from sandbox.mcp_server import CallTool, ListTools
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
from sandbox.risk import Risk, RiskTable
from sandbox.risk_defaults import DEFAULTS

PAYING = "spend.charge"  # costs money whatever its arguments say
HOPS_MAX = 4  # agents a task has come through, the sender of the new one included


@dataclass(frozen=True, slots=True)
class Allow:
    """The call may happen, aimed at `target`: an agent, an allowed root, a URL, or nothing.

    `risk` is None for what reaches nothing but the task.
    """

    target: str = ""
    risk: Risk | None = None


@dataclass(frozen=True, slots=True)
class NeedApproval:
    """As `Allow`, once a person has said yes as `rule` wants it."""

    target: str
    risk: Risk
    rule: ApprovalRule


@dataclass(frozen=True, slots=True)
class Deny:
    """The call must not happen. `reason` is for the guest and for the operator."""

    code: FaultCode
    reason: str


_NOTHING_SPENT = spend.Account()

Verdict = Allow | NeedApproval | Deny


@dataclass(frozen=True, slots=True)
class State:
    """What a decision depends on beside the agent's configuration and the request.

    Attributes:
        me: the DID of this node.
        resolve: petname to DID, as the trust store has it now.
        stopped: why no agent may act any more, or None. The kill switch.
        chain: hops of the task that asks, oldest first, without the agent itself.
        spend_halted: whether the kill switch of money is on.
        cost: the most that this call may cost, or None if it costs nothing.
        account: what is spent and reserved already, where there is a cost.
        has_rate: whether the agent's rate for this capability has room.
        target: what the node would use for a request that names nothing: a model's route.
        fields: what the node knows of the call and the guest does not say, to be judged too.
        bounds: what others, whose work this is, were given; all must cover.
        problem: why the node cannot do what is asked, whatever the rules say, or None.
        risks: the table in force.
    """

    me: str
    resolve: Resolve
    stopped: str | None = None
    chain: tuple[str, ...] = ()
    spend_halted: bool = False
    cost: spend.Cost | None = None
    account: spend.Account = _NOTHING_SPENT
    has_rate: bool = True
    target: str = ""
    fields: tuple[str, ...] = ()
    problem: Fault | None = None
    bounds: tuple[Bounds, ...] = ()
    risks: RiskTable = DEFAULTS


def decide(config: AgentSpec, request: Request, state: State) -> Verdict:
    """Whether the agent with `config` may do what `request` asks. Never raises.

    Cost: 2 to 10 µs.
    """
    if state.stopped is not None:
        return Deny(FaultCode.CANCELLED, state.stopped)
    capability = request.function.capability
    if state.spend_halted and (state.cost is not None or _pays(request)):
        return Deny(FaultCode.NOT_ALLOWED, f"{spend.KILL_SWITCH}: all paid actions are halted")
    if capability is not None and capability not in config.capabilities:
        return Deny(
            FaultCode.CAPABILITY_DENIED,
            f"agent {config.name} has no capability {capability.value}",
        )
    found = _decide_target(config, request, state)
    if isinstance(found, Deny):
        return found
    if capability is None:
        gone = refusal_of(state.bounds, None)
        return Deny(*gone) if gone else found
    refusal = refusal_of(state.bounds, _use(capability, request, found.target, state))
    if refusal is not None:
        return Deny(*refusal)
    if not state.has_rate:
        rate = config.rates.get(capability)
        return Deny(FaultCode.RATE_LIMITED, f"more than {rate} of {capability.value}")
    if state.problem is not None:
        return Deny(state.problem.code, state.problem.why)
    risk = state.risks.assess((*fields_of(request), *state.fields))
    if state.cost is not None:
        refusal = spend.refusal(config.spend, state.account, state.cost, state.spend_halted)
        if refusal is not None:
            return Deny(*refusal)
    rule = config.approval.get(capability, RULE_DEFAULT)
    if rule.asks(risk.tier):
        return NeedApproval(found.target, risk, rule)
    return Allow(found.target, risk)


def _use(capability: Capability, request: Request, target: str, state: State) -> Use:
    """What the call wants of whoever's work it is."""
    match request.wish:
        case FetchRequest(url, method):
            return Use(capability, url=url, method=method)
        case ListFiles(path) | ReadFile(path):
            return Use(capability, path.shelf or "", is_any=path.shelf is None)
        case WaitForTasks() | CancelTask():
            return Use(capability, is_any=True)
        case _:
            pays = state.cost is not None
            return Use(capability, target or state.target, is_payment=pays)


def _pays(request: Request) -> bool:
    """Whether money may move: a charge, or a request that shows a payment's proof."""
    wish = request.wish
    shows_proof = isinstance(wish, FetchRequest) and wish.payment is not None
    return shows_proof or request.function.name == PAYING


def _decide_target(config: AgentSpec, request: Request, state: State) -> Allow | Deny:
    """Whether it means something, and whether its target is on the agent's list."""
    match request.wish:
        case Unreadable(why):
            return Deny(FaultCode.INVALID, why)
        case SendTask():
            return _decide_send(config, request.wish, state)
        case ListFiles(path) | ReadFile(path):
            return _decide_path(config, path.shelf, is_list=isinstance(request.wish, ListFiles))
        case FetchRequest() as wish:
            return _decide_url(config, wish)
        case ListTools(server):
            return _decide_server(config, server, None)
        case CallTool(server, tool):
            return _decide_server(config, server, tool)
        case (
            AppendEntry()
            | ReadEntries()
            | SearchEntries()
            | FindEntries()
            | WaitForTasks()
            | CancelTask()
            | RunSql()
            | AskBalance()
            | Quote()
            | Charge()
            | Prompt()
            | ReportProgress()
            | AskCancelled()
            | WriteLog()
            | TellTime()
            | DrawRandom()
        ):
            return Allow()
        case _:
            assert_never(request.wish)


def _decide_url(config: AgentSpec, wish: FetchRequest) -> Allow | Deny:
    if any(rule.covers(wish.url, wish.method) for rule in config.endpoints):
        return Allow(str(wish.url))
    return Deny(
        FaultCode.NOT_ALLOWED,
        f"{wish.method} {wish.url.origin} is not in [agents.endpoints] allowed "
        f"of agent {config.name}",
    )


def _decide_server(config: AgentSpec, server: str, tool: str | None) -> Allow | Deny:
    for spec in config.mcp_servers:
        if spec.name == server:
            if tool is None or spec.allows(tool):
                return Allow(server if tool is None else f"{server}/{tool}")
            return Deny(
                FaultCode.NOT_ALLOWED,
                f"{tool} is not in the tools of MCP server {server} of agent {config.name}",
            )
    return Deny(FaultCode.NOT_ALLOWED, f"agent {config.name} has no MCP server {server}")


def _decide_send(config: AgentSpec, wish: SendTask, state: State) -> Allow | Deny:
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


def _decide_path(config: AgentSpec, shelf: str | None, *, is_list: bool) -> Allow | Deny:
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
