"""Capability × granted × approval × kill switch × originator: what is not listed is denied.

The table of what is allowed is written here by hand and knows nothing of how `decide` works.
Everything else that the axes can make is generated, and every such cell must be a refusal.
"""

import itertools
from collections import Counter
from typing import NamedTuple

import pytest

from identity.caps import NOTHING, CapRight, DailySpend, Scope
from sandbox.approvals import ApprovalRule
from sandbox.bounds import Bounds, bounds_of
from sandbox.capability import FUNCTIONS, Capability
from sandbox.endpoint import EndpointRule
from sandbox.fault import FaultCode
from sandbox.mcp_server import McpServerSpec
from sandbox.policy import Allow, Deny, NeedApproval, State, Verdict, decide
from sandbox.request import read_request
from sandbox.spend import Account, Allowance, Cost, Money, SpendPolicy
from tests.sandbox.fakes import FRIEND, ME, PARTS, STRANGER, spec

EURO = Money.parse("1.00EUR")
FIVE = DailySpend.parse("5.00EUR/day")


class Call(NamedTuple):
    """One call of a capability, a scope that covers it, and one that looks alike and does not."""

    function: str
    arguments: tuple[str | int, ...]
    fits: str
    other: str | None
    route: str = ""  # what the node would use
    cost: Cost | None = None


CALLS = {
    Capability.JOURNAL: Call("journal.append", ("tag", "text"), "journal", None),
    Capability.DATABASE: Call("database.query", ("SELECT 1", "[]"), "database", None),
    Capability.FILESYSTEM: Call(
        "filesystem.read-file", ("/shelf/note",), "filesystem:sh*", "filesystem:shelves"
    ),
    Capability.A2A: Call(
        "a2a.send",
        ("friend/reader", PARTS),
        f"a2a:{FRIEND}/read*",
        f"a2a:{STRANGER}/reader",
    ),
    Capability.HTTP_FETCH: Call(
        "http-fetch.fetch",
        ('{"method":"GET","url":"https://api.example.com/v1/x"}',),
        "http_fetch:GET api.example.com/v1",
        "http_fetch:GET api.example.com/v10",
    ),
    Capability.MCP: Call("mcp.call-tool", ("files", "read", "{}"), "mcp:files/read", "mcp:files/r"),
    Capability.INFERENCE: Call(
        "inference.prompt", ('{"prompt":"hello"}',), "inference:llama*", "inference:gpt*", "llama3"
    ),
    Capability.SPEND: Call(
        "spend.charge",
        ('{"amount_micros":1000000,"currency":"EUR","rail":"ledger","payee":"shop"}',),
        "spend",
        None,
        cost=Cost(EURO, "ledger", "shop"),
    ),
}
# What stands in the way of an act, whoever asks.
SWITCHES = ("off", "stopped", "halted")
APPROVALS = ("never", "always")


def originators(call: Call) -> dict[str, tuple[Bounds, ...]]:
    """Everybody a task may come from, and what that is bounded by."""
    money = FIVE if call.cost else None
    whole = Scope.of([CapRight.parse(call.fits.partition(":")[0])], money)
    fits = Scope.of([CapRight.parse(call.fits)], money)
    every = Scope.of(map(CapRight.parse, (c.value for c in Capability)), FIVE)
    others = every.caps - {CapRight.parse(call.fits.partition(":")[0])}
    found = {
        "owner": (),
        "owner, with a scope": (bounds_of("the task", fits),),
        "owner, with a scope of nothing": (bounds_of("the task", NOTHING),),
        "trusted without cap": (bounds_of("a", NOTHING),),
        "trusted with every other cap": (bounds_of("a", Scope(others)),),
        "trusted with cap": (bounds_of("a", whole),),
        "trusted with a scope that fits": (bounds_of("a", fits),),
        "expired": (Bounds("a", whole.caps, gone="is not trusted here any more"),),
        "delegated": (bounds_of("a", whole.meet(fits)),),
        "delegated, less than asked": (bounds_of("a", whole.meet(NOTHING)),),
        "two hops": (bounds_of("b", whole), bounds_of("a", fits)),
        "two hops, the first without": (bounds_of("b", whole), bounds_of("a", NOTHING)),
        "two hops, the second without": (bounds_of("b", NOTHING), bounds_of("a", whole)),
        "two hops, the first revoked": (bounds_of("b", whole), Bounds("a", gone="was revoked")),
        "four hops": tuple(bounds_of(who, fits) for who in "abcd"),
        "four hops, the third without": tuple(
            bounds_of(who, NOTHING if who == "c" else fits) for who in "abcd"
        ),
    }
    if call.other is not None:
        other = Scope.of([CapRight.parse(call.other)])
        found["trusted with another scope"] = (bounds_of("a", other),)
        found["two hops, another scope"] = (bounds_of("b", whole), bounds_of("a", other))
    if call.cost is not None:
        found["trusted with cap, without an amount"] = (bounds_of("a", Scope(whole.caps)),)
        small = Scope.of([], DailySpend.parse("0.99EUR/day"))
        found["trusted with too small an amount"] = (bounds_of("a", small),)
        sats = Scope.of([], DailySpend.parse("1000SAT/day"))
        found["trusted with another money"] = (bounds_of("a", sats),)
    return found


