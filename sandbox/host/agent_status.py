"""One agent as `status` shows it."""

from dataclasses import dataclass
from enum import StrEnum

from sandbox.host.usage import Usage


class Condition(StrEnum):
    """What an agent is doing, in one word."""

    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing-off"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """One agent. `why` is empty while all is well.

    Attributes:
        memory_bytes: what its workers hold now; pages that they share count for each.
        usage: since the node was started.
    """

    name: str
    condition: Condition
    why: str
    workers: int
    running: int
    waiting: int
    restarts: int
    wasm_sha256: bytes | None
    memory_bytes: int
    usage: Usage
