"""Budgets are read whole or refused with their line; a budget that is not there allows nothing."""

import pytest

from sandbox.endpoint import Url
from sandbox.spend import Money, SpendPolicy
from tests.akshi_mesh.config.test_read import AGENT, read, wrong

GRANTED = AGENT + "[agents.capabilities]\nspend = true\n[agents.spend]\n"


def policy(text: str) -> SpendPolicy | None:
    return read(GRANTED + text).agents[0].spend


def test_a_budget_in_our_words() -> None:
    assert policy(
        'daily = "2.00EUR"\nper_action = "0.50EUR"\nrails = ["ledger"]\nsimulation_mode = true\n'
    ) == SpendPolicy(Money.parse("2EUR"), Money.parse("0.5EUR"), ("ledger",), simulation=True)
    assert policy('daily = "2.00EUR"\n') == SpendPolicy(Money.parse("2EUR"))


def test_a_budget_in_the_books_words() -> None:
    """agents configuration, "[agents.spend]"; economics, "SpendPolicy"."""
    assert policy("daily_budget_usd = 5.0\nper_inference_max_usd = 0.1\n") == SpendPolicy(
        Money.parse("5USD"), Money.parse("0.10USD")
    )
    assert policy('budget_cap = "5USD"\nper_action_limit = "1USD"\nallowed_rails = []\n') == (
        SpendPolicy(Money.parse("5USD"), Money.parse("1USD"))
    )
    assert policy("daily_budget_usd = 5\n") == SpendPolicy(Money.parse("5USD"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "needs 'daily'"),
        ('per_action = "1EUR"\n', "needs 'daily'"),
        ('daily = "-1EUR"\n', "want an amount such as"),
        ('daily = "1e3EUR"\n', "want an amount such as"),
        ("daily = 5\n", "wants text"),
        ("daily_budget_usd = nan\n", "want a number with at most six decimals"),
        ("daily_budget_usd = inf\n", "want a number with at most six decimals"),
        ("daily_budget_usd = -1.0\n", "want an amount"),
        ("daily_budget_usd = 0.0000001\n", "want a number with at most six decimals"),
        ("daily_budget_usd = 1e300\n", "want an amount"),
        ('daily_budget_usd = "5"\n', "wants a number"),
        ('daily = "1EUR"\nper_action = "1USD"\n', "want it in EUR"),
        ('daily = "1EUR"\nbudget_cap = "1EUR"\n', "are the same"),
        ('daily = "1EUR"\nrails = ["Not A Rail"]\n', "no name of a rail"),
        ('daily = "1EUR"\nrails = ["card"]\n', "no rail 'card'; write [[spend.rails]]"),
        ('daily = "1EUR"\nsimulation = true\n', "unknown key 'simulation'"),
        ('daily = "1EUR"\nsimulation_mode = "yes"\n', "wants true or false"),
    ],
)
def test_a_budget_that_is_wrong_is_refused(text: str, told: str) -> None:
    assert any(told in line for line in wrong(GRANTED + text)), wrong(GRANTED + text)


def test_spend_without_a_budget_is_said() -> None:
    config = read(AGENT + "[agents.capabilities]\nspend = true\n")
    assert config.agents[0].spend is None
    assert any("without [agents.spend]" in str(note) for note in config.notes)


def test_the_node_has_a_cap_and_rails() -> None:
    config = read(
        '[spend]\ndaily = "10EUR"\n[[spend.rails]]\nname = "card"\nkind = "webhook"\n'
        'url = "http://127.0.0.1:9000/pay"\ntimeout_secs = 5\n'
        + GRANTED
        + 'daily = "1EUR"\nrails = ["card", "ledger", "card"]\n'
    )
    assert config.spend.daily == Money.parse("10EUR")
    (rail,) = config.spend.rails
    assert (rail.name, rail.url, rail.timeout_s) == (
        "card",
        Url.parse("http://127.0.0.1:9000/pay"),
        5.0,
    )
    assert config.agents[0].spend == SpendPolicy(Money.parse("1EUR"), rails=("card", "ledger"))
    assert read("").spend.daily is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('daily = "ten"\n', "want an amount"),
        ('[[spend.rails]]\nurl = "https://pay.example/"\n', "needs a 'name'"),
        ('[[spend.rails]]\nname = "card"\n', "needs a 'url'"),
        ('[[spend.rails]]\nname = "card"\nurl = "ftp://a"\n', "needs a 'url'"),
        ('[[spend.rails]]\nname = "ledger"\nurl = "https://a.example/"\n', "is there already"),
        ('[[spend.rails]]\nname = "inference"\nurl = "https://a.example/"\n', "already"),
        ('[[spend.rails]]\nname = "a"\nurl = "https://a.example/"\ntimeout_secs = 0\n', "1 to 120"),
        ('[[spend.rails]]\nname = "a"\nurl = "https://a.example/"\nkind = "cash"\n', "webhook"),
        ('[[spend.rails]]\nname = "a"\nurl = "https://a.example/"\nkey = "s3cret"\n', "unknown"),
        (
            "".join(
                f'[[spend.rails]]\nname = "r{n}"\nurl = "https://a.example/"\n' for n in range(17)
            ),
            "more than 16",
        ),
    ],
)
def test_a_node_section_that_is_wrong_is_refused(text: str, told: str) -> None:
    assert any(told in line for line in wrong("[spend]\n" + text)), wrong("[spend]\n" + text)
