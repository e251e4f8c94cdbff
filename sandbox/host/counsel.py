"""What the gate is told of the node when it decides, and what a person is told when asked.

Everything here looks and nothing changes, but for one count: a call counts against the
rate of its capability when it is first looked at.
"""

from dataclasses import dataclass
from typing import Final

from sandbox import guest_json
from sandbox.agent_spec import fingerprint
from sandbox.approvals import Question, Subject, digest_of, nonce_of
from sandbox.bounds import Bounds
from sandbox.capability import Capability
from sandbox.charge import Charge
from sandbox.errors import PortRefused
from sandbox.fault import Fault, FaultCode
from sandbox.fetch import FetchRequest
from sandbox.host.boundary import Desk
from sandbox.mcp_server import CallTool
from sandbox.outside import Grants, ModelPort
from sandbox.policy import NeedApproval, State
from sandbox.ports import TaskRun
from sandbox.prompt import Prompt
from sandbox.request import Request
from sandbox.spend import INFERENCE, Account, Cost

SUMMARY_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the node knows of a call beyond the guest's words."""

    cost: Cost | None = None
    target: str = ""
    fields: tuple[str, ...] = ()
    problem: Fault | None = None
    secrets: tuple[str, ...] = ()


_PLAIN: Final = Outlook()
_NOTHING_SPENT: Final = Account()


class Counsel:
    """For the calls of one task."""

    def __init__(self, desk: Desk, task: TaskRun) -> None:
        self._desk = desk
        self._task = task
        self.module_cid = desk.module_cid  # this attempt's, also after a reload
        self._counted = -1  # the last call that was counted against its rate
        self._has_rate = True

    def state(self, request: Request, *, now_s: float) -> State:
        """How the node stands now, for this request."""
        boundary, spec = self._desk.boundary, self._desk.spec
        capability = request.function.capability
        if capability is None or capability not in spec.capabilities:
            return State(
                boundary.me,
                boundary.resolve,
                boundary.stopped,
                self._task.chain,
                spend_halted=boundary.spend_halted,
                bounds=self.bounds(),
            )
        self._count(capability, request.number, now_s)
        outlook, bounds = self.outlook(request), self.bounds()
        return State(
            boundary.me,
            boundary.resolve,
            boundary.stopped,
            self._task.chain,
            spend_halted=boundary.spend_halted,
            cost=outlook.cost,
            account=self._account(outlook.cost, bounds),
            has_rate=self._has_rate,
            target=outlook.target,
            fields=outlook.fields,
            problem=outlook.problem,
            bounds=bounds,
            risks=boundary.risks,
        )

    def outlook(self, request: Request) -> Outlook:
        """Price, route, and what else only the node can say."""
        ports = self._desk.boundary.ports
        match request.wish:
            case Charge(cost):
                return Outlook(cost=cost)
            case FetchRequest(url, method) if ports.secrets is not None:
                names = ports.secrets.names_for(self._task.agent, url, method)
                return Outlook(fields=("http_fetch.secret",) if names else (), secrets=names)
            case Prompt() as wish if ports.models is not None:
                return self._of_prompt(ports.models, wish)
            case CallTool() as wish if ports.tools is not None:
                problem = ports.tools.pin_problem(self._task.agent, wish)
                return Outlook(problem=Fault(FaultCode.NOT_ALLOWED, problem) if problem else None)
            case _:
                return _PLAIN

    def _of_prompt(self, models: ModelPort, wish: Prompt) -> Outlook:
        try:
            route = models.route(self._task.agent, wish)
        except PortRefused as refused:
            return Outlook(problem=refused.fault)
        cost = None
        if route.ceiling is not None:
            cost = Cost(route.ceiling, INFERENCE, route.origin)
        return Outlook(cost=cost, target=route.name, fields=route.fields)

    def question(self, request: Request, verdict: NeedApproval, state: State) -> Question:
        """What a person is asked."""
        return Question(
            subject=self.subject(request, state, verdict.target),
            request=canonical(request, verdict.target),
            summary=summary(request),
            target=verdict.target,
            risk=verdict.risk,
            timeout_s=max(1, min(verdict.rule.timeout_s, self._left_s())),
            quorum=verdict.rule.quorum,
            task_id=self._task.id,
            number=request.number,
        )

    def _left_s(self) -> int:
        """Until the task expires: nobody is asked about what may not happen any more."""
        return (self._task.expires_ms - self._desk.boundary.wall_ms()) // 1_000

    def subject(self, request: Request, state: State, target: str) -> Subject:
        """Exactly what would happen now, at the target that the gate has checked."""
        desk, task = self._desk, self._task
        capability = request.function.capability
        assert capability is not None, "what reaches nothing asks nobody"
        return Subject(
            agent=task.agent,
            agent_did=desk.boundary.did_of(task.agent),
            module_cid=self.module_cid,
            capability=capability,
            function=request.function.name,
            request_hash=digest_of(canonical(request, target)),
            body_hash=_body_hash(request),
            secret_names=self.outlook(request).secrets,
            originator=task.originator,
            chain=task.chain[-4:],
            policy_hash=digest_of(fingerprint(desk.spec)),
            price=str(state.cost.money) if state.cost else "",
            payee=state.cost.payee if state.cost else "",
            nonce=nonce_of(task.id, request.number),
        )

    def bounds(self) -> tuple[Bounds, ...]:
        """What those whose work this is were given, as trust stands now."""
        port = self._desk.boundary.ports.bounds
        return () if port is None else port.bounds(self._task)

    def grants(self) -> Grants:
        """Whose daily caps the work counts against."""
        return tuple((one.who, one.spend_per_day) for one in self.bounds())

    def _account(self, cost: Cost | None, bounds: tuple[Bounds, ...]) -> Account:
        purse = self._desk.boundary.ports.purse
        if cost is None or purse is None:
            return _NOTHING_SPENT
        grants = tuple((one.who, one.spend_per_day) for one in bounds)
        return purse.account(self._task.agent, grants)

    def _count(self, capability: Capability, number: int, now_s: float) -> None:
        if self._counted == number:  # asked twice about one call: it counts once
            return
        self._counted = number
        budget = self._desk.rates.get(capability)
        self._has_rate = budget is None or budget.take(now_s)


def _body_hash(request: Request) -> bytes:
    match request.wish:
        case FetchRequest(body=body) if body:
            return digest_of(body)
        case _:
            return b""


def canonical(request: Request, target: str) -> bytes:
    """The call in the one form that a person's word binds to.

    What the guest said, and whom it means now: a petname or a route may mean another later.
    """
    return guest_json.write([request.function.name, *request.arguments, {"at": target}]).encode()


def summary(request: Request) -> str:
    """One line for people. What it says comes from a guest; whoever shows it makes it inert."""
    words = f"{request.function.name} {request.target}".rstrip()
    return words if len(words) <= SUMMARY_CHARS_MAX else words[: SUMMARY_CHARS_MAX - 1] + "…"
