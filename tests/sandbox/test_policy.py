"""The policy as a matrix: what is not listed here as allowed is denied."""

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.agent_spec import AgentSpec
from sandbox.approvals import ApprovalRule
from sandbox.bounds import Bounds, CapRight
from sandbox.capability import FUNCTIONS, Capability, Function
from sandbox.endpoint import EndpointRule
from sandbox.fault import Fault, FaultCode
from sandbox.mcp_server import McpServerSpec
from sandbox.policy import HOPS_MAX, Allow, Deny, NeedApproval, State, Verdict, decide
from sandbox.rate import Rate
from sandbox.request import read_request
from sandbox.spend import Cost, Money
from tests.sandbox.fakes import ALL, FRIEND, ME, PARTS, STRANGER, spec

ID = "ab" * 32
GOOD: dict[str, tuple[str | int, ...]] = {
    "journal.append": ("tag", "text"),
    "journal.read": ("", 10),
    "journal.search": ("words", 10),
    "journal.find": ('{"query":"words"}',),
    "a2a.send": ("friend/reader", PARTS),
    "a2a.wait": (f'["{ID}"]', 10),
    "a2a.cancel": (ID,),
    "filesystem.list-files": ("/shelf", "", 10),
    "database.query": ("SELECT 1", "[]"),
    "database.execute": ("DELETE FROM t", ""),
    "mcp.call-tool": ("files", "read", "{}"),
    "filesystem.read-file": ("/shelf/note",),
    "task.progress": ("half",),
    "task.is-cancelled": (),
    "task.log": ("info", "text"),
    "task.now": (),
    "task.random": (8,),
}
GRANTS = [frozenset(), *(frozenset({capability}) for capability in Capability), ALL]
ALLOWED_PLAINLY = {Capability.JOURNAL, Capability.A2A, Capability.FILESYSTEM, Capability.DATABASE}
STATE = State(me=ME, resolve={"friend": FRIEND, "self": STRANGER}.get)
AGENT = spec(filesystem_allowed=("/srv/shelf",))


def arguments_of(function: Function) -> tuple[str | int, ...]:
    plain = {"text": "x", "u32": 1}
    return GOOD.get(function.name) or tuple(plain[kind] for kind in function.parameters)


def ask(
    name: str, *arguments: str | int, agent: AgentSpec = AGENT, state: State = STATE
) -> Verdict:
    given_or_good = arguments or arguments_of(FUNCTIONS[name])
    return decide(agent, read_request(0, name, given_or_good), state)


def aim(verdict: Verdict) -> str:
    assert isinstance(verdict, Allow), verdict
    return verdict.target


def code(verdict: Verdict) -> FaultCode | None:
    return verdict.code if isinstance(verdict, Deny) else None


@pytest.mark.parametrize(
    ("function", "granted"),
    list(itertools.product(FUNCTIONS.values(), GRANTS)),
    ids=lambda value: (
        value.name if isinstance(value, Function) else "+".join(sorted(value)) or "none"
    ),
)
def test_every_function_with_every_capability(
    function: Function, granted: frozenset[Capability]
) -> None:
    agent = spec(capabilities=granted, filesystem_allowed=("/srv/shelf",))
    verdict = ask(function.name, agent=agent)
    if function.capability is None:
        assert verdict == Allow()
    elif function.capability not in granted:
        assert code(verdict) is FaultCode.CAPABILITY_DENIED
        assert function.capability.value in verdict.reason
    elif function.capability in ALLOWED_PLAINLY or function.name == "spend.balance":
        assert isinstance(verdict, Allow)
    elif function.capability is Capability.MCP:
        assert code(verdict) is FaultCode.NOT_ALLOWED  # no server is configured
    else:
        assert code(verdict) is FaultCode.INVALID  # "x" is neither a url nor a price


@pytest.mark.parametrize("name", FUNCTIONS)
def test_stopped_comes_before_everything(name: str) -> None:
    stopped = State(me=ME, resolve=STATE.resolve, stopped="the node is stopping")
    verdict = ask(name, state=stopped)
    assert verdict == Deny(FaultCode.CANCELLED, "the node is stopping")


