"""The agent's own journal: append, read in order, search by words or meaning."""

from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.find import FindEntries
from sandbox.ports import JournalPort, TaskRun
from sandbox.request import AppendEntry, ReadEntries, SearchEntries

ANSWER_BYTES_MAX = 1 << 20


def append(port: JournalPort, task: TaskRun, wish: AppendEntry, *, number: int) -> str:
    """Stage an entry; it is committed with the task's result."""
    return port.stage(
        agent=task.agent,
        task_id=task.id,
        number=number,
        originator=task.originator,
        tag=wish.tag,
        text=wish.text,
    )


def read(port: JournalPort, task: TaskRun, wish: ReadEntries) -> str:
    """Entries after a cursor."""
    return _fitting(
        port.read(agent=task.agent, task_id=task.id, after=wish.after, limit=wish.limit)
    )


async def search(port: JournalPort, task: TaskRun, wish: SearchEntries) -> str:
    """The best entries for some words."""
    return _fitting(await port.search(agent=task.agent, query=wish.query, limit=wish.limit))


async def find(port: JournalPort, task: TaskRun, wish: FindEntries) -> str:
    """The best entries for words, for their meaning, or for both."""
    return _fitting(await port.find(agent=task.agent, wish=wish))


def _fitting(answer: str) -> str:
    if len(answer.encode()) > ANSWER_BYTES_MAX:
        raise ActFailed(FaultCode.INVALID, "the answer is over 1 MiB; ask with a smaller limit")
    return answer
