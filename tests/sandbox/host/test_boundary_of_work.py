"""A call means what was checked: its own price, the target a person saw, shelves given."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio

from sandbox.approvals import ApprovalRule, Approved, Question
from sandbox.bounds import Bounds, CapRight
from sandbox.capability import Capability
from sandbox.charge import Charge
from sandbox.errors import PortRefused
from sandbox.fault import Fault, FaultCode
from sandbox.host.attempt import Attempt
from sandbox.host.boundary import Boundary
from sandbox.hostcall import Call
from sandbox.ports import TaskRun
from sandbox.prompt import ModelAnswer, Prompt, Route
from sandbox.spend import Account, Money, SpendPolicy
from tests.sandbox.fakes import FRIEND, PARTS, STRANGER, FakeNode, spec, task

EUR = SpendPolicy(Money(10_000_000, "EUR"), rails=("card",))
NEVER = {capability: ApprovalRule("never") for capability in Capability}


class Purse:
    """Says yes, and remembers what each call was settled at."""

    halted = False

    def __init__(self) -> None:
        self.settled: list[Money | None] = []

    def account(self, agent: str, grants: object) -> Account:
        return Account()

    def reserve(self, **facts: object) -> None:
        """There is always enough."""

    def holds(self, **facts: object) -> bool:
        return True

    def commit(self, *, task_id: bytes, number: int, actual: Money | None) -> None:
        self.settled.append(actual)

    async def pay(self, *, task_id: bytes, number: int, agent: str, charge: Charge) -> str:
        await trio.lowlevel.checkpoint()
        return "{}"

    def paying(self, **facts: object) -> Any:
        return contextlib.nullcontext()


class Models:
    """One route, which turns out cheaper than it might have been."""

    def route(self, agent: str, wish: Prompt) -> Route:
        return Route("cloud", "m", "https://m.example", False, 10, Money(100, "EUR"))

    async def prompt(self, agent: str, route: Route, wish: Prompt, **facts: object) -> ModelAnswer:
        await trio.lowlevel.checkpoint()
        return ModelAnswer("{}", Money(7, "EUR"))


def calls(boundary: Boundary, run: TaskRun | None = None, **changes: object) -> Any:
    agent = spec(**{"approval": NEVER, "spend": EUR, **changes})
    attempt = Attempt(boundary.desk(agent), run or task())
    numbers = iter(range(100))

    async def call(function: str, *arguments: str | int) -> str | Fault:
        return await attempt.answer(Call(next(numbers), function, arguments))

    return call


async def test_a_charge_is_settled_at_its_own_price_and_not_at_the_last_one() -> None:
    node, purse = FakeNode(), Purse()
    boundary = node.boundary()
    boundary.ports = replace(boundary.ports, purse=purse, models=Models())
    call = calls(boundary)
    assert await call("inference.prompt", '{"prompt":"hi"}') == "{}"
    charge = {"amount_micros": 5_000_000, "currency": "EUR", "rail": "card", "payee": "shop"}
    assert await call("spend.charge", json.dumps(charge)) == "{}"
    assert purse.settled == [Money(7, "EUR"), None]  # None: all that was reserved


class Desk:
    """A person who says yes, after something has changed."""

    def __init__(self, meanwhile: Any) -> None:
        self._meanwhile = meanwhile
        self._approved = b""

    async def ask(self, question: Question) -> Approved:
        await trio.lowlevel.checkpoint()
        self._approved = question.subject.hash
        self._meanwhile()
        return Approved("apr-1")

    def consume(self, approval: str, subject: bytes, *, now_ms: int) -> None:
        if subject != self._approved:
            raise PortRefused(FaultCode.APPROVAL_DENIED, "approval_denied: something else")


async def test_a_yes_is_for_whom_it_was_asked_and_not_for_who_has_the_name_now() -> None:
    node = FakeNode()
    boundary = node.boundary()

    def rename() -> None:
        node.trusted["friend"] = STRANGER

    boundary.ports = replace(boundary.ports, approvals=Desk(rename))
    always = {Capability.A2A: ApprovalRule("always")}
    call = calls(boundary, approval=always, peers_allowed=("friend/*",))
    refused = await call("a2a.send", "friend/reader", PARTS)
    assert refused == Fault(FaultCode.APPROVAL_DENIED, "approval_denied: something else")
    assert node.state.sent == []

    boundary.ports = replace(boundary.ports, approvals=Desk(lambda: None))
    call = calls(boundary, task(2), approval=always, peers_allowed=("friend/*",))
    assert isinstance(await call("a2a.send", "friend/reader", PARTS), str)
    assert node.state.sent == [(f"{STRANGER}/reader", PARTS)]


class OfOthers:
    """The work of somebody who was given one shelf."""

    def bounds(self, run: TaskRun) -> tuple[Bounds, ...]:
        return (Bounds(FRIEND, frozenset({CapRight("filesystem", "open")})),)


async def test_others_see_the_shelves_they_were_given_and_no_name_beside(tmp_path: Path) -> None:
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
    boundary = FakeNode().boundary()
    boundary.ports = replace(boundary.ports, bounds=OfOthers())
    call = calls(boundary, filesystem_allowed=(str(tmp_path / "open"), str(tmp_path / "closed")))
    listed = await call("filesystem.list-files", "/", "", 10)
    assert [file["name"] for file in json.loads(str(listed))["files"]] == ["open"]
    refused = await call("filesystem.list-files", "/closed", "", 10)
    assert isinstance(refused, Fault)
    assert refused.code is FaultCode.NOT_ALLOWED
