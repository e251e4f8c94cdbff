"""HTTP 402: what a server wants to be paid, and the header that proves it was.

Read from three schemes into one bounded value. A server may claim what it likes: the
amount only becomes money where its unit is known here, and what cannot be read is no
challenge. Sources: L402 (lightninglabs/L402 protocol-specification, BOLT 11), x402
(specification v1 and v2), draft-httpauth-payment-01.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sandbox import guest_json
from sandbox.errors import MalformedChallenge, MalformedJson, MalformedMoney, MalformedSpendPolicy
from sandbox.spend import PAYEE_CHARS_MAX, Money, check_rail

PAYMENT_REQUIRED = 402
OPAQUE_CHARS_MAX = 8_192  # a macaroon with its caveats, an x402 requirement
PROOF_CHARS_MAX = 8_192
OFFERS_MAX = 16  # ways to pay that are looked at

L402: Final = "l402"
X402: Final = "x402"
X402_2: Final = "x402-2"
PAYMENT: Final = "payment"

_START = re.compile(r"(?:^|,)\s*(L402|LSAT|Payment)\s+", re.IGNORECASE)
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z_]+)=("(?:[^"\\]|\\.)*"|[^\s,"]+)')
_INVOICE = re.compile(r"ln(?:bcrt|bc|tbs|tb)([1-9][0-9]{0,11})([munp]?)1[02-9ac-hj-np-z]{60,}")
_MACAROON = re.compile(r"[A-Za-z0-9+/=_-]+")
_PREIMAGE = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[!-~]+")  # of a header: printable ASCII without a space
# Millionths of a satoshi in one unit of the invoice: 1 bitcoin has 10**8 satoshi.
_MICRO_SAT = {"": 10**14, "m": 10**11, "u": 10**8, "n": 10**5, "p": 10**2}
# Contracts of USDC, six decimals each, test networks too: what a server calls the asset
# counts for nothing. Source: Circle's list of USDC contract addresses.
_USDC = frozenset(
    {
        "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913",  # Base
        "0x036cbd53842c5426634e7929541ec2318f3dcf7e",  # Base Sepolia
        "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",  # Ethereum
        "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359",  # Polygon
        "0xb97ef9ef8734c71904d8002f8b6bc66dd9c48a6e",  # Avalanche
        "0x5425890298aed601595a70ab815c96711a31bc65",  # Avalanche Fuji
        "epjfwdd5aufqssqem2qn1xzybapc8g4weggkzwytdt1v",  # Solana
    }
)
# Micro-units in one base unit of what a Payment challenge names.
_BASE_UNITS = {"usd": 10_000, "eur": 10_000, "gbp": 10_000, "chf": 10_000, "jpy": 10**6}


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to pay for one resource.

    Attributes:
        scheme: how the proof is shown: l402, x402, x402-2 or payment.
        rail: what pays it: l402, x402, or the method of a Payment challenge.
        opaque: what the proof must repeat; only the node and the rail see it.
    """

    scheme: str
    rail: str
    amount: Money
    payee: str
    opaque: str

    def __post_init__(self) -> None:
        if not self.payee or len(self.payee) > PAYEE_CHARS_MAX or not self.payee.isprintable():
            raise MalformedChallenge(self.scheme, why="no payee that can be shown")
        if len(self.opaque) > OPAQUE_CHARS_MAX:
            raise MalformedChallenge(self.scheme, why=f"over {OPAQUE_CHARS_MAX} characters")
        if self.amount.micro == 0:
            raise MalformedChallenge(self.scheme, why="asks for nothing")
        try:
            check_rail(self.rail)
        except MalformedSpendPolicy as malformed:
            raise MalformedChallenge(self.scheme, why=malformed.why) from malformed


class PaymentsPort(Protocol):
    """What an HTTP client needs of the purse, to be paid for by an agent."""

    def challenged(self, agent: str, origin: str, challenge: Challenge) -> str:
        """Keep `challenge`, which came from `origin` (scheme://host:port); its id."""

    def proof(self, agent: str, payment: str, origin: str) -> tuple[str, str]:
        """The header that proves `payment`, name and value.

        Raises:
            PortRefused: not a payment of this agent to this origin, or one without a proof.
        """


