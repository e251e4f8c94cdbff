"""The mutants are in step with the code, and a broken rule is noticed: a few of them each time.

All of them: `python -m tests.mutation`.
"""

import ast

import pytest

from tests.mutation.__main__ import noticed
from tests.mutation.mutant import ROOT, Mutant
from tests.mutation.mutants import MUTANTS, who_should_notice

SAMPLES = (
    "no capability, no call",
    "it is decided again after a person's yes",
    "the agent has a cap a day",
    "a yes counts once",
    "a secret goes to its endpoint",
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_it_breaks_what_is_there_and_is_still_a_program(mutant: Mutant) -> None:
    ast.parse(mutant.source())
    assert all((ROOT / test).exists() for test in who_should_notice(mutant))


def test_each_rule_is_broken_once() -> None:
    names = [(mutant.file, mutant.rule) for mutant in MUTANTS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("rule", SAMPLES)
def test_a_broken_rule_is_noticed(rule: str) -> None:
    (number,) = [n for n, mutant in enumerate(MUTANTS) if mutant.rule == rule]
    assert noticed(number)
