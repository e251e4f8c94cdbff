"""A payment endpoint is asked once, and believed only when it is clear."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import trio

from akshi_mesh.config.model import WebhookSpec
from akshi_mesh.spend.webhook import WebhookRail
from sandbox.audit import Event
from sandbox.challenge import Challenge
from sandbox.charge import Charge
from sandbox.endpoint import Url
from sandbox.errors import PortRefused
from sandbox.fault import FaultCode
from sandbox.redaction import Redactor
from sandbox.secrets import Injection
from tests.akshi_mesh.spend.desk import AGENT, COST, Desk, money
from tests.sandbox.net.world import Server, answer, saying, serving, silent

PAID = answer(b'{"paid": true, "proof": "receipt-1"}')
CARD = Charge(replace(COST, rail="card"), "a map", None)


@dataclass
class Wallet:
    """Credentials of the rail."""

    headers: tuple[Injection, ...] = (Injection("wallet", "Authorization", "Bearer w4ll3t"),)
    users: list[str] = field(default_factory=list)

    def names_for(self, agent: str, url: Url, method: str) -> tuple[str, ...]:
        raise NotImplementedError

    def injections(self, agent: str, url: Url, method: str) -> tuple[Injection, ...]:
        self.users.append(f"{agent} {method} {url}")
        return self.headers

    def leaks(self, agent: str, *texts: bytes) -> str | None:
        return "wallet" if any(b"w4ll3t" in text for text in texts) else None

    def redactor(self, agent: str) -> Redactor:
        raise NotImplementedError


def desk_of(server: Server, *, timeout_s: float = 5.0, wallet: Wallet | None = None) -> Desk:
    spec = WebhookSpec("card", Url.parse(f"{server.url}/pay"), timeout_s)
    desk = Desk(rails={"card": WebhookRail(spec, wallet or Wallet())})
    desk.reserve(0, CARD.cost)
    return desk


async def failure_of(desk: Desk, charge: Charge = CARD) -> PortRefused:
    with pytest.raises(PortRefused) as caught:
        await desk.pay(0, charge)
    return caught.value


async def test_an_endpoint_that_pays() -> None:
    wallet = Wallet()
    async with serving(saying(PAID)) as server:
        desk = desk_of(server, wallet=wallet)
        told = json.loads(await desk.pay(0, CARD))
    assert told["state"] == "paid"
    (request,) = server.requests
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {
        "amount_micros": 500_000,
        "currency": "EUR",
        "payee": "shop",
        "memo": "a map",
        "idempotency_key": told["payment"],
        "agent": AGENT,
    }
    assert server.headers["idempotency-key"] == told["payment"]
    assert server.headers["authorization"] == "Bearer w4ll3t"
    assert wallet.users == [f"rail.card POST {server.url}/pay"]


async def test_what_a_server_wants_to_be_proven_reaches_the_wallet() -> None:
    challenge = Challenge("x402", "card", money("0.50EUR"), "shop", '{"asset":"0x1"}')
    async with serving(saying(PAID)) as server:
        desk = desk_of(server)
        id = desk.purse.challenged(AGENT, "https://shop.example", challenge)
        assert json.loads(await desk.pay(0, replace(CARD, challenge=id)))["has_proof"]
    sent = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
    assert sent["challenge"] == {"scheme": "x402", "opaque": '{"asset":"0x1"}'}


async def test_a_wallets_own_credential_is_no_proof_for_others() -> None:
    challenge = Challenge("x402", "card", money("0.50EUR"), "shop", "{}")
    async with serving(saying(answer(b'{"paid": true, "proof": "w4ll3t"}'))) as server:
        desk = desk_of(server)
        id = desk.purse.challenged(AGENT, "https://shop.example", challenge)
        assert not json.loads(await desk.pay(0, replace(CARD, challenge=id)))["has_proof"]


async def test_an_endpoint_that_does_not_pay() -> None:
    async with serving(saying(answer(b'{"paid": false, "why": "no\\u001bfunds"}'))) as server:
        failure = await failure_of(desk_of(server))
    assert failure.code is FaultCode.UNAVAILABLE
    assert failure.why == "rail card did not pay: no funds"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"paid": 1}',
        b'{"paid": "true"}',
        b'{"paid": true, "paid": false}',
        b'{"paid": true, "proof": 7}',
        b'{"paid": true, "proof": "' + b"p" * 9_000 + b'"}',
        b"\xff",
        b'{"paid": true}' + b" " * 40_000,
    ],
)
async def test_an_unclear_answer_leaves_the_end_unknown(body: bytes) -> None:
    async with serving(saying(answer(body))) as server:
        failure = await failure_of(desk_of(server))
    assert failure.code is FaultCode.UNKNOWN


async def test_paid_under_another_status_is_unclear() -> None:
    head = b"HTTP/1.1 500 X\r\nContent-Length: 14\r\n\r\n"
    async with serving(saying(head + b'{"paid": true}')) as server:
        assert (await failure_of(desk_of(server))).code is FaultCode.UNKNOWN


async def test_an_endpoint_that_never_answers_is_unknown_and_not_asked_again() -> None:
    async with serving(silent) as server:
        failure = await failure_of(desk_of(server, timeout_s=0.2))
        assert failure.code is FaultCode.UNKNOWN
        assert len(server.requests) <= 1
        assert server.connections == 1


async def test_an_endpoint_that_is_not_there_was_not_asked() -> None:
    async with serving(silent) as server:
        desk = desk_of(server)
    failure = await failure_of(desk)
    assert failure.code is FaultCode.UNAVAILABLE
    desk.release(0)
    assert desk.spent() == "0.00EUR"


async def test_the_switch_closes_the_connection_of_a_payment() -> None:
    """Cut off in the middle: unknown, counted for good, and the endpoint sees the end."""
    told: list[PortRefused] = []
    async with serving(silent) as server:
        desk = desk_of(server)

        async def buy() -> None:
            told.append(await failure_of(desk))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(buy)
            with trio.fail_after(5):
                while not server.connections:
                    await trio.sleep(0.001)
            began = trio.current_time()
            assert desk.purse.switch.kill() == 1
        assert trio.current_time() - began < 0.1
    assert told[0].code is FaultCode.UNKNOWN
    desk.release(0)
    assert desk.spent() == "0.50EUR"
    assert len(desk.events(Event.SPEND_UNKNOWN)) == 1


async def test_a_payment_that_its_task_gave_up_stays_counted() -> None:
    """Cancelled from outside, and released by whoever knows no better."""
    async with serving(silent) as server:
        desk = desk_of(server)
        with trio.move_on_after(0.2):
            await desk.pay(0, CARD)
        desk.release(0)
    assert desk.spent() == "0.50EUR"
    assert len(desk.events(Event.SPEND_UNKNOWN)) == 1


async def test_a_wallet_that_refuses_its_credential_sends_nothing() -> None:
    def locked(agent: str, url: Url, method: str) -> tuple[Injection, ...]:
        raise PortRefused(FaultCode.UNAVAILABLE, "the box of secrets is locked")

    wallet = Wallet()
    wallet.injections = locked  # type: ignore[method-assign]
    async with serving(saying(PAID)) as server:
        failure = await failure_of(desk_of(server, wallet=wallet))
        assert server.connections == 0
    assert failure.code is FaultCode.UNAVAILABLE


async def test_the_switch_is_asked_right_before_bytes_leave() -> None:
    """Between the connection and the first byte: nothing is sent, and that is known."""
    answers: list[str | None] = [None]

    def once() -> str | None:
        return answers.pop(0) if answers else "kill_switch: all paid actions are halted"

    async with serving(saying(PAID)) as server:
        desk = desk_of(server)
        rail = desk.rails["card"]
        halted: Callable[[], str | None] = once
        desk.purse.switch.still_allowed = halted  # type: ignore[method-assign]
        answers.clear()
        with pytest.raises(PortRefused) as caught:
            await desk.pay(0, CARD)
        assert server.requests == []
    assert isinstance(rail, WebhookRail)
    assert caught.value.code is FaultCode.UNAVAILABLE
    assert caught.value.why.startswith("kill_switch")
