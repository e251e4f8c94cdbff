"""What every agent may do with its own task: say how far it is, ask the time, draw lots.

Time and randomness are host calls because their answers are remembered: a second
attempt at a task sees the same ones.
"""

from collections.abc import Callable

from sandbox.ports import GuestLog, TaskPort, TaskRun
from sandbox.request import DrawRandom, ReportProgress, WriteLog


def progress(port: TaskPort, task: TaskRun, wish: ReportProgress) -> str:
    """Tell whoever sent the task."""
    port.progress(task_id=task.id, text=wish.text)
    return ""


def log(log: GuestLog, task: TaskRun, wish: WriteLog) -> str:
    """One line in the node's structured log, as a field that cannot forge another line."""
    log.guest_said(agent=task.agent, task_id=task.id, level=wish.level, text=wish.text)
    return ""


def now(wall_ms: Callable[[], int]) -> str:
    """Milliseconds since 1970-01-01 UTC, in decimal digits."""
    return str(wall_ms())


def random(draw: Callable[[int], bytes], wish: DrawRandom) -> str:
    """That many bytes from the node's own source, in hexadecimal digits."""
    return draw(wish.count).hex()


def is_cancelled(*, cancelled: bool) -> str:
    """`true` or `false`."""
    return "true" if cancelled else "false"
