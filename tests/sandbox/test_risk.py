"""Risk is judged field by field: what nobody has judged is high, and every number is explained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import MalformedRiskTable
from sandbox.risk import (
    FIELD_CHARS_MAX,
    FIELDS_MAX,
    LINES_MAX,
    SCORE_MAX,
    Judged,
    Risk,
    RiskTable,
    Tier,
    legible,
    recomputed,
)
from sandbox.risk_defaults import DEFAULTS

TABLE = RiskTable.read(
    {
        "web": {
            "url": "low",
            "*": "medium",
            "method": {"GET": "low", "POST": {"tier": "high", "weight": 70}},
            "free": {"tier": "low", "weight": 0},
        }
    }
)
names = st.text(max_size=120) | st.sampled_from(["web.url", "web.x", "web.method.POST", "web"])


def test_an_exact_line_beats_the_one_that_covers_more() -> None:
    assert TABLE.judge("web.url") == Judged("web.url", Tier.LOW, 1)
    assert TABLE.judge("web.other") == Judged("web.other", Tier.MEDIUM, 10)
    assert TABLE.judge("web.other.below") == Judged("web.other.below", Tier.MEDIUM, 10)
    assert TABLE.judge("web.method.POST") == Judged("web.method.POST", Tier.HIGH, 70)


def test_the_longest_covering_line_wins() -> None:
    table = RiskTable.read({"a": {"*": "low", "b": {"*": "high"}}})
    assert table.judge("a.x").tier is Tier.LOW
    assert table.judge("a.b.x").tier is Tier.HIGH
    assert table.judge("a.b").tier is Tier.LOW


@pytest.mark.parametrize(
    "field", ["", "other", "WEB.url", "web", "webs.url", ".web.url", "web url"]
)
def test_what_no_line_covers_is_high(field: str) -> None:
    assert TABLE.judge(field) == Judged(field, Tier.HIGH, 40)


def test_the_tier_is_that_of_the_worst_field_and_the_score_their_sum() -> None:
    risk = TABLE.assess(["web.url", "web.method.POST", "web.other"])
    assert (risk.tier, risk.score) == (Tier.HIGH, 81)
    assert TABLE.assess(["web.url", "web.other"]).tier is Tier.MEDIUM
    assert TABLE.assess(["web.url", "web.url"]).score == 1
    assert TABLE.assess(["web.free"]) == Risk(Tier.LOW, 0, (TABLE.judge("web.free"),))
    assert TABLE.assess([]) == Risk(Tier.LOW, 0, ())


def test_the_score_ends_at_a_hundred() -> None:
    risk = TABLE.assess([f"unknown.{n}" for n in range(5)])
    assert (risk.tier, risk.score) == (Tier.HIGH, SCORE_MAX)


def test_too_many_fields_are_high_and_the_worst_are_kept() -> None:
    most = [f"web.{n}" for n in range(FIELDS_MAX)]
    assert TABLE.assess(most).tier is Tier.MEDIUM
    assert len(TABLE.assess(most).fields) == FIELDS_MAX
    risk = DEFAULTS.assess(["http_fetch.url", *(f"http_fetch.headers.x{n}" for n in range(99))])
    assert risk.tier is Tier.HIGH
    assert len(risk.fields) == FIELDS_MAX
    assert risk.fields[-1].field == "http_fetch.too-many-fields"
    assert "http_fetch.url" not in {judged.field for judged in risk.fields}


def test_a_name_that_is_odd_or_long_is_shown_harmlessly_and_stays_unknown() -> None:
    assert legible("web.\x1b[31m\u202e") == "web.~~31m~"
    assert len(legible("a" * 500)) == FIELD_CHARS_MAX
    table = RiskTable.read({"a" * FIELD_CHARS_MAX: "low"})
    assert table.assess(["a" * FIELD_CHARS_MAX]).tier is Tier.LOW
    assert table.assess(["a" * (FIELD_CHARS_MAX + 1)]).tier is Tier.HIGH


@given(st.lists(names, max_size=60))
def test_both_numbers_can_be_computed_again_from_what_is_recorded(fields: list[str]) -> None:
    risk = TABLE.assess(fields)
    assert recomputed(risk.facts()) == risk
    assert recomputed((*risk.facts(), ("price", "1.00EUR"))) == risk
    assert len({name for name, _ in risk.facts()}) == len(risk.facts())
    assert all(len(judged.field) <= FIELD_CHARS_MAX for judged in risk.fields)


@pytest.mark.parametrize("value", ["", "low", "low -1", "low x", "none 1", "low 1 2"])
def test_a_fact_that_is_no_tier_and_weight_is_malformed(value: str) -> None:
    with pytest.raises(MalformedRiskTable):
        recomputed([("risk.web.url", value)])


def test_a_guest_that_invents_names_fills_no_memory() -> None:
    table = RiskTable.read({"web": {"url": "low"}})
    for n in range(LINES_MAX + 100):
        table.judge(f"web.{n}")
    assert len(table._known) == LINES_MAX
    assert table.judge("web.new").tier is Tier.HIGH
    assert table.judge("web.url").tier is Tier.LOW


def test_a_table_is_laid_over_another_line_by_line() -> None:
    over = RiskTable.read({"web": {"url": "high"}}, over=TABLE)
    assert over.judge("web.url").tier is Tier.HIGH
    assert over.judge("web.method.GET").tier is Tier.LOW
    assert TABLE.judge("web.url").tier is Tier.LOW
    assert ("web.url", Tier.HIGH, 40) in over.items()
    assert [key for key, _, _ in over.items()] == sorted(key for key, _, _ in over.items())


@pytest.mark.parametrize(
    "values",
    [
        {"web": "none"},
        {"web": "LOW"},
        {"web": 1},
        {"web": ["low"]},
        {"web": {"tier": "low", "wieght": 1}},
        {"web": {"tier": "low", "weight": -1}},
        {"web": {"tier": "low", "weight": 101}},
        {"web": {"tier": "low", "weight": True}},
        {"web": {"tier": "low", "weight": 1.0}},
        {"web": {"tier": 1}},
        {"*": "low"},
        {"": "low"},
        {"web": {"a*": "low"}},
        {"web": {"**": "low"}},
        {"web": {"*": {"url": "low"}}},
        {"web.": "low"},
        {"we b": "low"},
        {"w" * (FIELD_CHARS_MAX + 1): "low"},
        {f"web{n}": "low" for n in range(LINES_MAX + 1)},
    ],
    ids=lambda values: repr(values)[:40],
)
def test_a_table_that_means_nothing_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(MalformedRiskTable):
        RiskTable.read(values)


@pytest.mark.parametrize(
    ("field", "tier"),
    [
        ("journal.read", Tier.LOW),
        ("inference.local", Tier.LOW),
        ("filesystem.read-file", Tier.LOW),
        ("inference.remote", Tier.MEDIUM),
        ("http_fetch.url", Tier.MEDIUM),
        ("a2a.send", Tier.MEDIUM),
        ("mcp.tool.files/read", Tier.MEDIUM),
        ("spend.charge", Tier.HIGH),
        ("http_fetch.payment", Tier.HIGH),
        ("http_fetch.method.DELETE", Tier.HIGH),
        ("http_fetch.headers.x-anything", Tier.HIGH),
        ("mcp.arguments.command", Tier.HIGH),
        ("mcp.arguments.to", Tier.HIGH),
    ],
)
def test_the_shipped_tiers_are_those_of_the_security_model(field: str, tier: Tier) -> None:
    assert DEFAULTS.judge(field).tier is tier
