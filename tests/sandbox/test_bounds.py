"""Bounds: all must cover, and whatever they do not say is refused with its remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.caps import NOTHING, CapRight, DailySpend, Scope
from sandbox.bounds import Bounds, Use, bounds_of, refusal, why_no_cap
from sandbox.capability import Capability
from sandbox.endpoint import Url
from sandbox.fault import FaultCode
from tests.strategies import key_of, scopes

DID = str(key_of(1).did)
HINT = f"akshi-node trust add {DID}"


def given_to(*caps: str, spend: str = "") -> Bounds:
    amount = DailySpend.parse(spend) if spend else None
    return bounds_of(DID, Scope.of(map(CapRight.parse, caps), amount), hint=HINT)


def fetch(url: str, method: str = "GET") -> Use:
    return Use(Capability.HTTP_FETCH, url=Url.parse(url), method=method)


USES = {
    "a2a": Use(Capability.A2A, f"{DID}/reader"),
    "database": Use(Capability.DATABASE),
    "filesystem": Use(Capability.FILESYSTEM, "notes"),
    "http_fetch": fetch("https://api.example.com/v1"),
    "inference": Use(Capability.INFERENCE, "llama3"),
    "journal": Use(Capability.JOURNAL),
    "mcp": Use(Capability.MCP, "files/read"),
    "spend": Use(Capability.SPEND),
}


def test_the_owners_own_work_has_no_bounds() -> None:
    assert all(refusal((), use) is None for use in USES.values())


@pytest.mark.parametrize("held", sorted(USES))
@pytest.mark.parametrize("wanted", sorted(USES))
def test_only_what_was_given_is_allowed(held: str, wanted: str) -> None:
    found = refusal((given_to(held),), USES[wanted])
    assert (found is None) == (held == wanted)


def test_a_refusal_names_who_what_and_the_remedy() -> None:
    assert refusal((given_to(),), USES["filesystem"]) == (
        FaultCode.NOT_ALLOWED,
        f"{DID} may not use filesystem here; akshi-node trust add {DID} --cap filesystem",
    )
    _, why = refusal((given_to("filesystem:books"),), USES["filesystem"]) or ("", "")
    assert why.startswith(f"{DID} may not use filesystem for notes here")
    assert why.endswith("--cap filesystem:notes")


def test_what_needs_no_capability_is_refused_only_to_who_is_gone() -> None:
    assert refusal((given_to(),), None) is None
    gone = Bounds(DID, hint=HINT, gone="is trusted no more")
    assert refusal((gone,), None) == (
        FaultCode.NOT_ALLOWED,
        f"{DID} is trusted no more; {HINT}",
    )


@pytest.mark.parametrize(
    ("cap", "use", "is_allowed"),
    [
        ("http_fetch:GET api.example.com/v1", fetch("https://api.example.com/v1/x"), True),
        ("http_fetch:GET api.example.com/v1", fetch("https://api.example.com/v10"), False),
        ("http_fetch:GET api.example.com/v1", fetch("https://api.example.com/v1", "POST"), False),
        ("http_fetch:api.example.com", fetch("http://api.example.com/v1"), False),
        ("http_fetch:999.1", fetch("https://api.example.com/"), False),
        ("http_fetch:api.example.com", Use(Capability.HTTP_FETCH), False),
        (f"a2a:{DID}/read*", USES["a2a"], True),
        (f"a2a:{key_of(2).did}/read*", USES["a2a"], False),
        ("a2a:self/read*", USES["a2a"], False),
        (f"a2a:{DID}/read*", Use(Capability.A2A), False),
        (f"a2a:{DID}/read*", Use(Capability.A2A, is_any=True), True),
        ("filesystem:n*", USES["filesystem"], True),
        ("filesystem:n*", Use(Capability.FILESYSTEM), False),
        ("mcp:files", USES["mcp"], True),
        ("mcp:files", Use(Capability.MCP, "files"), True),
        ("mcp:files/read", USES["mcp"], True),
        ("mcp:files/read", Use(Capability.MCP, "files"), False),
        ("mcp:files/write", USES["mcp"], False),
        ("mcp:*", Use(Capability.MCP), False),
        ("inference:llama*", USES["inference"], True),
        ("inference:gpt*", USES["inference"], False),
        ("inference:*", Use(Capability.INFERENCE), False),
    ],
)
def test_a_scope_allows_its_targets_and_no_unknown_one(
    cap: str, use: Use, is_allowed: bool
) -> None:
    assert (refusal((given_to(cap),), use) is None) == is_allowed


def test_money_needs_an_amount() -> None:
    pay = Use(Capability.SPEND, is_payment=True)
    code, why = refusal((given_to("spend"),), pay) or ("", "")
    assert code == FaultCode.NOT_ALLOWED
    assert why.startswith("no_budget_configured: ")
    assert refusal((given_to(spend="2EUR"),), pay) is None


@given(st.lists(scopes, min_size=1, max_size=4), st.sampled_from(sorted(USES)))
def test_all_must_cover(several: list[Scope], wanted: str) -> None:
    bounds = [bounds_of(DID, scope) for scope in several]
    alone = [refusal((one,), USES[wanted]) is None for one in bounds]
    assert (refusal(bounds, USES[wanted]) is None) == all(alone)


@given(scopes, scopes, st.sampled_from(sorted(USES)))
def test_no_call_is_allowed_by_a_narrower_scope_and_not_by_the_wider(
    wide: Scope, other: Scope, wanted: str
) -> None:
    narrow = wide.meet(other)
    if refusal((bounds_of(DID, narrow),), USES[wanted]) is None:
        assert refusal((bounds_of(DID, wide),), USES[wanted]) is None


def test_a_command_never_holds_what_a_guest_could_break_out_with() -> None:
    use = Use(Capability.MCP, "x'; rm -rf $HOME; '/y")
    _, why = refusal((given_to("mcp:files"),), use) or ("", "")
    assert "--cap 'mcp:x; rm -rf $HOME; /y'" in why


def test_only_a_reader_of_rules_knows_all_that_is_no_endpoint() -> None:
    assert why_no_cap(CapRight.parse("http_fetch:999.1"))
    assert why_no_cap(CapRight.parse("http_fetch:api.example.com")) is None
    assert why_no_cap(CapRight.parse("http_fetch")) is None
    assert why_no_cap(CapRight.parse("journal")) is None


def test_nothing_is_what_trust_alone_gives() -> None:
    assert all(refusal((bounds_of(DID, NOTHING),), use) for use in USES.values())


_PLACES = st.builds(
    lambda methods, scheme, host, port, path: f"{methods}{scheme}{host}{port}{path}",
    st.sampled_from(["", "GET ", "GET,POST ", "POST "]),
    st.sampled_from(["", "http://", "https://"]),
    st.sampled_from(["example.com", "*.example.com", "a.example.com", "*.a.example.com"]),
    st.sampled_from(["", ":80", ":443", ":8080"]),
    st.sampled_from(["", "/", "/v1", "/v1/", "/v1/x", "/v10"]),
)
_URLS = st.builds(
    lambda scheme, host, port, path: Url.parse(f"{scheme}{host}{port}{path}"),
    st.sampled_from(["http://", "https://"]),
    st.sampled_from(["example.com", "a.example.com", "b.a.example.com", "aexample.com"]),
    st.sampled_from(["", ":80", ":443", ":8080"]),
    st.sampled_from(["", "/v1", "/v1/x", "/v1/x/y", "/v10", "/%761"]),
)


@given(_PLACES, _PLACES, _URLS, st.sampled_from(["GET", "POST", "PUT"]))
def test_what_a_grant_calls_narrower_is_narrower_to_the_reader_of_rules(
    wide: str, narrow: str, url: Url, method: str
) -> None:
    """Two readers of one text: neither may see more in it than the other."""
    one, other = (CapRight.parse(f"http_fetch:{place}") for place in (wide, narrow))
    use = Use(Capability.HTTP_FETCH, url=url, method=method)
    if one.covers(other) and refusal((given_to(str(other)),), use) is None:
        assert refusal((given_to(str(one)),), use) is None


def test_a_scope_of_tools_is_none_of_the_list_of_tools() -> None:
    listing = Use(Capability.MCP, "files")
    assert refusal((given_to("mcp:files"),), listing) is None
    assert refusal((given_to("mcp:files/*"),), listing) is not None
    assert refusal((given_to("mcp:files/*"),), Use(Capability.MCP, "files/read")) is None
