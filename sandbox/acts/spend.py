"""Money: what is left, what would be paid, and one payment."""

from sandbox.charge import Charge, Quote
from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.outside import Grants, PursePort
from sandbox.ports import TaskRun
from sandbox.request import AskBalance


async def spend(
    port: PursePort | None,
    task: TaskRun,
    wish: AskBalance | Quote | Charge,
    *,
    number: int,
    grants: Grants,
) -> str:
    """The answer as JSON. What a charge costs was reserved before."""
    if port is None:
        raise ActFailed(FaultCode.UNAVAILABLE, "this node has no purse")
    match wish:
        case AskBalance():
            return port.balance(task.agent)
        case Quote(cost):
            return port.quote(task.agent, cost, grants)
        case Charge():
            return await port.pay(task_id=task.id, number=number, agent=task.agent, charge=wish)
