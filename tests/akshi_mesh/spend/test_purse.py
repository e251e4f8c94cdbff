"""The purse: caps that hold, whatever ends in between, and a switch that ends it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from akshi_mesh.reserve import Reserve
from akshi_mesh.spend.purse import payment_id
from akshi_mesh.spend.switch import is_switched_on
from sandbox.audit import Event
from sandbox.errors import AuditUnavailable, PortRefused
from sandbox.fault import FaultCode
from sandbox.reservation import DAY_MS, Standing
from sandbox.spend import INFERENCE, Cost, SpendPolicy
from sync.errors import StoreFull
from tests.akshi_mesh.spend.desk import (
    AGENT,
    CARD,
    CHARGE,
    COST,
    POLICY,
    TASK,
    CardRail,
    Desk,
    money,
)
from tests.akshi_mesh.spend.test_payments import LIGHTNING


def refused(desk: Desk, number: int, cost: Cost = COST) -> str:
    with pytest.raises(PortRefused) as caught:
        desk.reserve(number, cost)
    return caught.value.why.partition(":")[0]


async def test_a_ledger_payment_from_reservation_to_account() -> None:
    desk = Desk()
    desk.reserve(0, whose=("did:key:z1",))
    assert desk.spent() == "0.50EUR"
    answer = json.loads(await desk.pay(0))
    desk.commit(0)
    assert answer == {
        "payment": payment_id(TASK, 0).hex(),
        "state": "paid",
        "amount_micros": 500_000,
        "currency": "EUR",
        "rail": "ledger",
        "payee": "shop",
        "has_proof": False,
    }
    assert desk.purse.ledger.accounts() == [
        ("agent buyer", "EUR", -500_000),
        ("shop", "EUR", 500_000),
    ]
    assert desk.purse.ledger.received("shop") == (money("0.50EUR"),)
    assert [r.event for r in desk.events()] == [Event.RESERVED, Event.SPENT]
    assert dict(desk.events(Event.SPENT)[0].facts)["payee"] == "shop"
    account = desk.purse.account(AGENT, (("did:key:z1", money("1EUR")), ("did:key:z2", None)))
    assert account.others[0].spent == account.node == account.agent == (money("0.50EUR"),)
    assert account.others[1].spent == ()


async def test_the_ledger_pays_once_and_settles_in_its_own_transaction() -> None:
    """A crash after the entry finds the payment settled, not unknown and not twice."""
    desk = Desk()
    desk.reserve(0)
    await desk.pay(0)
    desk.start()
    assert desk.purse.book.open(Standing.UNKNOWN) == []
    await desk.pay(0)
    assert desk.purse.ledger.received("shop") == (money("0.50EUR"),)


def test_a_reservation_is_refused_beyond_the_caps() -> None:
    desk = Desk(node_cap=money("1.80EUR"))
    for number in range(3):
        desk.reserve(number)
    assert refused(desk, 3, replace(COST, money=money("0.31EUR"))) == "budget_exceeded"
    assert refused(desk, 4, replace(COST, money=money("1.01EUR"))) == "per_action_limit_exceeded"
    assert refused(desk, 5, replace(COST, rail="other")) == "rail_not_allowed"
    desk.policies.clear()
    assert refused(desk, 6) == "no_budget_configured"
    assert desk.spent() == "1.50EUR"


def test_the_same_call_is_never_reserved_twice() -> None:
    desk = Desk()
    desk.reserve(0)
    with pytest.raises(PortRefused) as caught:
        desk.reserve(0)
    assert caught.value.code is FaultCode.UNKNOWN
    assert desk.purse.holds(task_id=TASK, number=0)
    assert not desk.purse.holds(task_id=TASK, number=1)


def test_what_did_cost_less_gives_the_rest_back_once() -> None:
    desk = Desk()
    desk.reserve(0, Cost(money("0.80EUR"), INFERENCE, "provider"))
    desk.commit(0, money("0.30EUR"))
    desk.commit(0, money("0.10EUR"))
    assert desk.spent() == "0.30EUR"
    desk.reserve(1)
    desk.release(1)
    desk.release(1)
    assert desk.spent() == "0.30EUR"
    assert len(desk.events(Event.RELEASED)) == 1


def test_a_crash_between_reserve_and_commit_stays_counted() -> None:
    desk = Desk()
    desk.reserve(0)
    desk.start()
    assert desk.spent() == "0.50EUR"
    desk.release(0)
    assert desk.spent() == "0.50EUR"
    assert [p.id for p in desk.purse.book.open(Standing.UNKNOWN)] == [payment_id(TASK, 0)]
    assert len(desk.events(Event.SPEND_UNKNOWN)) == 1
    desk.start()
    assert len(desk.events(Event.SPEND_UNKNOWN)) == 1


def test_a_lost_outcome_stays_counted() -> None:
    desk = Desk()
    desk.reserve(0)
    desk.lose(0)
    desk.release(0)
    assert desk.spent() == "0.50EUR"


def test_a_new_day_is_a_new_budget_and_a_clock_set_back_is_none() -> None:
    desk = Desk()
    for number in range(4):
        desk.reserve(number)
    assert refused(desk, 9) == "budget_exceeded"
    desk.now_ms += DAY_MS
    assert desk.spent() == "0"
    desk.reserve(10)
    desk.now_ms -= 5 * DAY_MS
    assert desk.spent() == "0.50EUR"
    for number in range(11, 14):
        desk.reserve(number)
    assert refused(desk, 14) == "budget_exceeded"


def test_old_rows_go_and_the_last_day_stays() -> None:
    desk = Desk()
    desk.reserve(0)
    desk.commit(0)
    desk.now_ms += DAY_MS
    desk.reserve(1)
    with desk.database.transaction():
        desk.purse.book.forget_before(30_000)
    assert desk.purse.book.payment(payment_id(TASK, 0)) is None
    assert desk.spent() == "0.50EUR"
    desk.now_ms -= 9 * DAY_MS
    assert desk.spent() == "0.50EUR"


async def test_a_year_later_the_first_payment_of_a_day_drops_old_rows() -> None:
    desk = Desk()
    desk.reserve(0)
    await desk.pay(0)
    desk.reserve(1)
    desk.now_ms += 401 * DAY_MS
    desk.reserve(2)
    kept = desk.database.rows("SELECT day, standing FROM spend_reservations ORDER BY day")
    assert [row[1] for row in kept] == ["reserved", "reserved"]
    assert desk.database.value("SELECT count(*) FROM spend_ledger") == 0
    assert desk.purse.ledger.received("shop") == (money("0.50EUR"),)


async def test_simulated_money_is_counted_and_never_paid() -> None:
    rail = CardRail()
    desk = Desk({AGENT: replace(POLICY, simulation=True)}, {"card": rail})
    for number, charge in enumerate((CHARGE, CARD)):
        desk.reserve(number, charge.cost)
        assert json.loads(await desk.pay(number, charge))["state"] == "simulated"
        desk.commit(number)
    assert desk.spent() == "1.00EUR"
    assert desk.purse.ledger.accounts() == []
    assert rail.paid == []


async def test_a_rail_that_is_not_there_pays_nothing() -> None:
    desk = Desk()
    desk.reserve(0, CARD.cost)
    with pytest.raises(PortRefused, match="no rail card"):
        await desk.pay(0, CARD)


async def test_the_switch_cuts_off_what_is_being_paid(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Nothing is paid after it, what was reserved stays counted, and it survives a restart."""
    rail = CardRail()
    desk = Desk(rails={"card": rail})
    told: list[PortRefused] = []

    async def buy() -> None:
        try:
            await desk.pay(0, CARD)
        except PortRefused as failure:
            told.append(failure)

    desk.reserve(0, CARD.cost)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(buy)
        await trio.testing.wait_all_tasks_blocked()
        assert desk.purse.switch.kill() == 1
        rail.may_end.set()
    assert told[0].code is FaultCode.UNKNOWN
    assert told[0].why.startswith("kill_switch")
    assert rail.paid == []
    desk.release(0)
    assert desk.spent() == "0.50EUR"
    assert [r.code for r in desk.events(Event.KILL_SWITCH)] == ["on"]
    desk.start()
    assert desk.purse.halted
    assert desk.purse.switch.since_ms == desk.now_ms
    assert refused(desk, 1) == "kill_switch"
    assert json.loads(desk.purse.quote(AGENT, COST, ()))["allowed"] is False


