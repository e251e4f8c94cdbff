"""What the node does for one http_fetch, against a bare `httpx` client.

Both ask the same server on loopback for the same kilobyte over a connection that is kept; the
server is a process of its own. Ours is all between the frame of a guest's call and the frame of
its answer: reading, gate, rules, risk, two commits with audit records, secrets looked for and
blotted out, JSON. The guest's side of the border is in `host_call_us`. The two are measured in
turns, so that whatever else the machine does slows both. Median of each.
"""

import statistics
import time
from collections.abc import Awaitable, Callable

import httpx
import trio

from akshi_mesh.parts import Parts
from bench.figure import Promise, Sample
from bench.local_node import WAIT_S, local_node, workshop
from bench.web_server import web_server
from sandbox.agent_spec import AgentSpec
from sandbox.capability import Capability
from sandbox.endpoint import EndpointRule
from sandbox.fault import Fault
from sandbox.host.attempt import Attempt
from sandbox.hostcall import Call
from sandbox.ports import TaskRun
from testnet.processes import NodeProcess

FETCHES = 100
TURNS = 8  # an agent has tokens for some 1,000 fetches before it is paced
WARM_UP = 20


def measure() -> Sample:
    with workshop() as path, web_server() as port:
        node = NodeProcess.create("a", path / "a", "")
        return Sample(*trio.run(_both_us, node, f"http://127.0.0.1:{port}"))


async def _both_us(node: NodeProcess, origin: str) -> tuple[float, float]:
    url = f"{origin}/v1/prices"
    async with local_node(node) as parts, httpx.AsyncClient(trust_env=False) as client:
        attempt = _attempt(parts, origin)
        numbers = iter(range(WARM_UP + TURNS * FETCHES))

        async def bare() -> None:
            answer = await client.get(url)
            assert answer.status_code == 200
            assert answer.text

        async def ours() -> None:
            call = Call(next(numbers), "http-fetch.fetch", (f'{{"url":"{url}"}}',))
            answer = await attempt.answer(call)
            assert not isinstance(answer, Fault), answer

        await _mean_us(bare, WARM_UP)
        await _mean_us(ours, WARM_UP)
        means = [(await _mean_us(ours), await _mean_us(bare)) for _ in range(TURNS)]
    return statistics.median(our for our, _ in means), statistics.median(b for _, b in means)


def _attempt(parts: Parts, origin: str) -> Attempt:
    """The node's side of one task of an agent that may fetch from `origin`."""
    spec = AgentSpec(
        "fetcher",
        "/fetcher.wasm",
        capabilities=frozenset({Capability.HTTP_FETCH}),
        endpoints=(EndpointRule.parse(f"private {origin}"),),
    )
    me = str(parts.did)
    task = TaskRun(
        id=bytes(32),
        agent=spec.name,
        sender=me,
        originator=me,
        chain=(),
        message_json='{"messageId":"m","role":"ROLE_USER","parts":[{"text":""}]}',
        expires_ms=parts.clock().wall_ms + 60_000,
    )
    # The node hands its border to nobody but its own supervisor.
    return Attempt(parts.supervisor._boundary.desk(spec), task)


async def _mean_us(act: Callable[[], Awaitable[None]], times: int = FETCHES) -> float:
    with trio.fail_after(WAIT_S):
        began = time.perf_counter()
        for _ in range(times):
            await act()
        return (time.perf_counter() - began) / times * 1e6


PROMISE = Promise("http_fetch_us", "µs", must=1.25, stretch=1.0, measure=measure)
