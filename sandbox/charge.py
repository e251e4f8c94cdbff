"""What a guest asks of `spend`: read strictly, so that nobody pays what nobody meant.

{"amount_micros": 500000, "currency": "EUR", "rail": "ledger", "payee": "shop",
 "memo": "one map", "challenge": "9f…"}        the last two may be missing
"""

from dataclasses import dataclass

from sandbox import guest_json
from sandbox.errors import MalformedJson, MalformedMoney, MalformedRequest, MalformedSpendPolicy
from sandbox.spend import INFERENCE, PAYEE_CHARS_MAX, Cost, Money, check_rail

MEMO_CHARS_MAX = 256
CHALLENGE_CHARS = 32  # hexadecimal digits of a challenge's or a payment's id
_NEEDED = frozenset({"amount_micros", "currency", "rail", "payee"})
_KEYS = _NEEDED | {"memo", "challenge"}


@dataclass(frozen=True, slots=True)
class Charge:
    """Pay this, once."""

    cost: Cost
    memo: str
    challenge: str | None


@dataclass(frozen=True, slots=True)
class Quote:
    """Would this be paid, and if not, why."""

    cost: Cost


def read_charge(text: str) -> Charge:
    """The charge of `text`.

    Raises:
        MalformedJson: no strict JSON (NaN, a key twice, nested deep).
        MalformedRequest: a key too many or too few, or a value of another kind.
    """
    table = guest_json.read(text)
    if not isinstance(table, dict):
        raise MalformedRequest("spend.charge", why="want an object")
    missing, extra = _NEEDED - table.keys(), table.keys() - _KEYS
    if missing or extra:
        wrong = sorted(missing)[0] if missing else sorted(extra)[0][:40]
        raise MalformedRequest("spend.charge", why=f"{wrong!r} is missing or unknown")
    try:
        money = Money(table["amount_micros"], table["currency"])
        rail = check_rail(_text("rail", table["rail"], 64))
    except MalformedMoney as malformed:
        raise MalformedRequest("spend.charge", why=malformed.why) from malformed
    except MalformedSpendPolicy as malformed:
        raise MalformedRequest("spend.charge", why=malformed.why) from malformed
    if money.micro == 0 or rail == INFERENCE:
        raise MalformedRequest("spend.charge", why="want an amount, and a rail to send it by")
    payee = _text("payee", table["payee"], PAYEE_CHARS_MAX)
    if not payee or not payee.isprintable():
        raise MalformedRequest("spend.charge", why="want a payee in printable characters")
    memo = _text("memo", table.get("memo", ""), MEMO_CHARS_MAX)
    return Charge(Cost(money, rail, payee), memo, _challenge(table))


def read_quote(text: str) -> Quote:
    """The question of `text`: the same object as a charge. Raises as `read_charge`."""
    return Quote(read_charge(text).cost)


def check_payment_id(id: object) -> str:
    """`id` itself, if it has the form of a payment's id (a challenge's is the same).

    Raises:
        MalformedJson: it has not.
    """
    is_text = isinstance(id, str) and len(id) == CHALLENGE_CHARS
    if not isinstance(id, str) or not is_text or id.strip("0123456789abcdef"):
        raise MalformedJson(f"want an id of {CHALLENGE_CHARS} hexadecimal digits")
    return id


def _challenge(table: dict[str, object]) -> str | None:
    return check_payment_id(table["challenge"]) if "challenge" in table else None


def _text(key: str, value: object, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise MalformedRequest("spend.charge", why=f"{key} wants text of at most {limit}")
    return value
