"""Tasks for other agents: send one, wait for those that were sent, cancel one.

An agent waits only for tasks that it sent in this same task, and never for an agent
that is waiting for it: that would hold both until the task expires.
"""

from collections.abc import Mapping

from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.ports import TaskPort, TaskRun
from sandbox.request import CancelTask, SendTask, WaitForTasks

Sent = Mapping[str, str]  # id of each task this task has sent, and its target


def send(
    port: TaskPort, task: TaskRun, wish: SendTask, *, number: int, me: str, target: str
) -> str:
    """Store the outgoing task; its id. `target` is the address that the policy checked."""
    return port.send(
        task_id=task.id,
        number=number,
        from_agent=task.agent,
        # Whoever began it stays named: a chain without agents begins with its node.
        chain=(*(task.chain or (task.sender,)), f"{me}/{task.agent}"),
        target=target,
        parts_json=wish.parts_json,
        expires_ms=task.expires_ms,
    )


async def wait(
    port: TaskPort, task: TaskRun, wish: WaitForTasks, *, sent: Sent, me: str, left_s: float
) -> str:
    """The A2A Task that ended first, or `null`. `left_s` is what the waiting task has left."""
    chain = {*task.chain, f"{me}/{task.agent}"}
    for id in wish.ids:
        if id not in sent:
            raise ActFailed(FaultCode.INVALID, f"{id} was not sent by this task")
        if sent[id] in chain:
            raise ActFailed(FaultCode.NOT_ALLOWED, f"{sent[id]} waits for this task itself")
    if not wish.ids:
        return "null"
    timeout_s = max(0.0, min(wish.timeout_ms / 1_000, left_s))
    ended = await port.wait(task_id=task.id, ids=wish.ids, timeout_s=timeout_s)
    return "null" if ended is None else ended.task_json


def cancel(port: TaskPort, task: TaskRun, wish: CancelTask, *, sent: Sent) -> str:
    """Ask for its end. What it answers, if anything, comes through `wait`."""
    if wish.id not in sent:
        raise ActFailed(FaultCode.INVALID, f"{wish.id} was not sent by this task")
    port.cancel(task_id=task.id, id=wish.id)
    return ""
