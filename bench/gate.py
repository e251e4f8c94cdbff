"""One decision of the gate: the costliest kind that agents make often.

An HTTP request with three headers, checked against twenty rules of which the last covers it,
bounds of somebody else's grant, a budget's account and the risk of every field. Reading the
guest's words into a request is not in it: that happens once, the decision up to twice.
"""

import statistics
import time

from bench.figure import Promise, Sample
from identity.keys import SigningKey
from sandbox.agent_spec import AgentSpec
from sandbox.bounds import Bounds, CapRight
from sandbox.capability import Capability
from sandbox.endpoint import EndpointRule
from sandbox.policy import Allow, State, decide
from sandbox.request import Request, read_request

DECISIONS = 2_000
RUNS = 5
RULES = 20
_FETCH = (
    '{"url":"https://h19.example.com/v1/prices?of=tea","method":"POST","body":"{}",'
    '"headers":{"accept":"application/json","content-type":"application/json","user-agent":"a"}}'
)


def measure() -> Sample:
    config = AgentSpec(
        "shopper",
        "/shopper.wasm",
        capabilities=frozenset(Capability),
        endpoints=tuple(EndpointRule.parse(f"h{n}.example.com/v1") for n in range(RULES)),
    )
    me, other = (str(SigningKey.from_seed(bytes([n]) * 32).did) for n in (1, 2))
    bounds = Bounds(other, frozenset({CapRight("http_fetch", "*.example.com")}))
    state = State(me, lambda _: None, chain=(f"{other}/asker",), bounds=(bounds,))
    request = read_request(0, "http-fetch.fetch", (_FETCH,))
    return Sample(statistics.median(_run_us(config, request, state) for _ in range(RUNS)))


def _run_us(config: AgentSpec, request: Request, state: State) -> float:
    began = time.perf_counter()
    for _ in range(DECISIONS):
        verdict = decide(config, request, state)
    spent = time.perf_counter() - began
    assert isinstance(verdict, Allow), verdict
    return spent / DECISIONS * 1e6


PROMISE = Promise("gate_decision_us", "µs", must=20, stretch=10, measure=measure)
