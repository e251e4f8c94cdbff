"""A node's money that is not there."""

from akshi_mesh.api.shapes_spend import SpendInfo

SPEND: SpendInfo = {
    "halted": False,
    "forced": False,
    "since_ms": None,
    "cut_off": 0,
    "day": "2026-01-02",
    "node_daily": None,
    "node_spent": ["0.50EUR"],
    "agents": [],
    "open": [],
    "ledger": [],
}


class FakeSpend:
    """That part of a `Control`."""

    async def spend_show(self) -> SpendInfo:
        return SPEND

    async def spend_kill(self) -> SpendInfo:
        return {**SPEND, "halted": True}

    async def spend_resume(self) -> SpendInfo:
        return SPEND
