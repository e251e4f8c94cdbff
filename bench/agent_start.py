"""How long an agent takes from its cached code to a worker that is jailed and waits for a task.

The component's file is read and hashed, its compiled code read from the cache and
authenticated, a child forked from the zygote, locked in, the code loaded. Median.
"""

import statistics
import time
from pathlib import Path

import trio

from bench.figure import Promise, Sample
from bench.local_node import workshop
from sandbox.host.compile import Compiler
from sandbox.host.zygote import Zygote
from sandbox.hostcall import Limits
from testnet.agents import agents_directory

STARTS = 30
LIMITS = Limits(fuel=1_000_000_000)


def measure() -> Sample:
    with workshop() as path:
        return Sample(trio.run(_median_ms, path))


async def _median_ms(path: Path) -> float:
    zygote = Zygote()
    compiler = Compiler(zygote, directory=path, key=bytes(32))
    async with trio.open_nursery() as nursery:
        await nursery.start(zygote.run)
        await _start_s(zygote, compiler)  # compiles
        took_s = [await _start_s(zygote, compiler) for _ in range(STARTS)]
        nursery.cancel_scope.cancel()
    return statistics.median(took_s) * 1e3


async def _start_s(zygote: Zygote, compiler: Compiler) -> float:
    began = time.perf_counter()
    compiled = await compiler.compiled(agents_directory() / "echo.wasm")
    with compiled.code:
        worker = await zygote.spawn(compiled.code, LIMITS)
        took_s = time.perf_counter() - began
    async with worker:
        pass
    await worker.wait()
    return took_s


PROMISE = Promise("agent_start_ms", "ms", must=15, stretch=6, measure=measure)
