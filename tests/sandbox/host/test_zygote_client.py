"""The node and its zygote: what it inherits, and what happens when one of them goes."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from sandbox.errors import JailMissing, ZygoteLost
from sandbox.host.errors import SpawnFailed
from sandbox.host.memfile import Memfile
from sandbox.host.zygote import Exit, Zygote
from sandbox.hostcall import Limits
from sandbox.worker.guest import Runtime
from tests.sandbox.worker import components

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only")

LIMITS = Limits(fuel=1)


@pytest.fixture(scope="module")
def code() -> bytes:
    return Runtime().compile(components.component(components.SPIN))


def entry(program: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", program)


REAL = "import sys; from sandbox.worker import zygote; sys.exit(zygote.main())"


async def test_the_zygote_inherits_neither_environment_nor_files(
    monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery, tmp_path: Path
) -> None:
    """LC_CTYPE is what Python sets by itself in an empty environment."""
    monkeypatch.setenv("SECRET", "an API token")
    check = (
        "import os;"
        "assert not set(os.environ) - {'LC_CTYPE'}, os.environ;"
        "assert os.getcwd() == '/';"
        "found = sorted(map(int, os.listdir('/proc/self/fd')));"
        "assert found == [0, 1, 2, 3], found;"
    )
    inheritable = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(inheritable, True)
    try:
        await nursery.start(Zygote(command=entry(check + REAL)).run)
    finally:
        os.close(inheritable)
    nursery.cancel_scope.cancel()


async def test_a_zygote_with_two_threads_does_not_fork(nursery: trio.Nursery, code: bytes) -> None:
    """A fork copies one thread and the locks of all."""
    two = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start();"
    zygote = Zygote(command=entry(two + REAL))
    await nursery.start(zygote.run)
    with Memfile(code) as module, pytest.raises(ZygoteLost):
        await zygote.spawn(module, LIMITS)
    nursery.cancel_scope.cancel()


async def test_an_installation_without_a_zygote_is_an_error_at_start() -> None:
    with pytest.raises(ExceptionGroup) as failure:
        async with trio.open_nursery() as nursery:
            await nursery.start(Zygote(command=entry("raise SystemExit(3)")).run)
    assert failure.group_contains(ZygoteLost)


async def test_without_the_jail_no_agent_starts_unless_it_was_allowed(
    nursery: trio.Nursery, code: bytes
) -> None:
    without = "from sandbox.worker import jail; jail.find = lambda: None;"
    with pytest.raises(ExceptionGroup) as failure:
        async with trio.open_nursery() as inner:
            await inner.start(Zygote(command=entry(without + REAL)).run)
    assert failure.group_contains(JailMissing)
    allowed = Zygote(command=entry(without + REAL), jail_required=False)
    await nursery.start(allowed.run)
    with Memfile(code) as module:
        async with await allowed.spawn(module, LIMITS) as worker:
            assert not worker.jailed
            limits = Path(f"/proc/{worker.pid}/limits").read_text()
            assert "Max processes             0 " in limits
    nursery.cancel_scope.cancel()


async def test_a_cancelled_spawn_leaves_no_worker(nursery: trio.Nursery, code: bytes) -> None:
    zygote = Zygote()
    await nursery.start(zygote.run)
    with Memfile(code) as module:
        for _ in range(5):
            async with trio.open_nursery() as inner:
                inner.start_soon(zygote.spawn, module, LIMITS)
                await trio.testing.wait_all_tasks_blocked()
                inner.cancel_scope.cancel()
        async with await zygote.spawn(module, LIMITS) as last:
            for worker in zygote.workers:
                if worker is not last:
                    assert str(await worker.wait()) == "SIGKILL"
            assert zygote.workers == [last]
    nursery.cancel_scope.cancel()


async def test_a_spawn_that_ends_with_its_zygote_is_cancelled(code: bytes) -> None:
    """Or told that it is lost: whichever hears first of it, however far the spawn has come."""

    async def spawn(zygote: Zygote, module: Memfile) -> None:
        with contextlib.suppress(ZygoteLost):
            await zygote.spawn(module, LIMITS)

    with Memfile(code) as module:
        for steps in [*range(6)] * 4:
            async with trio.open_nursery() as nursery:
                zygote = Zygote()
                await nursery.start(zygote.run)
                for _ in range(3):
                    nursery.start_soon(spawn, zygote, module)
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()


async def test_a_worker_that_dies_while_loading_is_a_failed_spawn(nursery: trio.Nursery) -> None:
    kill_itself = (
        "import os; from sandbox.worker import guest;"
        "guest.Runtime.load = lambda *_: os.kill(os.getpid(), 9);"
    )
    zygote = Zygote(command=entry(kill_itself + REAL))
    await nursery.start(zygote.run)
    with Memfile(b"x") as module, pytest.raises(SpawnFailed) as failure:
        await zygote.spawn(module, LIMITS)
    # A signal to itself is already what the jail forbids.
    assert failure.value.how == Exit(signal=signal.SIGSYS)
    assert failure.value.how.violation
    nursery.cancel_scope.cancel()


NODE = """
import sys, trio
from sandbox.host.memfile import Memfile
from sandbox.host.zygote import Zygote
from sandbox.hostcall import Limits, Run
async def main():
    zygote = Zygote()
    async with trio.open_nursery() as nursery:
        await nursery.start(zygote.run)
        with open(sys.argv[1], "rb") as file, Memfile(file.read()) as module:
            for _ in range(3):
                worker = await zygote.spawn(module, Limits(fuel=1))
                await worker.send(Run(Limits(fuel=1 << 62), "spin"))
                print(worker.pid, flush=True)
        print("all", flush=True)
        await trio.sleep_forever()
trio.run(main)
"""


def test_no_process_of_a_killed_node_remains(tmp_path: Path, code: bytes) -> None:
    """SIGKILL to the node: the kernel tells its zygote, and the zygote's end its workers."""
    (tmp_path / "code").write_bytes(code)
    command = [sys.executable, "-c", NODE, str(tmp_path / "code")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        pids = [int(line) for line in iter(node.stdout.readline, "all\n")]
        assert len(pids) == 3
        stat = Path(f"/proc/{pids[0]}/stat").read_text()
        pids.append(int(stat.rpartition(")")[2].split()[1]))
        pidfds = [os.pidfd_open(pid) for pid in pids]
        node.kill()
        for pidfd in pidfds:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            assert poll.poll(5_000), "still running"
            os.close(pidfd)