def test_without_the_capability_nobody_learns_what_is_wrong_with_the_arguments() -> None:
    assert code(ask("a2a.send", "x", "x", agent=spec(capabilities=frozenset()))) is (
        FaultCode.CAPABILITY_DENIED
    )
    assert code(ask("a2a.send", "x", "x")) is FaultCode.INVALID


@pytest.mark.parametrize(
    ("allowed", "target", "did"),
    [
        ("friend/reader", "friend/reader", FRIEND),
        ("friend/*", "friend/reader", FRIEND),
        ("friend/read*", f"{FRIEND}/reader", FRIEND),
        (f"{FRIEND}/*er", "friend/reader", FRIEND),
        (f"{FRIEND}/r*d*r", f"{FRIEND}/reader", FRIEND),
        ("self/reader", "self/reader", ME),
        ("self/reader", f"{ME}/reader", ME),
        (f"{ME}/reader", "self/reader", ME),
        (f"{STRANGER}/*", f"{STRANGER}/x", STRANGER),
    ],
)
def test_a_listed_peer_may_be_tasked_under_each_of_its_names(
    allowed: str, target: str, did: str
) -> None:
    verdict = ask("a2a.send", target, PARTS, agent=spec(peers_allowed=("self/other", allowed)))
    assert aim(verdict) == f"{did}/{target.partition('/')[2]}"


@pytest.mark.parametrize(
    ("allowed", "target"),
    [
        ((), "friend/reader"),  # empty means nobody
        ((), "self/reader"),  # agents of one's own node are not exempt
        (("friend/reader",), "friend/reader2"),
        (("friend/reader",), "friend/Reader"),
        (("friend/*",), "self/reader"),
        (("friend/reader",), f"{STRANGER}/reader"),
        (("self/reader",), "friend/reader"),
        (("friend/a*b*a",), "friend/aba2"),
        (("friend/a*a",), "friend/a"),  # two letters, not one twice
        (("friend/x*y*z",), "friend/xz"),
        (("friend/?eader", "friend/[r]eader"), "friend/reader"),  # only * stands for others
        (("*/reader", "*", "did:key:*/reader", ""), "friend/reader"),  # no glob for the node
        (("nobody/reader",), "nobody/reader"),  # nobody has that name
        (("nobody/reader",), "friend/reader"),
    ],
)
def test_whoever_is_not_listed_may_not_be_tasked(allowed: tuple[str, ...], target: str) -> None:
    verdict = ask("a2a.send", target, PARTS, agent=spec(peers_allowed=allowed))
    assert code(verdict) is FaultCode.NOT_ALLOWED


def test_a_peer_called_self_is_not_this_node() -> None:
    assert aim(ask("a2a.send", "self/reader", PARTS)) == f"{ME}/reader"


def test_a_petname_is_looked_up_at_each_call() -> None:
    moved = State(me=ME, resolve={"friend": STRANGER}.get)
    assert aim(ask("a2a.send", "friend/reader", PARTS, state=moved)) == f"{STRANGER}/reader"
    assert code(ask("a2a.send", f"{FRIEND}/reader", PARTS, state=moved)) is FaultCode.NOT_ALLOWED


@pytest.mark.parametrize("hops", range(6))
def test_a_task_goes_through_four_agents_at_most(hops: int) -> None:
    state = State(me=ME, resolve=STATE.resolve, chain=(f"{FRIEND}/a",) * hops)
    allowed = isinstance(ask("a2a.send", state=state), Allow)
    assert allowed == (hops < HOPS_MAX)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/shelf", "/srv/shelf"),
        ("/shelf/a/b", "/srv/shelf"),
        ("/other/a", "/mnt/other"),
        ("/srv/shelf/a", None),
        ("/shel", None),
        ("/shelf2", None),
        ("/etc/passwd", None),
        ("/Shelf/a", None),
    ],
)
def test_a_path_lies_below_an_allowed_root(path: str, expected: str | None) -> None:
    agent = spec(filesystem_allowed=("/srv/shelf", "/mnt/other"))
    for verdict in (
        ask("filesystem.read-file", path, agent=agent),
        ask("filesystem.list-files", path, "", 1, agent=agent),
    ):
        assert (aim(verdict) if isinstance(verdict, Allow) else None) == expected
        assert code(verdict) is (None if expected else FaultCode.NOT_ALLOWED)


