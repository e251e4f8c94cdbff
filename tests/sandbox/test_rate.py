"""A rate is a count and a unit, and holds at every call."""

import pytest

from sandbox.capability import Capability
from sandbox.errors import MalformedRate
from sandbox.rate import Rate, budgets


@pytest.mark.parametrize("text", ["1/s", "60/min", "999999999/h", "5/d"])
def test_a_rate_is_read_as_it_is_printed(text: str) -> None:
    assert str(Rate.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "0/s", "-1/s", "1", "1/", "/s", "1/m", "1/sec", "1 /s", "01/s", "1.5/s", "1/s\n", "١/s"],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(MalformedRate):
        Rate.parse(text)


def test_more_than_the_count_waits_until_the_unit_gives_more() -> None:
    rate = Rate.parse("2/min")
    held = budgets({Capability.MCP: rate}, now_s=0.0)
    assert set(held) == {Capability.MCP}
    budget = held[Capability.MCP]
    assert [budget.take(0.0) for _ in range(3)] == [True, True, False]
    assert not budget.take(29.9)
    assert budget.take(30.0)
    assert not budget.take(59.9)


def test_a_quiet_day_saves_nothing_up() -> None:
    budget = budgets({Capability.MCP: Rate.parse("2/s")}, now_s=0.0)[Capability.MCP]
    assert [budget.take(86_400.0) for _ in range(3)] == [True, True, False]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    budget = budgets({Capability.MCP: Rate.parse("1/s")}, now_s=100.0)[Capability.MCP]
    assert budget.take(100.0)
    assert not budget.take(0.0)
    assert not budget.take(100.0)


def test_a_clock_that_goes_back_takes_nothing_either() -> None:
    budget = budgets({Capability.MCP: Rate.parse("1/s")}, now_s=100.0)[Capability.MCP]
    assert budget.take(0.0)
