"""The agent's own SQLite database: ask it, change it.

What a task changes is staged: only the task sees it, until it ends well.
"""

from sandbox.ports import DatabasePort, TaskRun
from sandbox.sql import Statement


async def query(port: DatabasePort, task: TaskRun, statement: Statement) -> str:
    """Rows, as JSON."""
    return await port.query(task.agent, task.id, statement)


async def execute(port: DatabasePort, task: TaskRun, statement: Statement) -> str:
    """How many rows changed, as JSON."""
    return await port.execute(task.agent, task.id, statement)