def test_the_list_of_shelves_is_a_list_and_no_file() -> None:
    assert aim(ask("filesystem.list-files", "/", "", 1)) == ""
    assert code(ask("filesystem.read-file", "/")) is FaultCode.NOT_ALLOWED
    empty = spec(filesystem_allowed=())
    assert code(ask("filesystem.list-files", "/", "", 1, agent=empty)) is FaultCode.NOT_ALLOWED


words = st.text(max_size=20) | st.sampled_from(["friend/reader", "/shelf/x", PARTS, ID, "["])
numbers = st.integers(0, 2**32 - 1)


@given(st.sampled_from(sorted(FUNCTIONS)), st.data(), st.frozensets(st.sampled_from(Capability)))
def test_the_policy_is_total_and_never_grants_what_is_not_held(
    name: str, data: st.DataObject, granted: frozenset[Capability]
) -> None:
    function = FUNCTIONS[name]
    arguments = [data.draw(words if p == "text" else numbers) for p in function.parameters]
    agent = spec(capabilities=granted, filesystem_allowed=("/srv/shelf",))
    verdict = decide(agent, read_request(0, name, arguments), STATE)
    if isinstance(verdict, Allow):
        assert function.capability is None or function.capability in granted
    else:
        assert verdict.reason


def test_a_wish_that_the_policy_does_not_know_is_a_bug_and_no_permission() -> None:
    unknown = replace(read_request(0, "task.now", ()), wish="anything")  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        decide(AGENT, unknown, STATE)


def test_a_proof_is_shown_to_nobody_while_spending_is_halted() -> None:
    """With x402 it is the proof that moves the money."""
    rule = ApprovalRule("never")
    agent = spec(
        endpoints=(EndpointRule.parse("api.example.com"),),
        approval={Capability.HTTP_FETCH: rule},
    )
    plain, paid = ({"url": "https://api.example.com/"}, {"payment": "9f" * 16})
    halted = replace(STATE, spend_halted=True)
    assert isinstance(ask("http-fetch.fetch", json.dumps(plain), agent=agent, state=halted), Allow)
    refused = ask("http-fetch.fetch", json.dumps({**plain, **paid}), agent=agent, state=halted)
    assert isinstance(refused, Deny)
    assert refused.reason.startswith("kill_switch")
    allowed = ask("http-fetch.fetch", json.dumps({**plain, **paid}), agent=agent)
    assert isinstance(allowed, Allow)


def test_a_rate_that_is_used_up_names_itself() -> None:
    agent = spec(rates={Capability.JOURNAL: Rate(60, 60)})
    refused = ask("journal.append", agent=agent, state=replace(STATE, has_rate=False))
    assert refused == Deny(FaultCode.RATE_LIMITED, "more than 60/min of journal")
    assert ask("task.now", agent=agent, state=replace(STATE, has_rate=False)) == Allow()


def test_a_problem_of_the_node_is_told_after_every_rule_and_before_the_price() -> None:
    problem = Fault(FaultCode.UNAVAILABLE, "no model is configured")
    troubled = replace(STATE, problem=problem, cost=Cost(Money(1, "EUR"), "ledger", "shop"))
    assert ask("journal.append", state=troubled) == Deny(problem.code, problem.why)
    assert code(ask("a2a.send", "friend/writer", PARTS, state=troubled)) is FaultCode.NOT_ALLOWED
    assert code(ask("journal.append", state=replace(troubled, has_rate=False))) is (
        FaultCode.RATE_LIMITED
    )


SERVERS = spec(
    mcp_servers=(
        McpServerSpec("other", argv=("/bin/other",), tools=("*",)),
        McpServerSpec("files", argv=("/bin/files",), tools=("read_*",)),
    )
)


@pytest.mark.parametrize(
    ("name", "arguments", "target"),
    [
        ("mcp.list-tools", ("files",), "files"),
        ("mcp.call-tool", ("files", "read_file", "{}"), "files/read_file"),
        ("mcp.call-tool", ("files", "write_file", "{}"), None),
        ("mcp.call-tool", ("Files", "read_file", "{}"), None),
        ("mcp.call-tool", ("nowhere", "read_file", "{}"), None),
        ("mcp.list-tools", ("nowhere",), None),
    ],
)
def test_a_tool_is_on_its_servers_list(
    name: str, arguments: tuple[str, ...], target: str | None
) -> None:
    verdict = ask(name, *arguments, agent=SERVERS)
    if target is None:
        assert code(verdict) is FaultCode.NOT_ALLOWED
    else:
        assert aim(verdict) == target


