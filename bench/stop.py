"""From the word "stop" to the death of the last worker, with 20 agents that spin.

A real node process; the word is the API call that `akshi stop` makes. The start of that
command's own interpreter is not counted.
"""

import time
from pathlib import Path

from bench.figure import Promise, Sample
from bench.local_node import POLL_S, WAIT_S, workshop
from bench.processes import Watch, family
from testnet.processes import NodeProcess

AGENTS = 20
SPINNER = Path(__file__).parent.parent / "tests" / "agents" / "hostile.wasm"


def measure() -> Sample:
    with workshop() as path:
        node = NodeProcess.create("a", path / "a", "".join(map(_agent, range(AGENTS))))
        node.launch()
        try:
            node.wait_ready()
            for number in range(AGENTS):
                node.client.task_send(f"self/spin{number}", "spin")
            return Sample(_stop_ms(node))
        finally:
            node.stop()


def _stop_ms(node: NodeProcess) -> float:
    until = time.monotonic() + WAIT_S
    while sum(agent["tasks_running"] for agent in node.client.agents()) < AGENTS:
        assert time.monotonic() < until, "not all of them run"
        time.sleep(10 * POLL_S)
    assert node.process is not None, "launched before"
    _, zygote, *workers = family(node.process.pid)
    assert len(workers) >= AGENTS, "each agent has a worker"
    watch = Watch([zygote, *workers])
    began = time.perf_counter()
    node.client.stop(timeout_s=WAIT_S)
    watch.wait_all_gone(WAIT_S)
    return (time.perf_counter() - began) * 1e3


def _agent(number: int) -> str:
    return f'[[agents]]\nname = "spin{number}"\nwasm_path = "{SPINNER}"\n'


PROMISE = Promise("stop_20_agents_ms", "ms", must=100, stretch=30, measure=measure)
