"""What an agent may do: the eight capabilities, and the functions that need them.

This table is the whole inventory. A function that is not in it does not exist
for a guest; one without a capability reaches nothing but the task itself.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Capability(StrEnum):
    """One kind of power over the world. Names as in `[agents.capabilities]`."""

    INFERENCE = "inference"
    JOURNAL = "journal"
    DATABASE = "database"
    HTTP_FETCH = "http_fetch"
    A2A = "a2a"
    MCP = "mcp"
    FILESYSTEM = "filesystem"
    SPEND = "spend"


class Parameter(StrEnum):
    """The two types that cross the border of a guest."""

    TEXT = "text"
    U32 = "u32"


class Effect(StrEnum):
    """What performing a call does, which decides how it is recorded and remembered.

    NONE reaches nothing but the task. READ looks and changes nothing. LOCAL
    changes this node's store, in the transaction that also remembers the answer. STAGED
    changes what only the task sees until it ends; a later attempt does it again. OUTSIDE
    leaves the node and cannot be taken back: at most once, whatever happens.
    """

    NONE = "none"
    READ = "read"
    LOCAL = "local"
    STAGED = "staged"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of sandbox/wit/akshi.wit, under the name the frames carry."""

    name: str
    capability: Capability | None
    parameters: tuple[Parameter, ...]
    effect: Effect


_TEXT, _U32 = Parameter.TEXT, Parameter.U32

_ALL = (
    Function("inference.prompt", Capability.INFERENCE, (_TEXT,), Effect.OUTSIDE),
    Function("journal.append", Capability.JOURNAL, (_TEXT, _TEXT), Effect.LOCAL),
    Function("journal.read", Capability.JOURNAL, (_TEXT, _U32), Effect.READ),
    Function("journal.search", Capability.JOURNAL, (_TEXT, _U32), Effect.READ),
    Function("journal.find", Capability.JOURNAL, (_TEXT,), Effect.READ),
    Function("database.query", Capability.DATABASE, (_TEXT, _TEXT), Effect.STAGED),
    Function("database.execute", Capability.DATABASE, (_TEXT, _TEXT), Effect.STAGED),
    Function("http-fetch.fetch", Capability.HTTP_FETCH, (_TEXT,), Effect.OUTSIDE),
    Function("a2a.send", Capability.A2A, (_TEXT, _TEXT), Effect.LOCAL),
    Function("a2a.wait", Capability.A2A, (_TEXT, _U32), Effect.READ),
    Function("a2a.cancel", Capability.A2A, (_TEXT,), Effect.LOCAL),
    Function("mcp.list-tools", Capability.MCP, (_TEXT,), Effect.READ),
    Function("mcp.call-tool", Capability.MCP, (_TEXT, _TEXT, _TEXT), Effect.OUTSIDE),
    Function("filesystem.list-files", Capability.FILESYSTEM, (_TEXT, _TEXT, _U32), Effect.READ),
    Function("filesystem.read-file", Capability.FILESYSTEM, (_TEXT,), Effect.READ),
    Function("spend.balance", Capability.SPEND, (), Effect.READ),
    Function("spend.quote", Capability.SPEND, (_TEXT,), Effect.READ),
    Function("spend.charge", Capability.SPEND, (_TEXT,), Effect.OUTSIDE),
    Function("task.progress", None, (_TEXT,), Effect.LOCAL),
    Function("task.is-cancelled", None, (), Effect.NONE),
    Function("task.log", None, (_TEXT, _TEXT), Effect.NONE),
    Function("task.now", None, (), Effect.NONE),
    Function("task.random", None, (_U32,), Effect.NONE),
)

FUNCTIONS: Final = {function.name: function for function in _ALL}
