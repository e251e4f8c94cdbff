"""The same journals on every node, and every task once.

Machines and values are re-exported here; what touches the disk is imported by its full path
(`sync.store.…`).
"""

from sync import clock, errors
from sync.author import Author
from sync.clock import Moment
from sync.errors import SyncError
from sync.proto.task_limits import Limits
from sync.proto.task_records import Origin
from sync.proto.task_states import TaskState
from sync.proto.task_views import TaskView
from sync.proto.tasks import Tasks
from sync.proto.tasks_sending import Order

__all__ = [
    "Author",
    "Limits",
    "Moment",
    "Order",
    "Origin",
    "SyncError",
    "TaskState",
    "TaskView",
    "Tasks",
    "clock",
    "errors",
]
