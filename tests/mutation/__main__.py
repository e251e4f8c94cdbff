"""Break each rule of the gate once; say which test noticed. Exit 1 if none did."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.mutation.mutant import ROOT
from tests.mutation.mutants import MUTANTS, who_should_notice

WORKERS = 2
TIMEOUT_S = 120  # a broken rule may also make a test run for ever
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?)(?:\[.*| - .*)?$", re.MULTILINE)


def noticed(number: int) -> str | None:
    """The first test that fails while the rule is broken; None if all are content."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no"]
    command += [
        "-p",
        "tests.mutation.plugin",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "--hypothesis-seed=0",
    ]
    try:
        run = subprocess.run(
            [*command, *who_should_notice(MUTANTS[number])],
            cwd=ROOT,
            env={**os.environ, "AKSHI_MUTANT": str(number)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "it did not end"
    if run.returncode == 0:
        return None
    found = _FAILED.search(run.stdout)
    if run.returncode != 1 or found is None:
        sys.exit(f"{MUTANTS[number].rule}: not broken, but damaged:\n{run.stdout}{run.stderr}")
    return found[1]


def main(words: list[str]) -> int:
    """0 if every rule has a test that noticed."""
    chosen = [
        number
        for number, mutant in enumerate(MUTANTS)
        if all(word.lower() in f"{mutant.file} {mutant.rule}".lower() for word in words)
    ]
    survivors = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for number, test in zip(chosen, pool.map(noticed, chosen), strict=True):
            mutant = MUTANTS[number]
            survivors += test is None
            where = "NOBODY" if test is None else test.removeprefix("tests/")
            print(f"| {mutant.file} | {mutant.rule} | {where} |", flush=True)
    print(f"{len(chosen)} rules broken, {survivors} times nobody noticed", file=sys.stderr)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
