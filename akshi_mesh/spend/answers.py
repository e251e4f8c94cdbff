"""What guests are told about money, as JSON. docs/spec/agent-abi.md has the shapes."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from sandbox.spend import Cost, Refusal, SpendPolicy


def paid(payment: bytes, cost: Cost, state: str, *, has_proof: bool) -> str:
    """`state` is `paid` or `simulated`."""
    return _json(
        {"payment": payment.hex(), "state": state, **_of(cost), "has_proof": has_proof},
    )


def quote(cost: Cost, policy: SpendPolicy | None, refused: Refusal | None) -> str:
    return _json(
        {
            **_of(cost),
            "allowed": refused is None,
            "why": refused[1] if refused else "",
            "simulation": policy is not None and policy.simulation,
        }
    )


def balance(policy: SpendPolicy, *, day: int, spent_micros: int, halted: bool) -> str:
    return _json(
        {
            "day": day_text(day),
            "currency": policy.daily.currency,
            "daily_micros": policy.daily.micro,
            "spent_micros": spent_micros,
            "left_micros": max(0, policy.daily.micro - spent_micros),
            "per_action_micros": policy.per_action.micro if policy.per_action else None,
            "rails": list(policy.rails),
            "simulation": policy.simulation,
            "halted": halted,
        }
    )


def day_text(day: int) -> str:
    """`2026-11-22`; the number of the day where no calendar has it."""
    try:
        return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return str(day)


def _of(cost: Cost) -> dict[str, object]:
    return {
        "amount_micros": cost.money.micro,
        "currency": cost.money.currency,
        "rail": cost.rail,
        "payee": cost.payee,
    }


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
