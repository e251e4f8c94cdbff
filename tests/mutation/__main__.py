"""Break each rule of the gate once; say which test noticed. Exit 1 if none did."""

import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import hypothesis.stateful
import pytest
import trio.testing

from tests.mutation.mutant import ROOT, Breaker, Mutant
from tests.mutation.mutants import MUTANTS, SAMPLES, who_should_notice

CHILDREN = 2
TIMEOUT_S = 180  # a broken rule may also make a test run for ever
OPTIONS = ("-x", "-q", "--no-header", "--tb=no", "-p", "no:randomly", "-p", "no:cacheprovider")
LATE = ("-W", "ignore:Module already imported")  # hypothesis: its asserts are not ours to read
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?)(?:\[.*| - .*)?$", re.MULTILINE)
# What every run needs is loaded once, here; a child is a fork of it. Nothing of ours is among it.
_LOADED = (hypothesis.stateful, trio.testing)


def _test(number: int, output: Path) -> int:
    """Begin a child that tests with the rule broken; its process id."""
    child = os.fork()
    if child:
        return child
    # From here on this is the child, and ends as one whatever happens.
    code = 70
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, 1)
        os.dup2(file, 2)
        signal.alarm(TIMEOUT_S)
        os.chdir(ROOT)
        sys.meta_path.insert(0, Breaker(MUTANTS[number]))
        tests = who_should_notice(MUTANTS[number])
        code = pytest.main([*OPTIONS, *LATE, "--hypothesis-seed=0", *tests])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _said(number: int, status: int, output: str) -> str | None:
    """The first test that failed while the rule was broken; None if all were content."""
    if os.WIFSIGNALED(status):
        return f"it did not end (signal {os.WTERMSIG(status)})"
    code = os.WEXITSTATUS(status)
    if code == 0:
        return None
    found = _FAILED.search(output)
    if code not in {1, 2} or found is None:
        raise RuntimeError(f"{MUTANTS[number].rule}: not broken, but damaged:\n{output}")
    return found[1]


def noticed(numbers: Sequence[int]) -> Iterator[tuple[int, str | None]]:
    """Each mutant with the test that noticed it, as they end."""
    waiting, running = list(reversed(numbers)), {}
    with tempfile.TemporaryDirectory() as folder:
        while waiting or running:
            while waiting and len(running) < CHILDREN:
                number = waiting.pop()
                output = Path(folder) / str(number)
                running[_test(number, output)] = (number, output)
            child, status = os.waitpid(-1, 0)
            number, output = running.pop(child)
            yield number, _said(number, status, output.read_text())


def _has(mutant: Mutant, words: list[str]) -> bool:
    return all(word.lower() in f"{mutant.file} {mutant.rule}".lower() for word in words)


def main(words: list[str]) -> int:
    """0 if every rule has a test that noticed."""
    chosen = [
        number
        for number, mutant in enumerate(MUTANTS)
        if (mutant.rule in SAMPLES if words == ["--samples"] else _has(mutant, words))
    ]
    survivors = 0
    for number, test in noticed(chosen):
        mutant = MUTANTS[number]
        survivors += test is None
        where = "NOBODY" if test is None else test.removeprefix("tests/")
        print(f"| {mutant.file} | {mutant.rule} | `{where}` |", flush=True)
    print(f"{len(chosen)} rules broken, {survivors} times nobody noticed", file=sys.stderr)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
