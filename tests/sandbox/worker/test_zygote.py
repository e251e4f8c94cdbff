"""Fork from a zygote, run a component in the jail, call the host, end: with real processes."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio

from sandbox.errors import WorkerLost
from sandbox.fault import Fault, FaultCode
from sandbox.host.errors import ComponentRefused
from sandbox.host.memfile import Memfile
from sandbox.host.zygote import Zygote
from sandbox.hostcall import Answer, Call, Done, Faulted, FaultKind, Limits, Run
from sandbox.worker.guest import Runtime
from tests.sandbox.worker import components

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only")

LIMITS = Limits(fuel=2_000_000_000)
SPINNING = Run(Limits(fuel=1 << 62), "spin")
Compile = Callable[[str], Memfile]


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime()


@pytest.fixture
def compiled(runtime: Runtime, request: pytest.FixtureRequest) -> Compile:
    def make(body: str) -> Memfile:
        module = Memfile(runtime.compile(components.component(body)))
        request.addfinalizer(module.close)
        return module

    return make


@pytest.fixture
async def zygote(nursery: trio.Nursery) -> AsyncIterator[Zygote]:
    zygote = Zygote()
    await nursery.start(zygote.run)
    yield zygote
    nursery.cancel_scope.cancel()


async def test_a_jailed_guest_calls_the_host_and_answers(zygote: Zygote, compiled: Compile) -> None:
    async with await zygote.spawn(compiled(components.ECHO), LIMITS) as worker:
        assert worker.jailed
        for number_of_task in range(3):
            await worker.send(Run(LIMITS, f"tälk {number_of_task}"))
            call = await worker.receive()
            assert call == Call(0, "task.progress", (f"tälk {number_of_task}",))
            await worker.send(Answer(0, "heard"))
            done = await worker.receive()
            assert isinstance(done, Done)
            assert (done.ok, done.text) == (True, "heard")
            assert 0 < done.fuel_used < 10_000


async def test_a_fault_is_an_answer_and_the_guest_lives_on(
    zygote: Zygote, compiled: Compile
) -> None:
    async with await zygote.spawn(compiled(components.ECHO), LIMITS) as worker:
        for code in FaultCode:
            await worker.send(Run(LIMITS, "x"))
            await worker.receive()
            await worker.send(Answer(0, Fault(code, f"why {code}")))
            done = await worker.receive()
            assert isinstance(done, Done)
            assert (done.ok, done.text) == (False, f"why {code}")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (components.TRAP, FaultKind.TRAP),
        (components.SPIN, FaultKind.OUT_OF_FUEL),
        (components.RECURSE, FaultKind.STACK_OVERFLOW),
        (components.MALFORMED_CALL, FaultKind.MALFORMED_TEXT),
        (components.MALFORMED_ANSWER, FaultKind.MALFORMED_TEXT),
        (components.HUGE_ANSWER, FaultKind.TOO_LONG),
        (components.OUT_OF_BOUNDS_CALL, FaultKind.TRAP),
    ],
)
async def test_a_guest_that_breaks_ends_its_attempt_and_not_its_worker(
    zygote: Zygote, compiled: Compile, body: str, kind: FaultKind
) -> None:
    async with await zygote.spawn(compiled(body), LIMITS) as worker:
        for _ in range(2):
            await worker.send(Run(Limits(fuel=20_000_000), "x"))
            fault = await worker.receive()
            assert isinstance(fault, Faulted)
            assert fault.kind is kind, fault.why


@pytest.mark.parametrize("body", [components.HUGE_CALL, components.WIDE_CALL])
async def test_arguments_over_the_limit_are_refused_before_they_leave_the_worker(
    zygote: Zygote, compiled: Compile, body: str
) -> None:
    async with await zygote.spawn(compiled(body), LIMITS) as worker:
        await worker.send(Run(LIMITS, "x"))
        done = await worker.receive()
        assert isinstance(done, Done)
        assert (done.ok, done.text) == (False, "arguments over 1 MiB")


async def test_memory_ends_at_its_limit(zygote: Zygote, compiled: Compile) -> None:
    async with await zygote.spawn(compiled(components.GROW), LIMITS) as worker:
        await worker.send(Run(LIMITS, "still here"))
        done = await worker.receive()
        assert isinstance(done, Done)
        assert done.text == "still here"


async def test_a_guest_with_data_of_its_own_runs_in_the_jail(
    zygote: Zygote, runtime: Runtime
) -> None:
    """wasmtime would map initial data from a memfd, and a jailed worker may not make one."""
    wasm = components.component(
        "(call $answer (i32.const 0) (i32.const 3000) (i32.const 7))",
        extra='(data (i32.const 3000) "my data")',
    )
    with Memfile(runtime.compile(wasm)) as module:
        async with await zygote.spawn(module, LIMITS) as worker:
            for _ in range(2):
                await worker.send(Run(LIMITS, "x"))
                done = await worker.receive()
                assert isinstance(done, Done)
                assert done.text == "my data"


async def test_each_task_has_a_store_of_its_own(zygote: Zygote, compiled: Compile) -> None:
    async with await zygote.spawn(compiled(components.COUNT), LIMITS) as worker:
        for _ in range(3):
            await worker.send(Run(LIMITS, "x"))
            done = await worker.receive()
            assert isinstance(done, Done)
            assert done.text == "1"


async def test_a_spinning_guest_dies_at_once_and_its_neighbour_lives(
    zygote: Zygote, compiled: Compile
) -> None:
    async with (
        await zygote.spawn(compiled(components.SPIN), LIMITS) as spinner,
        await zygote.spawn(compiled(components.SILENT), LIMITS) as neighbour,
    ):
        await spinner.send(SPINNING)
        await neighbour.send(Run(LIMITS, "hello"))
        assert isinstance(await neighbour.receive(), Done)
        spinner.kill()
        how = await spinner.wait()
        assert str(how) == "SIGKILL"
        assert not how.violation
        with pytest.raises(WorkerLost):
            await spinner.receive()
        await neighbour.send(Run(LIMITS, "hello"))
        assert isinstance(await neighbour.receive(), Done)


async def test_bytes_that_are_no_compiled_component_are_refused(zygote: Zygote) -> None:
    with Memfile(b"no machine code at all") as module, pytest.raises(ComponentRefused):
        await zygote.spawn(module, LIMITS)


async def test_a_worker_ends_when_its_channel_closes(zygote: Zygote, compiled: Compile) -> None:
    worker = await zygote.spawn(compiled(components.SILENT), LIMITS)
    worker.close()
    assert (await worker.wait()).code == 0
    assert zygote.workers == []


async def test_a_dead_zygote_takes_its_workers_along_and_is_replaced(
    zygote: Zygote, compiled: Compile
) -> None:
    module = compiled(components.SPIN)
    orphan = await zygote.spawn(module, LIMITS)
    await orphan.send(SPINNING)
    stat = Path(f"/proc/{orphan.pid}/stat").read_text()
    zygote_pid = int(stat.rpartition(")")[2].split()[1])
    os.kill(zygote_pid, 9)
    how = await orphan.wait()
    assert str(how) == "lost with the zygote"
    with pytest.raises(WorkerLost):
        await orphan.receive()
    orphan.close()
    async with await zygote.spawn(module, LIMITS) as worker:
        assert worker.pid != orphan.pid


async def test_kill_all_leaves_nobody(zygote: Zygote, compiled: Compile) -> None:
    module = compiled(components.SPIN)
    workers = [await zygote.spawn(module, LIMITS) for _ in range(4)]
    for worker in workers:
        await worker.send(SPINNING)
    zygote.kill_all()
    await zygote.wait_none()
    assert zygote.workers == []
    for worker in workers:
        assert str(await worker.wait()) == "SIGKILL"
        worker.close()


def test_the_zygote_never_loads_trio() -> None:
    """It would cost each worker 17 MB, and a thread is not far from it."""
    program = (
        "import sys, sandbox.worker.zygote, sandbox.worker.guest;"
        "heavy = {'trio', 'asyncio', 'threading', 'structlog'} & set(sys.modules);"
        "sys.exit(bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], env={}, check=False)
    assert done.returncode == 0
