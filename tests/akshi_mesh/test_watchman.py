"""A process that is told to end ends, also where its loop hangs in a call that never returns."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# Not the tests' own process: the signals are blocked for good.
_PROGRAM = """
import select, sys, time
import trio
from akshi_mesh.watchman import Watchman

watchman = Watchman(grace_s=0.3)
print("starts", flush=True)

async def main():
    with trio.CancelScope() as scope:
        def stop(name):
            print("told", name, flush=True)
            if {ends!r}:
                scope.cancel()
        with watchman.watching(stop):
            print("runs", flush=True)
            {then}
            await trio.sleep_forever()

{first}
trio.run(main)
print("ended", flush=True)
{last}
"""


@contextmanager
def program(
    then: str = "pass", *, first: str = "", last: str = "", ends: bool = True, line: str = "runs"
) -> Iterator["subprocess.Popen[str]"]:
    text = _PROGRAM.format(then=then, first=first, last=last, ends=ends)
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        while process.stdout.readline().strip() != line:
            assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def end_of(
    process: "subprocess.Popen[str]", number: int = signal.SIGTERM
) -> tuple[int, float, str]:
    """Its exit code, how long it took, and what it said after the signal."""
    assert process.stdout is not None
    began = time.monotonic()
    process.send_signal(number)
    code = process.wait(5)
    return code, time.monotonic() - began, process.stdout.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_loop_that_runs_is_asked(number: int) -> None:
    with program() as process:
        code, took_s, said = end_of(process, number)
    assert (code, said) == (0, f"told {signal.Signals(number).name}\nended\n")
    assert took_s < 0.3


@pytest.mark.parametrize(
    "call",
    [
        "time.sleep(60)",
        # Interrupted by nothing that Python does: its loop is in C, and it holds no lock.
        "select.select([], [], [], 60)",
        "exec('while True: pass')",
    ],
)
def test_a_loop_that_hangs_is_killed(call: str) -> None:
    with program(call) as process:
        code, took_s, said = end_of(process)
    assert (code, said) == (-signal.SIGKILL, "")
    assert 0.3 <= took_s < 1.5


def test_a_loop_that_does_not_end_is_killed() -> None:
    with program(ends=False) as process:
        code, _, said = end_of(process)
    assert (code, said) == (-signal.SIGKILL, "told SIGTERM\n")


def test_what_comes_after_the_loop_cannot_hang_either() -> None:
    with program("scope.cancel()", last="time.sleep(60)", line="ended") as process:
        assert process.wait(3) == -signal.SIGKILL


def test_armed_by_the_loop_itself_it_needs_no_signal() -> None:
    with program("watchman.arm(); watchman.arm(); time.sleep(60)") as process:
        assert process.wait(3) == -signal.SIGKILL


def test_before_there_is_a_loop_a_signal_ends_it_at_once() -> None:
    with program(first="time.sleep(60)", line="starts") as process:
        code, took_s, _ = end_of(process)
    assert code == -signal.SIGTERM
    assert took_s < 0.3


def test_a_name_that_is_looked_up_for_ever_holds_nobody() -> None:
    """The resolver's thread is left alone; neither the loop nor the interpreter waits for it."""
    text = "from sandbox.net import names; names._getaddrinfo = lambda host: time.sleep(60)"
    with program("await names.Resolver()('slow.example')", first=text) as process:
        code, took_s, said = end_of(process)
    assert (code, said) == (0, "told SIGTERM\nended\n")
    assert took_s < 0.3