def test_a_url_is_on_the_list_with_its_method() -> None:
    agent = spec(endpoints=(EndpointRule.parse("GET api.example.com/v1"),))

    def fetched(url: str, method: str = "GET") -> Verdict:
        wish = json.dumps({"url": url, "method": method})
        return ask("http-fetch.fetch", wish, agent=agent)

    assert aim(fetched("https://api.example.com/v1/x")) == "https://api.example.com/v1/x"
    for url, method in (
        ("https://api.example.com/v1/x", "POST"),
        ("https://api.example.com/v2", "GET"),
        ("https://example.com/v1", "GET"),
        ("http://api.example.com/v1", "GET"),
    ):
        assert code(fetched(url, method)) is FaultCode.NOT_ALLOWED


def test_a_charge_is_money_before_anybody_reads_what_it_says() -> None:
    halted = replace(STATE, spend_halted=True)
    refused = ask("spend.charge", "x", state=halted)
    assert isinstance(refused, Deny)
    assert (refused.code, refused.reason.partition(":")[0]) == (
        FaultCode.NOT_ALLOWED,
        "kill_switch",
    )
    assert isinstance(ask("spend.balance", state=halted), Allow)


def test_who_is_gone_gets_nothing_at_all() -> None:
    """Not even the time of day."""
    gone = replace(STATE, bounds=(Bounds("did:key:z", gone="is not trusted any more"),))
    for name in ("task.now", "task.progress", "journal.append"):
        assert code(ask(name, state=gone)) is FaultCode.NOT_ALLOWED


def test_what_only_the_node_knows_is_judged_too() -> None:
    assert isinstance(ask("journal.append"), Allow)
    told = replace(STATE, fields=("journal.nobody-has-judged-this",))
    verdict = ask("journal.append", state=told)
    assert isinstance(verdict, NeedApproval)
    assert verdict.risk.fields[-1].field == "journal.nobody-has-judged-this"


@pytest.mark.parametrize(
    ("when", "asked"),
    [("", {"DELETE"}), ("high", {"DELETE"}), ("never", set()), ("always", {"GET", "DELETE"})],
)
def test_where_nothing_is_configured_high_risk_needs_a_person(when: str, asked: set[str]) -> None:
    rules = {Capability.HTTP_FETCH: ApprovalRule(when)} if when else {}
    agent = spec(endpoints=(EndpointRule.parse("api.example.com"),), approval=rules)
    for method in ("GET", "DELETE"):
        wish = json.dumps({"url": "https://api.example.com/", "method": method})
        verdict = ask("http-fetch.fetch", wish, agent=agent)
        assert isinstance(verdict, NeedApproval) == (method in asked)


def test_a_payment_wants_an_amount_a_day_of_its_originator() -> None:
    cost = Cost(Money(1, "EUR"), "ledger", "shop")
    bounds = (Bounds("did:key:z", frozenset({CapRight("inference")})),)
    prompt = json.dumps({"messages": [{"role": "user", "content": "hi"}]})
    free, paid = replace(STATE, bounds=bounds), replace(STATE, bounds=bounds, cost=cost)
    assert isinstance(ask("inference.prompt", prompt, state=free), Allow)
    refused = ask("inference.prompt", prompt, state=paid)
    assert isinstance(refused, Deny)
    assert refused.reason.startswith("no_budget_configured: did:key:z was given no amount a day")


def test_an_originators_method_is_its_own() -> None:
    cap = CapRight("http_fetch", "GET api.example.com")
    state = replace(STATE, bounds=(Bounds("did:key:z", frozenset({cap})),))
    never = {Capability.HTTP_FETCH: ApprovalRule("never")}
    agent = spec(endpoints=(EndpointRule.parse("api.example.com"),), approval=never)
    for method, is_allowed in (("GET", True), ("POST", False)):
        wish = json.dumps({"url": "https://api.example.com/", "method": method})
        verdict = ask("http-fetch.fetch", wish, agent=agent, state=state)
        assert isinstance(verdict, Allow) == is_allowed
