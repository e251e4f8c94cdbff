"""What a task that came from somebody else may use: never more than its originator was given.

    effective = the agent's capabilities ∩ the originator's grant ∩ the task's scope ∩ …

Each of the last is one `Bounds`, and all must cover what a call wants; there are none for the
owner's own work. The values are made anew for every call, so that what was taken back a moment ago
is gone at the next call. How much was spent already is the business of `sandbox.spend`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from identity.caps import CapRight, Scope
from identity.rights import matches
from sandbox.capability import Capability
from sandbox.endpoint import EndpointRule, Url
from sandbox.errors import MalformedEndpoint
from sandbox.fault import FaultCode
from sandbox.spend import Money

__all__ = ["Bounds", "CapRight", "Scope", "Use", "bounds_of", "refusal", "why_no_cap"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one party lets the work do.

    Attributes:
        who: the party, as it begins the sentence that refuses.
        caps: what it was given; a capability that is not among them is not allowed.
        spend_per_day: None allows to spend nothing.
        hint: the command that would give more, up to its `--cap`; empty if there is none.
        gone: why this party may not let anything be done any more, or None.
    """

    who: str
    caps: frozenset[CapRight] = frozenset()
    spend_per_day: Money | None = None
    hint: str = ""
    gone: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """The facts of one call that a scope is compared with; what is unknown matches no scope.

    Attributes:
        capability: what the function needs.
        target: of a2a `did:key:…/agent`; of filesystem the shelf; of inference the model; of mcp
            `server/tool`, or `server` for the list of its tools.
        url, method: of http_fetch.
        is_any: the call names no target, because it is about what was allowed before: waiting
            for a task that was sent, cancelling it. Then any scope of the capability will do.
        is_payment: money would leave: an amount a day must have been given, too.
    """

    capability: Capability
    target: str = ""
    url: Url | None = None
    method: str = ""
    is_any: bool = False
    is_payment: bool = False

    def __str__(self) -> str:
        """The words of `--cap` that would allow this and little more."""
        # Of a URL no more than where it leads: its path may hold anything.
        target = self.target if self.url is None else self.url.origin.removeprefix("https://")
        return f"{self.capability.value}:{target}" if target else self.capability.value


def bounds_of(who: str, scope: Scope, *, hint: str = "") -> Bounds:
    """The bounds that `scope` sets."""
    spend = scope.spend and Money(scope.spend.micro, scope.spend.currency)
    return Bounds(who, scope.caps, spend or None, hint)


def refusal(bounds: Iterable[Bounds], use: Use | None) -> tuple[FaultCode, str] | None:
    """Why the call must not happen, or None; `use` is None where no capability is needed.

    Never raises. Cost: 1 µs for each bounds with few capabilities.
    """
    for one in bounds:
        if one.gone is not None:
            return FaultCode.NOT_ALLOWED, f"{one.who} {one.gone}{_remedy(one, None)}"
        if use is None:
            continue
        if not any(_allows(cap, use) for cap in one.caps):
            return FaultCode.NOT_ALLOWED, f"{one.who} {_may_not(one, use)}{_remedy(one, use)}"
        if use.is_payment and one.spend_per_day is None:
            why = f"no_budget_configured: {one.who} was given no amount a day"
            return FaultCode.NOT_ALLOWED, f"{why}{_spend_remedy(one)}"
    return None


def why_no_cap(cap: CapRight) -> str | None:
    """What is wrong with a scope that only its reader here can judge, or None."""
    if cap.capability == "http_fetch" and cap.scope is not None:
        try:
            EndpointRule.parse(cap.scope)
        except MalformedEndpoint as malformed:
            return str(malformed)
    return None


def _allows(cap: CapRight, use: Use) -> bool:
    if cap.capability != use.capability.value:
        return False
    scope = cap.scope
    if scope is None or use.is_any:
        return True
    match use.capability:
        case Capability.HTTP_FETCH:
            rule = _rule(scope)
            return rule is not None and use.url is not None and rule.covers(use.url, use.method)
        case Capability.A2A | Capability.MCP:
            return _both_match(scope, use.target)
        case _:
            return bool(use.target) and matches(scope, use.target)


def _both_match(scope: str, target: str) -> bool:
    """Whether `node/agents` covers `node/agent`, or `server[/tools]` covers `server[/tool]`."""
    first, slash, second = scope.partition("/")
    its_first, its_slash, its_second = target.partition("/")
    if not its_first or not matches(first, its_first):
        return False
    return not slash or (bool(its_slash) and matches(second, its_second))


@lru_cache(maxsize=1_024)
def _rule(scope: str) -> EndpointRule | None:
    """The endpoint rule of a scope; one that cannot be read allows nothing."""
    try:
        return EndpointRule.parse(scope)
    except MalformedEndpoint:
        return None


def _may_not(bounds: Bounds, use: Use) -> str:
    name = use.capability.value
    if any(cap.capability == name for cap in bounds.caps):
        return f"may not use {name} for {str(use).partition(':')[2] or 'this'} here"
    return f"may not use {name} here"


def _remedy(bounds: Bounds, use: Use | None) -> str:
    if not bounds.hint:
        return ""
    if use is None:
        return f"; {bounds.hint}"
    has_some = any(cap.capability == use.capability.value for cap in bounds.caps)
    cap = str(use) if has_some else use.capability.value
    return f"; {bounds.hint} --cap {_quoted(cap)}"


def _spend_remedy(bounds: Bounds) -> str:
    return f"; {bounds.hint} --spend AMOUNT/day" if bounds.hint else ""


def _quoted(cap: str) -> str:
    """For a shell: what a guest put into a URL must not become part of a command."""
    if cap.replace(":", "").replace("/", "").replace("_", "").replace(".", "").isalnum():
        return cap
    return "'" + cap.replace("'", "") + "'"
