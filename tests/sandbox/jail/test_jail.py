"""Whatever runs in place of the guest: what is not allowed ends it, and nobody else.

The attacker is tests/sandbox/jail/hostile.py. It is tried as root, where the worker gives
its privileges up itself, and as a user who has none.
"""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from sandbox.errors import WorkerLost
from sandbox.host import scan
from sandbox.host.memfile import Memfile
from sandbox.host.zygote import WorkerProcess, Zygote
from sandbox.hostcall import Done, Faulted, FaultKind, Limits, Run
from tests.sandbox.jail import hostile

pytestmark = pytest.mark.skipif(
    scan.scan().level != "jail", reason=f"no jail here: {scan.scan().why}"
)

HOSTILE = Path(hostile.__file__)
OTHER_UID = "54321"
USERS = [
    pytest.param((), id="as we are"),
    pytest.param(
        (OTHER_UID,),
        id="unprivileged",
        marks=pytest.mark.skipif(os.geteuid() != 0, reason="already unprivileged"),
    ),
]


@pytest.fixture(params=USERS)
async def zygote(request: pytest.FixtureRequest, nursery: trio.Nursery) -> AsyncIterator[Zygote]:
    zygote = Zygote(command=(sys.executable, "-I", str(HOSTILE), *request.param))
    await nursery.start(zygote.run)
    yield zygote
    nursery.cancel_scope.cancel()


async def spawn(zygote: Zygote) -> WorkerProcess:
    with Memfile(b"unused") as nothing:
        return await zygote.spawn(nothing, Limits(fuel=1))


def status_of(worker: WorkerProcess) -> str:
    return Path(f"/proc/{worker.pid}/status").read_text()


async def order(worker: WorkerProcess, attack: str, *, status: str | None = None) -> None:
    text = json.dumps({"attack": attack, "status": status or status_of(worker)})
    await worker.send(Run(Limits(fuel=1), text))


async def test_every_attack_ends_the_worker_as_a_violation_and_no_neighbour(
    zygote: Zygote,
) -> None:
    async with await spawn(zygote) as neighbour:
        for attack in hostile.ATTACKS:
            async with await spawn(zygote) as worker:
                await order(worker, attack)
                with pytest.raises(WorkerLost):
                    raise AssertionError(f"{attack}: {await worker.receive()}")
                how = await worker.wait()
                assert how.signal == signal.SIGSYS, attack
                assert how.violation
            await order(neighbour, "nothing")
            assert isinstance(await neighbour.receive(), Done), attack


async def test_no_descriptor_but_its_own_channel_is_open(zygote: Zygote) -> None:
    async with await spawn(zygote) as neighbour, await spawn(zygote) as worker:
        await order(worker, "other channels")
        assert await worker.receive() == Done(True, "others: []", 0)
        await order(neighbour, "nothing")
        assert isinstance(await neighbour.receive(), Done)


async def test_a_worker_is_nobody_with_nothing(zygote: Zygote) -> None:
    async with await spawn(zygote) as worker:
        status = dict(line.split(":", 1) for line in status_of(worker).splitlines())
        assert "0" not in status["Uid"].split() + status["Gid"].split()
        assert status["Groups"].strip() == ""
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[kind], 16) == 0
        assert status["NoNewPrivs"].strip() == "1"
        assert status["Seccomp"].strip() == "2"
        assert status["Seccomp_filters"].strip() == "2"
        assert status["Threads"].strip() == "1"
        limits = Path(f"/proc/{worker.pid}/limits").read_text()
        for line in limits.splitlines():
            if line.startswith(("Max core", "Max file size", "Max processes", "Max open")):
                assert line.split("  ")[-1] or line
                assert [word for word in line.split() if word.isdigit()][:2] == ["0", "0"], line


async def test_the_attacker_refuses_outside_of_the_jail(zygote: Zygote) -> None:
    """The test's own safety catch: our status is not that of a jailed process."""
    async with await spawn(zygote) as worker:
        await order(worker, "kill parent", status=Path("/proc/self/status").read_text())
        assert isinstance(await worker.receive(), Faulted)


async def test_a_crash_and_a_bug_are_told_apart_from_a_violation(zygote: Zygote) -> None:
    async with await spawn(zygote) as worker:
        await order(worker, "abort")
        with pytest.raises(WorkerLost):
            await worker.receive()
        how = await worker.wait()
        assert how.signal == signal.SIGABRT
        assert not how.violation
    async with await spawn(zygote) as worker:
        await order(worker, "raise")
        assert await worker.receive() == Faulted(FaultKind.WORKER, "RuntimeError: a bug of ours")
        how = await worker.wait()
        assert how.code == 70
        assert not how.violation
