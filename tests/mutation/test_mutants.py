"""The mutants are in step with the code, and a broken rule is noticed: a few of them each time.

All of them: `python -m tests.mutation`.
"""

import ast
import subprocess
import sys

import pytest

from tests.mutation.mutant import ROOT, Mutant
from tests.mutation.mutants import MUTANTS, SAMPLES, who_should_notice


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_it_breaks_what_is_there_and_is_still_a_program(mutant: Mutant) -> None:
    ast.parse(mutant.source())
    assert all((ROOT / test).exists() for test in who_should_notice(mutant))


def test_each_rule_is_broken_once() -> None:
    names = [(mutant.file, mutant.rule) for mutant in MUTANTS]
    assert len(names) == len(set(names))


def test_the_result_is_written_down() -> None:
    page = (ROOT / "docs" / "explanation" / "testing.md").read_text()
    assert [mutant.rule for mutant in MUTANTS if f"| {mutant.rule} | `" not in page] == []


def test_a_broken_rule_is_noticed() -> None:
    command = [sys.executable, "-m", "tests.mutation", "--samples"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(run.stdout.splitlines()) == len(SAMPLES)
