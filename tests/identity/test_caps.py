"""Scopes: what is narrower than what, and that nothing widens on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import CapRight, DailySpend, Scope, cbor
from identity.caps import CAPABILITIES, CAPS_MAX, NOTHING, SPEND
from identity.errors import MalformedCap, MalformedCbor
from tests.strategies import cap_rights, cbor_values, daily_spends, dids, key_of, scopes

DID = str(key_of(1).did)


@given(cap_rights)
def test_parse_and_str_are_inverse(cap: CapRight) -> None:
    assert CapRight.parse(str(cap)) == cap


@given(daily_spends)
def test_an_amount_a_day_is_read_back(amount: DailySpend) -> None:
    assert DailySpend.parse(str(amount)) == amount


@given(
    st.text()
    | st.builds(
        lambda name, rest: f"{name}:{rest}",
        st.sampled_from(CAPABILITIES),
        st.text("*a/:.0-9,G []did:key", max_size=40),
    )
)
def test_any_text_gives_a_capability_or_malformed(text: str) -> None:
    try:
        cap = CapRight.parse(text)
    except MalformedCap:
        return
    assert str(cap) == text
    assert cap.covers(cap)


@given(st.text() | st.from_regex(r"\d{1,12}(\.\d{0,8})?[A-Za-z]{0,9}(/day)?", fullmatch=True))
def test_any_text_gives_an_amount_or_malformed(text: str) -> None:
    try:
        amount = DailySpend.parse(text)
    except MalformedCap:
        return
    assert DailySpend.parse(str(amount)) == amount
    assert amount.micro > 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "shell",
        "journal:notes",
        "database:x",
        "spend:2EUR",
        "filesystem:",
        "filesystem:a/b",
        "filesystem:..\n",
        "http_fetch:",
        "http_fetch:get example.com",
        "http_fetch:https://user@example.com",
        "http_fetch:example.com/a/../b",
        "http_fetch:example.com/%2e%2e",
        "http_fetch:private example.com",
        "http_fetch:redirects example.com",
        "http_fetch:ftp://example.com",
        "a2a:reader",
        "a2a:self/",
        "a2a:laptop/reader",
        "a2a:did:key:zNope/reader",
        "mcp:a/b/c",
        "mcp:/b",
        "inference:",
        "filesystem:" + "a" * 256,
    ],
)
def test_what_could_be_misread_is_refused(text: str) -> None:
    with pytest.raises(MalformedCap):
        CapRight.parse(text)


@pytest.mark.parametrize("text", ["0EUR", "-1EUR", "1e3EUR", "NaNEUR", "1.0000001EUR", "1", "1eur"])
def test_no_amount_is_made_of_what_is_none(text: str) -> None:
    with pytest.raises(MalformedCap):
        DailySpend.parse(text)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("filesystem", "filesystem:notes"),
        ("filesystem:n*", "filesystem:notes"),
        ("http_fetch", "http_fetch:example.com"),
        ("http_fetch:example.com", "http_fetch:GET example.com"),
        ("http_fetch:example.com", "http_fetch:example.com/v1"),
        ("http_fetch:example.com/v1", "http_fetch:example.com/v1/prices"),
        ("http_fetch:*.example.com", "http_fetch:api.example.com"),
        ("http_fetch:*.example.com", "http_fetch:*.api.example.com"),
        ("http_fetch:example.com", "http_fetch:https://example.com:443"),
        ("mcp:files", "mcp:files/read"),
        ("mcp:files/*", "mcp:files/read"),
        ("mcp:*", "mcp:files/re*"),
        ("inference:llama*", "inference:llama3:8b"),
        ("a2a", f"a2a:{DID}/reader"),
        (f"a2a:{DID}/read*", f"a2a:{DID}/reader"),
    ],
)
def test_narrower_is_covered_and_wider_is_not(wide: str, narrow: str) -> None:
    assert CapRight.parse(wide).covers(CapRight.parse(narrow))
    other_way = CapRight.parse(narrow).covers(CapRight.parse(wide))
    assert other_way == (narrow == "http_fetch:https://example.com:443")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http_fetch:example.com/v1", "http_fetch:example.com/v10"),
        ("http_fetch:example.com", "http_fetch:http://example.com"),
        ("http_fetch:example.com", "http_fetch:example.com:8443"),
        ("http_fetch:example.com", "http_fetch:api.example.com"),
        ("http_fetch:*.example.com", "http_fetch:example.com"),
        ("http_fetch:*.example.com", "http_fetch:badexample.com"),
        ("http_fetch:GET example.com", "http_fetch:POST example.com"),
        ("filesystem:notes", "filesystem:books"),
        ("filesystem:n*s", "filesystem:*"),
        (f"a2a:{DID}/*", f"a2a:{key_of(2).did}/*"),
        (f"a2a:{DID}/*", "a2a:self/reader"),
        ("mcp:files/read", "mcp:files"),
        ("filesystem", "database"),
    ],
)
def test_what_only_looks_alike_is_not_covered(one: str, other: str) -> None:
    assert not CapRight.parse(one).covers(CapRight.parse(other))


@given(scopes, scopes)
def test_what_both_allow_is_within_each(one: Scope, other: Scope) -> None:
    both = one.meet(other)
    assert one.covers(both)
    assert other.covers(both)
    if one.covers(other):
        assert both.covers(other)


@given(scopes, scopes, scopes)
def test_narrower_than_narrower_is_narrower(one: Scope, other: Scope, third: Scope) -> None:
    within, deeper = one.meet(other), one.meet(other).meet(third)
    assert within.covers(deeper)
    assert one.covers(deeper)


@given(scopes)
def test_nothing_is_within_everything_and_covers_only_itself(scope: Scope) -> None:
    assert scope.covers(NOTHING)
    assert NOTHING.covers(scope) == (scope == NOTHING)


@given(scopes, dids)
def test_fields_are_read_back_and_nothing_relative_travels(scope: Scope, did: object) -> None:
    absolute = scope.as_said_by(str(did))
    assert Scope.from_fields(cbor.loads(cbor.dumps(absolute.to_fields()))) == absolute
    if absolute != scope:
        with pytest.raises(MalformedCap):
            Scope.from_fields(scope.to_fields())


@given(
    st.one_of(
        cbor_values,
        st.fixed_dictionaries(
            {1: st.lists(st.sampled_from(["spend", "mcp", "a2a", 7, "x"]), max_size=4)},
            optional={2: st.lists(st.sampled_from([1, 0, -1, True, "EUR", "e"]), max_size=3)},
        ),
    )
)
def test_any_value_gives_a_scope_or_malformed(value: object) -> None:
    try:
        scope = Scope.from_fields(value)
    except (MalformedCap, MalformedCbor):
        return
    assert scope.to_fields() == value


def test_an_amount_without_the_capability_is_none() -> None:
    with pytest.raises(MalformedCap):
        Scope(frozenset(), DailySpend.parse("1EUR"))
    assert SPEND in Scope.of([], DailySpend.parse("1EUR")).caps


def test_other_money_is_not_narrower() -> None:
    euros, sats = (Scope.of([], DailySpend.parse(text)) for text in ("2EUR", "1SAT"))
    assert not euros.covers(sats)
    assert euros.meet(sats).spend is None


def test_a_scope_has_a_limit() -> None:
    caps = [CapRight("filesystem", f"shelf-{number}") for number in range(CAPS_MAX + 1)]
    assert len(Scope.of(caps[:CAPS_MAX]).caps) == CAPS_MAX
    with pytest.raises(MalformedCap):
        Scope.of(caps)


def test_more_capabilities_than_a_scope_holds_are_malformed() -> None:
    caps = sorted(f"inference:m{n}" for n in range(CAPS_MAX + 1))
    Scope.from_fields({1: caps[:-1]})
    for wrong in (caps, "journal", [1], ["spend", "journal"], ["spend", "spend"]):
        with pytest.raises(MalformedCap):
            Scope.from_fields({1: wrong})


def test_what_either_allows_is_the_larger_amount_and_all_capabilities() -> None:
    journal, web = CapRight("journal"), CapRight("http_fetch")
    one, two = (
        Scope.of([journal], DailySpend.parse("1EUR")),
        Scope.of([web], DailySpend.parse("2EUR")),
    )
    for joined in (one.join(two), two.join(one)):
        assert {journal, web} <= joined.caps
        assert joined.spend == DailySpend.parse("2EUR")
    sats = Scope.of([web], DailySpend.parse("5SAT"))
    assert one.join(sats).spend == DailySpend.parse("1EUR")
    assert Scope.of([journal]).join(sats).spend == DailySpend.parse("5SAT")
    assert one.join(Scope.of([web])).spend == DailySpend.parse("1EUR")
    full = Scope(frozenset(CapRight("inference", f"m{n}") for n in range(CAPS_MAX)))
    assert len(full.join(one).caps) <= CAPS_MAX
    assert SPEND in full.join(one).caps


@pytest.mark.parametrize(
    ("micro", "currency"),
    [
        (0, "EUR"),
        (-1, "EUR"),
        (True, "EUR"),
        (1.0, "EUR"),
        (2**53, "EUR"),
        (1, "eur"),
        (1, "E"),
        (1, "EUROEUROE"),
    ],
)
def test_an_amount_a_day_is_above_nothing_and_has_a_currency(micro: int, currency: str) -> None:
    with pytest.raises(MalformedCap):
        DailySpend(micro, currency)


def test_a_rule_that_was_copied_from_an_agent_is_told_what_is_too_much() -> None:
    with pytest.raises(MalformedCap, match="leave them out here"):
        CapRight.parse("http_fetch:private http://127.0.0.1:8080")
