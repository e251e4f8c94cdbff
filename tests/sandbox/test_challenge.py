"""Demands for payment: three schemes, one bounded value, and nothing believed."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.challenge import OPAQUE_CHARS_MAX, Challenge, proof_header, read
from sandbox.errors import MalformedChallenge
from sandbox.spend import MICRO_MAX, Money

INVOICE = "lnbc2500u1" + "q" * 80
L402 = f'L402 macaroon="AGIAJEem", invoice="{INVOICE}"'
OFFER = {
    "scheme": "exact",
    "network": "base",
    "maxAmountRequired": "10000",
    "payTo": "0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb0",
    "asset": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
}
REQUEST = {"amount": "150", "currency": "usd", "recipient": "acct_7"}


def b64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def asked(value: str) -> Challenge | None:
    return read(402, [("WWW-Authenticate", value)], b"")


def x402(**changed: object) -> bytes:
    return json.dumps({"x402Version": 1, "accepts": [{**OFFER, **changed}]}).encode()


def payment(request: object = REQUEST, *, intent: str = "charge", method: str = "card") -> str:
    given = {"realm": "shop", "method": method, "intent": intent, "request": b64(request)}
    return 'Payment id="i1", ' + ", ".join(f'{name}="{value}"' for name, value in given.items())


def test_an_l402_challenge_is_an_amount_in_satoshi() -> None:
    challenge = asked(L402)
    assert challenge == Challenge(
        "l402", "l402", Money.parse("250000SAT"), INVOICE, "L402 AGIAJEem"
    )
    assert proof_header(challenge, "ab" * 32) == ("Authorization", f"L402 AGIAJEem:{'ab' * 32}")


@pytest.mark.parametrize(
    ("prefix", "satoshi"),
    [
        *(("lnbc1", None), ("lnbc20m1", "2000000"), ("lnbcrt10n1", "1"), ("lntb10p1", "0.001")),
        *(("lnbc1p1", "0.0001"), ("lnbc01u1", None), ("lnbc21", "200000000")),
        ("lnbc999999999m1", None),
    ],
)
def test_the_amount_is_the_invoices_own(prefix: str, satoshi: str | None) -> None:
    challenge = asked(L402.replace("lnbc2500u1", prefix))
    assert (challenge and challenge.amount) == (satoshi and Money.parse(f"{satoshi}SAT"))


def test_an_x402_body_is_money_only_in_a_coin_we_know() -> None:
    challenge = read(402, [], x402())
    assert challenge is not None
    assert (challenge.rail, challenge.amount) == ("x402", Money.parse("0.01USDC"))
    assert json.loads(challenge.opaque) == OFFER
    assert proof_header(challenge, "eyJ9") == ("X-PAYMENT", "eyJ9")
    assert read(402, [], x402(asset="0xdead", extra={"name": "USD Coin"})) is None
    assert read(402, [], x402(scheme="upto")) is None
    assert read(402, [], x402(payTo="")) is None
    for digits in (10000, "-1", "1e3", "0", "", "9" * 17, "9" * 16, None, True):
        assert read(402, [], x402(maxAmountRequired=digits)) is None


def test_an_x402_header_of_the_second_version() -> None:
    offer = {**OFFER, "amount": "3000000"}
    del offer["maxAmountRequired"]
    challenge = read(402, [("PAYMENT-REQUIRED", b64({"x402Version": 2, "accepts": [offer]}))], b"")
    assert challenge is not None
    assert challenge.amount == Money.parse("3USDC")
    assert proof_header(challenge, "eyJ9")[0] == "PAYMENT-SIGNATURE"


def test_a_payment_challenge_names_its_rail() -> None:
    challenge = asked(payment())
    assert challenge is not None
    assert (challenge.rail, challenge.amount, challenge.payee) == (
        "card",
        Money.parse("1.50USD"),
        "acct_7",
    )
    name, value = proof_header(challenge, '{"receipt": "r1"}')
    shown = json.loads(base64.urlsafe_b64decode(value.removeprefix("Payment ") + "=="))
    assert name == "Authorization"
    assert shown["challenge"]["id"] == "i1"
    assert shown["payload"] == {"receipt": "r1"}
    other = proof_header(challenge, "r2")[1]
    assert b'{"proof":"r2"}' in base64.urlsafe_b64decode(other.removeprefix("Payment ") + "==")


def test_a_payment_challenge_that_cannot_be_used() -> None:
    assert asked(payment(intent="session")) is None
    assert asked(payment(method="No Rail")) is None
    assert asked(payment({**REQUEST, "currency": "zwl"})) is None
    assert asked(payment({**REQUEST, "amount": "-150"})) is None
    assert asked(payment([1])) is None
    assert asked(payment().replace('realm="shop", ', "")) is None
    assert asked(payment().replace(b64(REQUEST), "!!")) is None
    usdc = asked(payment({**REQUEST, "currency": str(OFFER["asset"])}))
    assert usdc is not None
    assert usdc.amount == Money(150, "USDC")


def test_the_first_that_can_be_paid_wins_and_others_are_passed_over() -> None:
    challenge = asked(f'Basic realm="a", L402 macaroon="x", invoice="bad", {payment()}')
    assert challenge is not None
    assert challenge.rail == "card"
    assert read(402, [("WWW-Authenticate", "Negotiate")], x402()) is not None


def test_what_occurs_twice_or_is_too_long_is_no_challenge() -> None:
    assert asked(f'{L402}, macaroon="other"') is None
    assert asked(L402.replace("AGIAJEem", "A" * (OPAQUE_CHARS_MAX + 1))) is None
    assert asked(L402 + " " * (2 * OPAQUE_CHARS_MAX)) is None
    assert asked(", ".join(["L402 a=b"] * 17 + [L402])) is None


def test_only_a_402_is_a_challenge() -> None:
    assert read(200, [("WWW-Authenticate", L402)], x402()) is None
    assert read(401, [("WWW-Authenticate", L402)], b"") is None


@pytest.mark.parametrize("proof", ["", "ab", "AB" * 32, "ab" * 32 + "\r\nX: y", "a" * 9000])
def test_a_proof_cannot_write_another_header(proof: str) -> None:
    lightning, coin = asked(L402), read(402, [], x402())
    assert lightning is not None
    assert coin is not None
    with pytest.raises(MalformedChallenge):
        proof_header(lightning, proof)
    if not proof.isprintable() or len(proof) > 8192 or not proof:
        with pytest.raises(MalformedChallenge):
            proof_header(coin, proof)


@given(
    st.lists(st.tuples(st.sampled_from(["www-authenticate", "payment-required"]), st.text())),
    st.binary(max_size=200),
)
def test_any_answer_gives_a_challenge_or_none(headers: list[tuple[str, str]], body: bytes) -> None:
    challenge = read(402, headers, body)
    assert challenge is None or 0 < challenge.amount.micro <= MICRO_MAX


@given(st.from_regex(r'(L402|Payment) [a-z]{1,8}="[ -~]{0,20}", (invoice|macaroon)=[!-~]{0,20}'))
def test_any_header_gives_a_challenge_or_none(value: str) -> None:
    challenge = asked(value)
    assert challenge is None or len(challenge.opaque) <= OPAQUE_CHARS_MAX
