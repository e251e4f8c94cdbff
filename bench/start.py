"""From the execution of `akshi-node run` to its word that it is ready and its API answers.

A home that has been started before, with one agent: so bytecode and compiled code are cached,
as at every start but the first.
"""

import time

from bench.figure import Promise, Sample
from bench.local_node import workshop
from testnet.agents import agent
from testnet.processes import NodeProcess


def measure() -> Sample:
    with workshop() as path:
        node = NodeProcess.create("a", path / "a", agent("echo"))
        _start_s(node)
        return Sample(min(_start_s(node), _start_s(node)))


def _start_s(node: NodeProcess) -> float:
    began = time.perf_counter()
    node.launch()
    try:
        node.wait_ready()
        return time.perf_counter() - began
    finally:
        node.stop()


PROMISE = Promise("start_to_ready_s", "s", must=1.0, stretch=0.5, measure=measure)
