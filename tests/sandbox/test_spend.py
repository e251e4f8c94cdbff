"""Money, caps, and the rule that says no: total, and closed wherever nothing is configured."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import MalformedMoney, MalformedSpendPolicy
from sandbox.fault import FaultCode
from sandbox.spend import (
    BUDGET_EXCEEDED,
    INFERENCE,
    KILL_SWITCH,
    LEDGER,
    MICRO_MAX,
    NO_BUDGET,
    PER_ACTION,
    RAIL_NOT_ALLOWED,
    REASONS,
    Account,
    Allowance,
    Cost,
    Money,
    SpendPolicy,
    refusal,
)

currencies = st.sampled_from(["EUR", "USD", "USDC"])
micros = st.integers(0, MICRO_MAX) | st.sampled_from([0, 1, 10**6, MICRO_MAX])
moneys = st.builds(Money, micros, currencies)
rails = st.sampled_from([LEDGER, INFERENCE, "card", ""])
costs = st.builds(Cost, moneys, rails, st.just("shop"))
policies = st.builds(
    lambda daily, per, names, simulation: SpendPolicy(
        daily, None if per is None else Money(per, daily.currency), tuple(names), simulation
    ),
    moneys,
    st.none() | micros,
    st.lists(st.sampled_from([LEDGER, "card"]), max_size=2),
    st.booleans(),
)
amounts = st.lists(moneys, max_size=3).map(tuple)
accounts = st.builds(
    Account,
    amounts,
    amounts,
    st.none() | moneys,
    st.lists(
        st.builds(Allowance, st.just("did:key:z6"), st.none() | moneys, amounts), max_size=2
    ).map(tuple),
)

EURO = Money.parse("1.00EUR")
POLICY = SpendPolicy(Money.parse("2.00EUR"), EURO, (LEDGER,))
COST = Cost(EURO, LEDGER, "shop")


def why(
    policy: SpendPolicy | None = POLICY, account: Account | None = None, **changed: object
) -> str:
    cost = replace(COST, **changed)  # type: ignore[arg-type]
    refused = refusal(policy, account or Account(), cost, killed=False)
    return "" if refused is None else refused[1].partition(":")[0]


@given(moneys)
def test_an_amount_is_read_as_it_is_printed(money: Money) -> None:
    assert Money.parse(str(money)) == money


@given(st.text(max_size=30) | st.from_regex(r"[-+0-9.eE_NainfEURUSD ]{1,12}"))
def test_any_text_gives_an_amount_or_malformed_money(text: str) -> None:
    try:
        money = Money.parse(text)
    except MalformedMoney:
        return
    assert Money.parse(str(money)) == money
    assert 0 <= money.micro <= MICRO_MAX


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "EUR", "-1EUR", "+1EUR", "1e3EUR", "NaNEUR", "infEUR", "0.0000001EUR"),
        *("1.EUR", ".5EUR", "1,00EUR", "1_000EUR", "1 EUR", " 1EUR", "1EUR\n", "1eur", "1EU"),
        *("\u0663EUR", "1.0\u20ac", "9007199254.740992EUR", "99999999999999999EUR", "0x10EUR"),
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(MalformedMoney):
        Money.parse(text)


@pytest.mark.parametrize("micro", [True, 1.0, -1, MICRO_MAX + 1, "1", None])
def test_micro_units_are_whole_numbers_in_range(micro: object) -> None:
    with pytest.raises(MalformedMoney):
        Money(micro, "EUR")  # type: ignore[arg-type]


def test_the_largest_amount_and_the_smallest() -> None:
    assert Money.parse("9007199254.740991EUR").micro == MICRO_MAX
    assert Money.parse("0.000001EUR").micro == 1


def test_a_policy_has_one_currency_and_named_rails() -> None:
    with pytest.raises(MalformedSpendPolicy):
        SpendPolicy(EURO, Money.parse("1USD"))
    with pytest.raises(MalformedSpendPolicy):
        SpendPolicy(EURO, rails=("Not A Rail",))
    with pytest.raises(MalformedSpendPolicy):
        SpendPolicy(EURO, rails=("a",) * 17)


def test_each_reason_has_its_cause() -> None:
    assert why() == ""
    assert refusal(POLICY, Account(), COST, killed=True) == (
        FaultCode.NOT_ALLOWED,
        f"{KILL_SWITCH}: all paid actions are halted",
    )
    assert why(policy=None) == NO_BUDGET
    assert why(rail="card") == RAIL_NOT_ALLOWED
    assert why(policy=replace(POLICY, rails=())) == RAIL_NOT_ALLOWED
    assert why(money=Money.parse("1USD")) == NO_BUDGET
    assert why(money=Money(EURO.micro + 1, "EUR")) == PER_ACTION
    assert why(account=Account(agent=(EURO,))) == ""
    assert why(account=Account(agent=(Money(EURO.micro + 1, "EUR"),))) == BUDGET_EXCEEDED
    assert why(account=Account(agent=(Money.parse("9USD"),))) == ""


def test_inference_needs_a_budget_and_no_rail() -> None:
    assert why(policy=replace(POLICY, rails=()), rail=INFERENCE) == ""
    assert why(policy=None, rail=INFERENCE) == NO_BUDGET


def test_the_node_has_a_cap_of_its_own() -> None:
    cap = Money.parse("1.50EUR")
    assert why(account=Account(node_cap=cap)) == ""
    assert why(account=Account(node=(EURO,), node_cap=cap)) == BUDGET_EXCEEDED
    assert why(account=Account(node=(EURO,))) == ""
    assert why(account=Account(node_cap=Money.parse("9USD"))) == NO_BUDGET


def test_whose_work_it_is_bounds_it_too() -> None:
    """A grant without money allows none, and every one on the way must cover."""
    rich = Allowance("did:key:zRich", Money.parse("9EUR"))
    poor = Allowance("did:key:zPoor", Money.parse("0.99EUR"))
    assert why(account=Account(others=(rich,))) == ""
    assert why(account=Account(others=(rich, poor))) == BUDGET_EXCEEDED
    assert why(account=Account(others=(rich, replace(rich, cap=None)))) == NO_BUDGET
    assert why(account=Account(others=(replace(rich, cap=Money.parse("9USD")),))) == NO_BUDGET
    assert why(account=Account(others=(replace(rich, spent=(Money.parse("8.5EUR"),)),))) == (
        BUDGET_EXCEEDED
    )


@given(st.none() | policies, accounts, costs, st.booleans())
def test_the_rule_is_total_and_never_lets_a_cap_be_passed(
    policy: SpendPolicy | None, account: Account, cost: Cost, killed: bool
) -> None:
    refused = refusal(policy, account, cost, killed)
    if refused is not None:
        assert refused[1].partition(":")[0] in REASONS
        return
    assert not killed
    assert policy is not None
    spent = [a.micro for a in account.agent if a.currency == cost.money.currency]
    assert sum(spent) + cost.money.micro <= policy.daily.micro
    assert policy.daily.currency == cost.money.currency
    assert cost.rail == INFERENCE or cost.rail in policy.rails
    assert all(one.cap is not None and cost.money <= one.cap for one in account.others)