def read(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Challenge | None:
    """The first way to pay that we understand, or None. Never raises."""
    if status != PAYMENT_REQUIRED:
        return None
    for offer in _offers(headers, body):
        try:
            return offer()
        except (MalformedChallenge, MalformedMoney, MalformedJson):
            continue
    return None


def _offers(headers: Iterable[tuple[str, str]], body: bytes) -> Iterator["_Offer"]:
    count = 0
    for name, value in headers:
        if name.lower() == "payment-required":
            yield _Offer(X402_2, {"text": _decoded(value)})
        if name.lower() != "www-authenticate" or len(value) > 2 * OPAQUE_CHARS_MAX:
            continue
        for start in _START.finditer(value):
            count += 1
            if count > OFFERS_MAX:
                return
            yield _Offer(start[1].lower(), _parameters(value, start.end()))
    yield _Offer(X402, {"text": body[: guest_json.PARTS_BYTES_MAX].decode("utf-8", "replace")})


def _parameters(value: str, at: int) -> dict[str, str]:
    """The parameters from `at`; what occurs twice is dropped, so that it is missed."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    while (match := _PARAMETER.match(value, at)) is not None:
        name, text = match[1].lower(), match[2]
        if name in found:
            twice.add(name)
        found[name] = re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
        at = match.end()
    return {name: text for name, text in found.items() if name not in twice}


@dataclass(frozen=True, slots=True)
class _Offer:
    """One challenge as written: which scheme, which parameters."""

    scheme: str
    given: Mapping[str, str]

    def __call__(self) -> Challenge:
        if self.scheme in {L402, "lsat"}:
            return _l402(self.scheme, self.given)
        if self.scheme == PAYMENT:
            return _payment(self.given)
        return _x402(self.scheme, self.given["text"])


def _l402(scheme: str, given: Mapping[str, str]) -> Challenge:
    macaroon = given.get("macaroon") or given.get("token") or ""
    invoice = given.get("invoice", "").lower()
    match = _INVOICE.fullmatch(invoice)
    if match is None or not _MACAROON.fullmatch(macaroon):
        raise MalformedChallenge(scheme, why="no macaroon, or no invoice with an amount")
    amount = Money(int(match[1]) * _MICRO_SAT[match[2]], "SAT")
    return Challenge(L402, L402, amount, invoice, f"{scheme.upper()} {macaroon}")


def _x402(scheme: str, text: str) -> Challenge:
    table = _object(guest_json.read(text))
    offers = table.get("accepts")
    for offer in offers[:OFFERS_MAX] if isinstance(offers, list) else []:
        asset, digits = str(_object(offer).get("asset", "")), offer.get("maxAmountRequired")
        digits = offer.get("amount") if digits is None else digits
        if offer.get("scheme") != "exact" or asset.lower() not in _USDC:
            continue
        amount = Money(_base_units(scheme, digits), "USDC")
        return Challenge(scheme, X402, amount, str(offer.get("payTo", "")), guest_json.write(offer))
    raise MalformedChallenge(scheme, why="nothing that can be paid exactly in a known coin")


def _payment(given: Mapping[str, str]) -> Challenge:
    names = ("id", "realm", "method", "intent", "request")
    if any(name not in given for name in names) or given["intent"] != "charge":
        raise MalformedChallenge(PAYMENT, why="not a complete challenge to charge")
    request = _object(guest_json.read(_decoded(given["request"])))
    currency = str(request.get("currency", "")).lower()
    unit = 1 if currency in _USDC or currency == "usdc" else _BASE_UNITS.get(currency)
    if unit is None:
        raise MalformedChallenge(PAYMENT, why="a currency nobody here knows")
    code = currency.upper() if currency in _BASE_UNITS else "USDC"
    amount = Money(_base_units(PAYMENT, request.get("amount")) * unit, code)
    kept = {name: given[name] for name in (*names, "expires", "opaque") if name in given}
    payee = str(request.get("recipient", given["realm"]))
    return Challenge(PAYMENT, given["method"], amount, payee, guest_json.write(kept))


def _base_units(scheme: str, digits: object) -> int:
    if not isinstance(digits, str) or not re.fullmatch(r"[0-9]{1,16}", digits):
        raise MalformedChallenge(scheme, why="an amount is a text of at most 16 digits")
    return int(digits)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedJson("want an object")
    return value


def _decoded(text: str) -> str:
    """Base64 of either alphabet, with or without padding; "" where it is none."""
    plain = text[: 2 * OPAQUE_CHARS_MAX].rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def proof_header(challenge: Challenge, proof: str) -> tuple[str, str]:
    """Name and value of the header that shows `proof` for `challenge`.

    Raises:
        MalformedChallenge: the rail gave something that is no proof of this scheme.
    """
    if len(proof) > PROOF_CHARS_MAX:
        raise MalformedChallenge(challenge.scheme, why="a proof that is too long")
    match challenge.scheme:
        case "l402":
            if not _PREIMAGE.fullmatch(proof):
                raise MalformedChallenge(L402, why="a preimage is 64 hexadecimal digits")
            return "Authorization", f"{challenge.opaque}:{proof}"
        case "x402" | "x402-2":
            if not _TOKEN.fullmatch(proof):
                raise MalformedChallenge(X402, why="a payload is base64")
            is_new = challenge.scheme == X402_2
            return ("PAYMENT-SIGNATURE" if is_new else "X-PAYMENT"), proof
        case _:
            try:
                payload = _object(guest_json.read(proof))
            except MalformedJson:
                payload = {"proof": proof}
            shown = {"challenge": json.loads(challenge.opaque), "payload": payload}
            data = base64.urlsafe_b64encode(guest_json.write(shown).encode())
            return "Authorization", f"Payment {data.decode().rstrip('=')}"
