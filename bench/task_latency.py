"""How long one signed task takes, node to node, guest included, with nothing else in flight."""

import statistics
import time

import trio

from bench.figure import Promise, Sample
from bench.tasks import two_nodes

TASKS = 500


def measure() -> Sample:
    return Sample(trio.run(_median_ms))


async def _median_ms() -> float:
    async with two_nodes() as (driver, _, _):
        took_s: list[float] = []
        for _ in range(TASKS):
            began = time.perf_counter()
            await driver.run_one()
            took_s.append(time.perf_counter() - began)
        return statistics.median(took_s) * 1e3


PROMISE = Promise("task_p50_ms", "ms", must=1.5, stretch=1.0, measure=measure)
