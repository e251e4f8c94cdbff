"""Demands of servers, and proofs of what was paid: for one agent, at one origin."""

import json
from dataclasses import replace

import pytest

from sandbox.challenge import Challenge
from sandbox.charge import Charge
from sandbox.errors import PortRefused
from sandbox.spend import LEDGER, Money
from tests.akshi_mesh.spend.desk import AGENT, CARD, CardRail, Desk, euro_cents, money

LIGHTNING = Challenge("l402", "card", money("0.50EUR"), "shop", "L402 AGIA")
ORIGIN = "https://shop.example"


async def test_a_challenge_is_paid_and_its_proof_goes_to_its_origin_only() -> None:
    rail = CardRail()
    rail.may_end.set()
    challenge = replace(LIGHTNING, scheme="x402")
    desk = Desk(rails={"card": rail})
    id = desk.purse.challenged(AGENT, ORIGIN, challenge)
    assert id == desk.purse.challenged(AGENT, ORIGIN, challenge)
    desk.reserve(0, CARD.cost)
    answer = json.loads(await desk.pay(0, replace(CARD, challenge=id)))
    assert answer["has_proof"] is True
    assert rail.paid[0].challenge == challenge
    assert rail.paid[0].key == answer["payment"]
    assert desk.purse.proof(AGENT, answer["payment"], ORIGIN) == ("X-PAYMENT", "receipt-1")
    for agent, payment, origin in (
        ("thief", answer["payment"], ORIGIN),
        (AGENT, answer["payment"], "https://evil.example"),
        (AGENT, "00" * 16, ORIGIN),
    ):
        with pytest.raises(PortRefused, match="no proof"):
            desk.purse.proof(agent, payment, origin)


async def test_a_proof_that_is_none_is_not_kept() -> None:
    rail = CardRail()
    rail.may_end.set()
    desk = Desk(rails={"card": rail})
    id = desk.purse.challenged(AGENT, ORIGIN, LIGHTNING)
    desk.reserve(0, CARD.cost)
    answer = json.loads(await desk.pay(0, replace(CARD, challenge=id)))
    assert answer["has_proof"] is False


@pytest.mark.parametrize(
    "changed",
    [
        {"money": euro_cents(49)},
        {"rail": LEDGER},
        {"payee": "other"},
        {"money": Money(500_000, "USD")},
    ],
)
async def test_a_charge_pays_what_the_challenge_asks_and_nothing_else(
    changed: dict[str, object],
) -> None:
    desk = Desk()
    id = desk.purse.challenged(AGENT, ORIGIN, LIGHTNING)
    charge = Charge(replace(CARD.cost, **changed), "", id)  # type: ignore[arg-type]
    with pytest.raises(PortRefused, match="asks for"):
        await desk.pay(0, charge)
    with pytest.raises(PortRefused, match="no such challenge"):
        await desk.pay(0, replace(CARD, challenge="00" * 16))


def test_challenges_of_one_agent_are_bounded() -> None:
    desk = Desk()
    for number in range(70):
        desk.now_ms += 1
        desk.purse.challenged(AGENT, ORIGIN, replace(LIGHTNING, payee=f"shop {number}"))
    assert desk.database.value("SELECT count(*) FROM spend_challenges") == 64
    oldest = desk.database.value("SELECT min(at_ms) FROM spend_challenges")
    assert oldest == desk.now_ms - 63