async def test_while_it_is_on_no_rail_pays() -> None:
    rail = CardRail()
    desk = Desk(rails={"card": rail})
    desk.reserve(0, CARD.cost)
    desk.reserve(1)
    desk.purse.switch.kill()
    rail.may_end.set()
    for number, charge in enumerate((CARD, CHARGE)):
        with pytest.raises(PortRefused, match="kill_switch"):
            await desk.pay(number, charge)
    assert rail.paid == []
    assert desk.purse.ledger.accounts() == []


def test_resume_takes_the_stored_switch_off_and_never_the_environments() -> None:
    desk = Desk()
    desk.purse.switch.kill()
    assert desk.purse.switch.resume()
    assert not desk.purse.halted
    desk.start()
    assert not desk.purse.halted
    desk.reserve(0)
    forced = Desk(forced=True)
    assert forced.purse.switch.still_allowed() is not None
    assert not forced.purse.switch.resume()
    assert forced.purse.halted
    forced.purse.switch.kill()
    assert forced.events(Event.KILL_SWITCH)[0].code == "on"


def test_killing_twice_keeps_the_first_moment() -> None:
    desk = Desk()
    desk.purse.switch.kill()
    first = desk.purse.switch.since_ms
    desk.now_ms += 5_000
    desk.purse.switch.kill()
    assert desk.purse.switch.since_ms == first