# The whole of what may ever happen. Nothing else is looked at to know it.
MAY = frozenset(
    {
        "owner",
        "owner, with a scope",
        "trusted with cap",
        "trusted with a scope that fits",
        "delegated",
        "two hops",
        "four hops",
    }
)

CELLS = [
    (capability, is_granted, approval, switch, name)
    for capability, is_granted, approval, switch in itertools.product(
        CALLS, (True, False), APPROVALS, SWITCHES
    )
    for name in originators(CALLS[capability])
]


def verdict_of(
    capability: Capability, is_granted: bool, approval: str, switch: str, name: str
) -> Verdict:
    call = CALLS[capability]
    bounds = originators(call)[name]
    agent = spec(
        capabilities=frozenset(Capability) - (frozenset() if is_granted else {capability}),
        filesystem_allowed=("/srv/shelf",),
        peers_allowed=("friend/*",),
        endpoints=(EndpointRule.parse("api.example.com"),),
        mcp_servers=(McpServerSpec("files", argv=("/bin/true",), tools=("*",)),),
        spend=SpendPolicy(Money.parse("10.00EUR"), rails=("ledger",)),
        approval={capability: ApprovalRule(approval)},  # type: ignore[arg-type]
    )
    state = State(
        me=ME,
        resolve={"friend": FRIEND}.get,
        stopped="the node is stopping" if switch == "stopped" else None,
        spend_halted=switch == "halted",
        cost=call.cost,
        account=Account(others=tuple(Allowance(b.who, b.spend_per_day) for b in bounds)),
        target=call.route,
        bounds=bounds,
    )
    return decide(agent, read_request(0, call.function, call.arguments), state)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(map(str, cell)))
def test_only_the_listed_cells_are_allowed(
    cell: tuple[Capability, bool, str, str, str],
) -> None:
    capability, is_granted, approval, switch, name = cell
    is_built = FUNCTIONS[CALLS[capability].function].effect is not None
    pays = CALLS[capability].cost is not None
    verdict = verdict_of(*cell)
    if (
        is_built
        and is_granted
        and name in MAY
        and (switch == "off" or (switch == "halted" and not pays))
    ):
        assert isinstance(verdict, NeedApproval if approval == "always" else Allow), verdict
    else:
        assert isinstance(verdict, Deny), verdict
        assert verdict.reason


def test_the_first_reason_is_the_one_that_stands_first_in_the_order() -> None:
    for capability in CALLS:
        everything = verdict_of(capability, False, "always", "stopped", "trusted without cap")
        assert isinstance(everything, Deny)
        assert everything.code is FaultCode.CANCELLED
        ungranted = verdict_of(capability, False, "always", "off", "trusted without cap")
        assert isinstance(ungranted, Deny)
        assert ungranted.code is FaultCode.CAPABILITY_DENIED


def test_a_persons_yes_is_never_asked_for_what_the_originator_may_not() -> None:
    """Approval widens nothing: the bounds come before it."""
    asked = Counter(
        type(verdict_of(capability, True, "always", "off", name)).__name__
        for capability, call in CALLS.items()
        for name in originators(call)
        if name not in MAY
    )
    assert set(asked) == {"Deny"}
