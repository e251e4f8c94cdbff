"""A charge is read or refused; nothing is guessed about money."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.charge import Charge, check_payment_id, read_charge, read_quote
from sandbox.errors import MalformedJson, MalformedRequest
from sandbox.spend import MICRO_MAX, Cost, Money

GOOD = {"amount_micros": 500_000, "currency": "EUR", "rail": "ledger", "payee": "shop"}
ID = "9f" * 16
COST = Cost(Money.parse("0.50EUR"), "ledger", "shop")


def test_a_charge_with_and_without_its_extras() -> None:
    assert read_charge(json.dumps(GOOD)) == Charge(COST, "", None)
    assert read_charge(json.dumps({**GOOD, "memo": "map", "challenge": ID})) == (
        Charge(COST, "map", ID)
    )
    assert read_quote(json.dumps(GOOD)).cost == COST


@pytest.mark.parametrize("key", GOOD)
def test_each_key_is_needed(key: str) -> None:
    with pytest.raises(MalformedRequest):
        read_charge(json.dumps({name: value for name, value in GOOD.items() if name != key}))


@pytest.mark.parametrize(
    "changed",
    [
        *({"amount_micros": value} for value in (0, -1, True, 1.0, 1e6, "1", None, MICRO_MAX + 1)),
        *({"currency": value} for value in ("eur", "E", "", "EURO1", 5, None)),
        *({"rail": value} for value in ("", "Led ger", 1, "inference", "a" * 65)),
        *({"payee": value} for value in ("", "a" * 2049, "a\nb", "\u202e", 1)),
        *({"memo": value} for value in ("a" * 257, 1, None)),
        *({"challenge": value} for value in ("", ID.upper(), ID + "0", 1, None)),
        {"amount": 1},
        {"refund": True},
    ],
)
def test_what_is_no_charge_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises((MalformedRequest, MalformedJson)):
        read_charge(json.dumps({**GOOD, **changed}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "NaN",
        json.dumps(GOOD).replace("500000", "NaN"),
        json.dumps(GOOD).replace("500000", "Infinity"),
        json.dumps(GOOD).replace("500000", "5e5"),
        json.dumps(GOOD).replace("500000", "-500000"),
        json.dumps(GOOD).replace("500000", "9" * 40),
        json.dumps(GOOD).replace('"rail"', '"amount_micros": 1, "rail"'),
    ],
)
def test_text_that_no_strict_reader_takes(text: str) -> None:
    with pytest.raises((MalformedRequest, MalformedJson)):
        read_charge(text)


@given(st.text(max_size=80))
def test_any_text_gives_a_charge_or_malformed(text: str) -> None:
    with pytest.raises((MalformedRequest, MalformedJson)):
        read_charge(text)


def test_an_id_of_a_payment() -> None:
    assert check_payment_id(ID) == ID
    for wrong in ("", ID[1:], "g" * 32, None, 7):
        with pytest.raises(MalformedJson):
            check_payment_id(wrong)