def test_a_full_disk_keeps_no_money_flowing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is on before it is written; then the room that is kept for this is used."""
    desk = Desk()
    tries: list[bool] = []
    write = desk.purse.book.switch

    def full_once(*, is_on: bool, at_ms: int) -> None:
        tries.append(desk.purse.halted)
        if len(tries) == 1:
            raise StoreFull("node.db", "database or disk is full")
        write(is_on=is_on, at_ms=at_ms)

    monkeypatch.setattr(desk.purse.book, "switch", full_once)
    with pytest.raises(StoreFull):
        desk.purse.switch.kill()
    assert desk.purse.halted
    tries.clear()
    desk.purse.switch._reserve = Reserve(tmp_path / "reserve", size=1 << 12)
    desk.purse.switch.kill()
    assert tries == [True, True]
    desk.start()
    assert desk.purse.halted


def test_no_record_no_reservation(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()

    def unwritable(record: object) -> None:
        raise AuditUnavailable(why="disk full")

    monkeypatch.setattr(desk.purse._audit, "record", unwritable)
    with pytest.raises(AuditUnavailable):
        desk.reserve(0)
    assert desk.spent() == "0"


def test_a_balance_and_a_quote() -> None:
    desk = Desk()
    desk.reserve(0)
    assert json.loads(desk.purse.balance(AGENT)) == {
        "day": "2024-10-04",
        "currency": "EUR",
        "daily_micros": 2_000_000,
        "spent_micros": 500_000,
        "left_micros": 1_500_000,
        "per_action_micros": 1_000_000,
        "rails": ["ledger", "card"],
        "simulation": False,
        "halted": False,
    }
    assert json.loads(desk.purse.quote(AGENT, COST, ()))["allowed"] is True
    none = json.loads(desk.purse.quote(AGENT, COST, (("did:key:z1", None),)))
    assert none["why"].startswith("no_budget_configured")
    with pytest.raises(PortRefused, match="no_budget_configured"):
        desk.purse.balance("other")
    desk.policies["odd"] = SpendPolicy(money("1EUR"))
    assert json.loads(desk.purse.balance("odd"))["per_action_micros"] is None
    desk.now_ms = 10**18
    assert json.loads(desk.purse.balance(AGENT))["day"].isdigit()


@pytest.mark.parametrize(
    "value", ["1", "true", "False", "FALSE", "no", "off", " ", "00", "yes", "on"]
)
def test_any_other_word_switches_spending_off(value: str) -> None:
    assert is_switched_on(value)


@pytest.mark.parametrize("value", [None, "", "0", "false"])
def test_these_words_leave_it_alone(value: str | None) -> None:
    assert not is_switched_on(value)


def full(*_: object, **__: object) -> None:
    raise StoreFull("node.db", "the disk is full")


async def test_a_full_disk_is_the_guests_to_hear_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything but a refusal would end the node with the task."""
    desk = Desk()
    with monkeypatch.context() as disk:
        disk.setattr(desk.purse.book, "add", full)
        with pytest.raises(PortRefused) as told:
            desk.reserve(0)
    assert told.value.code is FaultCode.UNAVAILABLE
    desk.reserve(0)
    monkeypatch.setattr(desk.purse.book, "change", full)
    for settle in (desk.commit, desk.release, desk.lose):
        with pytest.raises(PortRefused):
            settle(0)
    with pytest.raises(PortRefused) as told:
        await desk.pay(0)
    assert told.value.code is FaultCode.UNAVAILABLE
    monkeypatch.setattr(desk.purse.payments, "challenged", full)
    with pytest.raises(PortRefused):
        desk.purse.challenged(AGENT, "https://shop.example", LIGHTNING)


async def test_what_was_paid_stays_counted_where_its_proof_cannot_be_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = CardRail()
    card.may_end.set()
    desk = Desk(rails={"card": card})
    id = desk.purse.challenged(AGENT, "https://shop.example", LIGHTNING)
    desk.reserve(0, CARD.cost)
    monkeypatch.setattr(desk.purse.payments, "proven", full)
    with pytest.raises(PortRefused) as told:
        await desk.pay(0, replace(CARD, challenge=id))
    assert len(card.paid) == 1
    assert told.value.code is FaultCode.UNKNOWN
