"""What a node costs while it does nothing: memory of all its processes.

A node with one agent, ready and warm: the node itself, its zygote and the agent's worker. Summed
is the proportional set size, so that a page which the three share is counted once; resident
sizes added up would count Python and wasmtime three times.
"""

import time

from bench.figure import Promise, Sample
from bench.local_node import POLL_S, WAIT_S, workshop
from bench.processes import family, pss_mb
from testnet.agents import agent
from testnet.processes import NodeProcess

PROCESSES = 3


def measure() -> Sample:
    with workshop() as path:
        node = NodeProcess.create("a", path / "a", agent("echo"))
        node.launch()
        try:
            node.wait_ready()
            answer = node.client.task_send("self/echo", "hello")
            node.client.task_wait(answer["id"], timeout_s=WAIT_S)
            return Sample(sum(pss_mb(pid) for pid in _settled(node)))
        finally:
            node.stop()


def _settled(node: NodeProcess) -> list[int]:
    assert node.process is not None, "launched before"
    until = time.monotonic() + WAIT_S
    while len(found := family(node.process.pid)) != PROCESSES:
        assert time.monotonic() < until, "a node, its zygote, one worker"
        time.sleep(POLL_S)
    return found


PROMISE = Promise("idle_rss_mb", "MB", must=90, stretch=70, measure=measure)
