"""A model or a tool answers more than one host call carries: the guest hears of it, and no more."""

from dataclasses import replace
from typing import Any

import pytest

from sandbox.approvals import ApprovalRule
from sandbox.capability import Capability
from sandbox.fault import Fault, FaultCode
from sandbox.host.attempt import Attempt
from sandbox.hostcall import Answer, Call, encode
from sandbox.prompt import ANSWER_CHARS_MAX, ModelAnswer, Prompt, Route, write_answer
from tests.sandbox.fakes import FakeNode, spec, task

ROUTE = Route("m", "m", "https://models.example", is_local=False, max_tokens=10)


class Models:
    """One, that says the same thing as often as it may."""

    def __init__(self, word: str) -> None:
        self.text = word * (ANSWER_CHARS_MAX // len(word))

    def route(self, agent: str, prompt: Prompt) -> Route:
        return ROUTE

    async def prompt(
        self, agent: str, route: Route, prompt: Prompt, *, still_allowed: Any
    ) -> ModelAnswer:
        counts: dict[str, Any] = {"tokens_in": 1, "tokens_out": 1, "finish": "stop", "cost": None}
        return ModelAnswer(write_answer(text=self.text, route=route, **counts), None)


@pytest.mark.parametrize(
    ("word", "fits"), [("a", True), ('"', False), ("\0", False), ("😀", False)]
)
async def test_an_answer_of_escapes_and_wide_characters(word: str, fits: bool) -> None:
    node = FakeNode()
    boundary = node.boundary()
    boundary.ports = replace(boundary.ports, models=Models(word))
    never = {Capability.INFERENCE: ApprovalRule("never")}
    asking = spec(capabilities=frozenset({Capability.INFERENCE}), approval=never)
    attempt = Attempt(boundary.desk(asking), task())
    answer = await attempt.answer(Call(0, "inference.prompt", ('{"prompt":"hello"}',)))
    assert encode(Answer(0, answer))  # what the node does with it next
    assert isinstance(answer, str) is fits
    if isinstance(answer, Fault):
        assert answer.code is FaultCode.UNKNOWN
