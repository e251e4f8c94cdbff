"""One host call: from the guest's call to its answer, through worker, channel, gate and back.

The guest (calls.wat) asks `task.is-cancelled` a thousand times in one task: allowed, and without
effect. Each call is read, hashed, decided, recorded (equal records fold) and remembered as any
other. What the task itself costs is divided among the calls; it is under 1 µs for each.
"""

import statistics
import time
from pathlib import Path

import trio
from wasmtime import wat2wasm

from akshi_mesh.parts import Parts
from bench.figure import Promise, Sample
from bench.local_node import WAIT_S, local_node, workshop
from sandbox.ports import Completed, TaskRun
from testnet.processes import NodeProcess

CALLS = 1_000  # as in calls.wat; an agent may make 4,000 at once before it is paced
TASKS = 3
SOURCE = Path(__file__).parent / "calls.wat"


def measure() -> Sample:
    with workshop() as path:
        (path / "calls.wasm").write_bytes(wat2wasm(SOURCE.read_text(encoding="utf-8")))
        config = f'[[agents]]\nname = "calls"\nwasm_path = "{path / "calls.wasm"}"\n'
        return Sample(trio.run(_median_us, NodeProcess.create("a", path / "a", config)))


async def _median_us(node: NodeProcess) -> float:
    async with local_node(node) as parts:
        return statistics.median([await _one_call_us(parts, n) for n in range(TASKS)])


async def _one_call_us(parts: Parts, number: int) -> float:
    me, now = str(parts.did), parts.clock()
    task = TaskRun(
        id=number.to_bytes(32, "big"),
        agent="calls",
        sender=me,
        originator=me,
        chain=(),
        message_json='{"messageId":"m","role":"ROLE_USER","parts":[{"text":""}]}',
        expires_ms=now.wall_ms + 60_000,
    )
    began = time.perf_counter()
    with trio.fail_after(WAIT_S):
        outcome = await parts.supervisor.run_task(task)
    assert isinstance(outcome, Completed), outcome
    return (time.perf_counter() - began) / CALLS * 1e6


PROMISE = Promise("host_call_us", "µs", must=200, stretch=120, measure=measure)
