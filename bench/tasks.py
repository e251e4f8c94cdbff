"""Two nodes that task each other, for the two numbers about tasks.

    this process: node A ══ link ══ a node process B ── worker: the `echo` agent
    submit … result stored, both on disk in WAL mode, as `akshi-node run` has it

What one task is, from submit to the moment A's store holds the result: A stores and seals it; B
checks the signature, stores it, runs the guest in its jailed worker, stores the result and
seals it; A checks the signature and stores the result. Killing either node with SIGKILL at any
point neither loses nor repeats it. Only A's HTTP API is left out (1.0 ms a request).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from akshi_mesh.parts import Parts
from bench.local_node import WAIT_S, befriend, local_node, wait_linked, workshop
from identity.did import Did
from sync.proto.task_messages import text_parts
from sync.proto.tasks_sending import Order
from testnet.agents import agent
from testnet.processes import NodeProcess

WARM_UP_TASKS = 50  # the first one makes the worker


class Driver:
    """Submits tasks on node A and waits for their results."""

    def __init__(self, parts: Parts, peer: bytes) -> None:
        self._parts = parts
        self._order = Order(peer=peer, agent="echo", parts=text_parts("hello"))

    async def run_one(self) -> None:
        """One task, from submit to its stored result."""
        parts = self._parts
        with parts.mesh.transaction():
            task_id, effects = parts.mesh.tasks.submit(self._order, parts.clock())
            parts.mesh.say(effects)
        while True:
            await parts.switchboard.wait_changed([task_id])
            task = parts.tables.sent.get(task_id)
            assert task is not None, "what was submitted is stored"
            if task.ended_ms is not None:
                assert task.answered, f"the task failed: {task.reason}"
                return


@asynccontextmanager
async def two_nodes() -> AsyncIterator[tuple[Driver, Parts, NodeProcess]]:
    """Node A in this process, node B in its own, linked and warm."""
    with workshop() as path:
        here = NodeProcess.create("a", path / "a", "")
        there = NodeProcess.create("b", path / "b", agent("echo"))
        there.launch()
        try:
            there.wait_ready()
            async with local_node(here) as parts:
                there.client.trust_add(str(parts.did), allow=["a2a:echo"])
                await befriend(parts, there.did, there.address, allow=())
                await wait_linked(parts, there.did)
                driver = Driver(parts, Did.parse(there.did).public_key)
                with trio.fail_after(WAIT_S):
                    for _ in range(WARM_UP_TASKS):
                        await driver.run_one()
                yield driver, parts, there
        finally:
            there.stop()
