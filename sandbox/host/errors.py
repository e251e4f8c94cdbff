"""What starting and compiling can fail with, besides what `sandbox.errors` names."""

from typing import TYPE_CHECKING

from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from sandbox.host.zygote import Exit


class SpawnFailed(SandboxError):
    """No worker came of it. May pass: retry with a pause."""

    hint = "akshi-node doctor"

    def __init__(self, *, why: str, how: "Exit | None" = None) -> None:
        super().__init__(f"no worker: {why}")
        self.why = why
        self.how = how


class ComponentRefused(SandboxError):
    """The component asks for more than the contract gives, or is none. Fix the agent."""

    hint = "akshi-node agents list"

    def __init__(self, *, why: str) -> None:
        super().__init__(f"component refused: {why}")
        self.why = why
