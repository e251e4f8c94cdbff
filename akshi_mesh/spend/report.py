"""What people are told about the money of a node."""

from collections.abc import Iterable

from akshi_mesh.api.shapes_spend import AgentBudget, OpenPayment, SpendInfo
from akshi_mesh.spend.answers import day_text
from akshi_mesh.spend.book import NODE_SCOPE, Payment, agent_scope
from akshi_mesh.spend.purse import Purse
from sandbox.agent_spec import AgentSpec
from sandbox.reservation import Standing
from sandbox.spend import Money, SpendPolicy


def spend_info(
    purse: Purse, agents: Iterable[AgentSpec], *, wall_ms: int, cut_off: int = 0
) -> SpendInfo:
    """Everything about money, as it is now."""
    book = purse.book
    day = book.today(wall_ms)
    payments = [*book.open(Standing.RESERVED), *book.open(Standing.UNKNOWN)]
    return {
        "halted": purse.halted,
        "forced": purse.switch.forced,
        "since_ms": purse.switch.since_ms,
        "cut_off": cut_off,
        "day": day_text(day),
        "node_daily": str(purse.node_cap) if purse.node_cap else None,
        "node_spent": _texts(book.counted(day, NODE_SCOPE)),
        "agents": [
            _budget(spec.name, spec.spend, book.counted(day, agent_scope(spec.name)))
            for spec in agents
            if spec.spend is not None
        ],
        "open": list(map(_open, payments)),
        "ledger": [
            {"account": account, "currency": currency, "micros": micro}
            for account, currency, micro in purse.ledger.accounts()
        ],
    }


def _budget(name: str, policy: SpendPolicy, spent: tuple[Money, ...]) -> AgentBudget:
    return {
        "name": name,
        "daily": str(policy.daily),
        "per_action": str(policy.per_action) if policy.per_action else None,
        "rails": list(policy.rails),
        "simulation": policy.simulation,
        "spent": _texts(spent),
    }


def _open(payment: Payment) -> OpenPayment:
    return {
        "payment": payment.id.hex(),
        "at_ms": payment.at_ms,
        "agent": payment.agent,
        "amount": str(payment.reservation.money),
        "rail": payment.rail,
        "payee": payment.payee,
        "standing": payment.reservation.standing.value,
    }


def _texts(amounts: Iterable[Money]) -> list[str]:
    return [str(amount) for amount in amounts]
