"""A native program in its jail, as the node holds it: three pipes, and a lifeline.

start() ── launcher ── reports ──▶ running ── stop() / node ends ──▶ nothing of it is left

This is the seed of execution tier 2: whoever wants a program jailed makes a `JailPolicy`.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import trio

from sandbox import jail as _jail
from sandbox.errors import JailMissing, ProgramNotStarted
from sandbox.host.memfile import Memfile
from sandbox.jail.policy import JailPolicy

Level = Literal["full", "no-namespaces"]

LAUNCHER: Final = Path(_jail.__file__).with_name("launch.py")
START_S_MAX: Final = 10.0  # measured 30 ms; a machine that swaps may take its time
STOP_S_MAX: Final = 2.0  # for the launcher to end what it started; then it is killed itself
_STATUS_BYTES_MAX: Final = 8_192
# -I: no environment, no user packages; -S: no site, which takes longer than all the rest.
COMMAND: Final = (sys.executable, "-I", "-S", str(LAUNCHER))


@dataclass(frozen=True, slots=True)
class NativeJail:
    """Whether this host can jail a native program, and on what that rests."""

    level: Level | None
    why: str


def probe(command: Sequence[str] = COMMAND) -> NativeJail:
    """Try it. Blocks for about 30 ms; the answer holds until the next start of the host."""
    if sys.platform != "linux":
        return NativeJail(None, f"no jail on {sys.platform}")
    try:
        done = subprocess.run(
            [*command, "probe"],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_S_MAX,
            check=True,
            text=True,
        )
    except (OSError, subprocess.SubprocessError) as failure:
        return NativeJail(None, f"the launcher does not start: {failure}"[:300])
    said = done.stdout.strip()
    if said == "full":
        return NativeJail("full", "namespaces, landlock, seccomp, resource limits")
    if said == "no-namespaces":
        return NativeJail("no-namespaces", "landlock, seccomp, resource limits; no namespaces here")
    return NativeJail(None, said or "the launcher said nothing")


class Program:
    """A program that runs in its jail. Its pipes are `stdin`, `stdout` and `stderr`."""

    def __init__(self, process: "subprocess.Popen[bytes]", lifeline: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdin = trio.lowlevel.FdStream(os.dup(process.stdin.fileno()))
        self.stdout = trio.lowlevel.FdStream(os.dup(process.stdout.fileno()))
        self.stderr = trio.lowlevel.FdStream(os.dup(process.stderr.fileno()))
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
        self.pid = process.pid  # of the launcher
        self._process = process
        self._lifeline = lifeline
        self._pidfd = os.pidfd_open(process.pid)

    async def wait(self) -> int:
        """Its exit code, 128 and more for a signal. Nothing of it is left then."""
        if self._process.returncode is None:
            await trio.lowlevel.wait_readable(self._pidfd)
            self._process.wait()
        code = self._process.returncode
        return code if code >= 0 else 128 - code

    async def stop(self) -> None:
        """End it and all it started, now; returns when that is so."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        with trio.CancelScope(shield=True):
            with trio.move_on_after(STOP_S_MAX):
                await self.wait()
            if self._process.returncode is None:
                self._process.kill()
                await self.wait()
            for pipe in (self.stdin, self.stdout, self.stderr):
                with contextlib.suppress(trio.ClosedResourceError):
                    await pipe.aclose()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


@contextlib.asynccontextmanager
async def running(
    policy: JailPolicy, level: Level, *, command: Sequence[str] = COMMAND
) -> AsyncIterator[Program]:
    """Start the program of `policy`; at the end of the block nothing of it is left.

    Args:
        policy: what it may be and touch.
        level: as `probe` found it.
        command: the launcher.

    Raises:
        ProgramNotStarted: the launcher, or the kernel, would not have it.
    """
    program, status = _execute(policy, level, command)
    try:
        try:
            why = await _read_status(status)
        finally:
            os.close(status)
        if why is not None:
            raise ProgramNotStarted(policy.argv[0], why=why)
        yield program
    finally:
        await program.stop()


def require(found: NativeJail) -> Level:
    """The level of a host that can jail programs.

    Raises:
        JailMissing: it cannot, so no program is started.
    """
    if found.level is None:
        raise JailMissing(why=found.why)
    return found.level


def _execute(policy: JailPolicy, level: Level, command: Sequence[str]) -> tuple[Program, int]:
    with Memfile(policy.to_json()) as told, contextlib.ExitStack() as ours:
        life_theirs, life_ours = os.pipe()
        status_ours, status_theirs = os.pipe()
        for descriptor in (life_theirs, status_theirs):
            ours.callback(os.close, descriptor)
        words = [level, str(told.descriptor), str(life_theirs), str(status_theirs)]
        try:
            process = subprocess.Popen(
                [*command, *words],
                env={},
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(told.descriptor, life_theirs, status_theirs, *policy.channels),
            )
        except OSError as refused:
            os.close(life_ours)
            os.close(status_ours)
            raise ProgramNotStarted(policy.argv[0], why=str(refused)) from refused
        return Program(process, life_ours), status_ours


async def _read_status(descriptor: int) -> str | None:
    """Why it was not started; None once it runs (then the pipe has no writer any more)."""
    said = b""
    with trio.move_on_after(START_S_MAX):
        while len(said) < _STATUS_BYTES_MAX:
            await trio.lowlevel.wait_readable(descriptor)
            piece = os.read(descriptor, _STATUS_BYTES_MAX)
            if not piece:
                text = said.decode(errors="replace").removeprefix("failed ")
                return text[:300] or None
            said += piece
    return f"the launcher did not finish within {START_S_MAX:g} s"
