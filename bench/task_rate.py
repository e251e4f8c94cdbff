"""How many signed tasks a second, node to node, guest included, with 16 in flight."""

import time

import trio

from bench.figure import Promise, Sample
from bench.tasks import Driver, two_nodes

TASKS = 2_000
IN_FLIGHT = 16


def measure() -> Sample:
    return Sample(trio.run(_rate))


async def _rate() -> float:
    async with two_nodes() as (driver, _, _):
        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(IN_FLIGHT):
                nursery.start_soon(_run_some, driver, TASKS // IN_FLIGHT)
        return TASKS / (time.perf_counter() - began)


async def _run_some(driver: Driver, count: int) -> None:
    for _ in range(count):
        await driver.run_one()


PROMISE = Promise(
    "tasks_per_s_16", "tasks/s", must=1_000, stretch=1_500, measure=measure, bigger_is_better=True
)
