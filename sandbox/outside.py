"""What acts beyond the agent's own node store need of the node, as protocols sandbox owns.

As in `sandbox.ports`: a method that cannot do what is asked raises `PortRefused(code, why)`,
and then nothing has left the node, unless the code is `unknown`. `still_allowed` is asked
right before bytes leave and while they come: a text is the reason to stop at once.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from sandbox.approvals import Decision, Question
from sandbox.bounds import Bounds
from sandbox.charge import Charge
from sandbox.endpoint import Url
from sandbox.fetch import FetchOrder
from sandbox.mcp_server import CallTool, ListTools
from sandbox.ports import TaskRun
from sandbox.prompt import ModelAnswer, Prompt, Route
from sandbox.redaction import Redactor
from sandbox.secrets import Injection
from sandbox.spend import Account, Cost, Money

Grants = tuple[tuple[str, Money | None], ...]
StillAllowed = Callable[[], str | None]


class ApprovalPort(Protocol):
    """People who say yes or no."""

    async def ask(self, question: Question) -> Decision:
        """Wait for the answer. Cancelling leaves the question open: the node may only stop."""

    def consume(self, approval: str, subject: bytes, *, now_ms: int) -> None:
        """Use `approval` up, inside the open transaction.

        Args:
            approval: its id.
            subject: hash of what would happen now.
            now_ms: the wall clock.

        Raises:
            PortRefused: not approved, expired, used already, or another subject.
        """

    def withdraw(self, task_id: bytes, why: str) -> None:
        """Nobody waits any more for what this task asked."""


class PursePort(Protocol):
    """Money: what is spent, what is reserved, and the rails that move it."""

    @property
    def halted(self) -> bool:
        """Whether the kill switch of money is on."""

    def paying(self, *, task_id: bytes, number: int) -> AbstractContextManager[None]:
        """Around every act that costs money: the kill switch cancels what is in the block.

        Raises:
            PortRefused: the switch is on; or it was cut off, and its end is unknown.
        """

    def account(self, agent: str, grants: Grants) -> Account:
        """What counts against the caps today.

        Args:
            agent: its name.
            grants: whose work it is, and what each of them was granted a day.
        """

    def reserve(
        self, *, task_id: bytes, number: int, agent: str, whose: tuple[str, ...], cost: Cost
    ) -> None:
        """Count `cost` as spent, inside the open transaction."""

    def holds(self, *, task_id: bytes, number: int) -> bool:
        """Whether something is reserved for this call."""

    def commit(self, *, task_id: bytes, number: int, actual: Money | None) -> None:
        """It happened and did cost `actual`; None: all that was reserved."""

    def release(self, *, task_id: bytes, number: int) -> None:
        """It provably did not happen."""

    async def pay(self, *, task_id: bytes, number: int, agent: str, charge: Charge) -> str:
        """Pay what was reserved for this call, by its rail; the receipt as JSON."""

    def quote(self, agent: str, cost: Cost, grants: Grants) -> str:
        """Whether it would be paid, and if not why, as JSON."""

    def balance(self, agent: str) -> str:
        """What the agent may still spend today, as JSON."""

    def lose(self, *, task_id: bytes, number: int) -> None:
        """Nobody knows whether it happened: what was reserved stays counted."""


class HttpPort(Protocol):
    """The web."""

    async def fetch(self, order: FetchOrder) -> str:
        """The answer, as JSON."""


class SecretsPort(Protocol):
    """Credentials: bound to places, put in at the last moment, never seen by a guest."""

    def names_for(self, agent: str, url: Url, method: str) -> tuple[str, ...]:
        """What would be put into such a request."""

    def injections(self, agent: str, url: Url, method: str) -> tuple[Injection, ...]:
        """What is put into a request that has passed every check."""

    def leaks(self, agent: str, *texts: bytes) -> str | None:
        """The name of a secret that stands in what a guest wants to send, or None."""

    def redactor(self, agent: str) -> Redactor:
        """Blots out, in one answer, what an honest server may echo."""


class ModelPort(Protocol):
    """Language models."""

    def route(self, agent: str, prompt: Prompt) -> Route:
        """Where the prompt would go, and what it can cost at most. Nothing leaves the node.

        Raises:
            PortRefused: there is no such route, or none at all.
        """

    async def prompt(
        self, agent: str, route: Route, prompt: Prompt, *, still_allowed: StillAllowed
    ) -> ModelAnswer:
        """What the model answered; secrets of the node are blotted out."""


class BoundsPort(Protocol):
    """Whose work a task is."""

    def bounds(self, run: TaskRun) -> tuple[Bounds, ...]:
        """What each of those it came from was given, as trust stands now; () for the owner's."""


class ToolPort(Protocol):
    """MCP servers of agents."""

    async def list_tools(self, agent: str, wish: ListTools, *, still_allowed: StillAllowed) -> str:
        """The tools an agent may call, as JSON."""

    async def call_tool(self, agent: str, wish: CallTool, *, still_allowed: StillAllowed) -> str:
        """What the tool answered, as JSON."""

    def pin_problem(self, agent: str, wish: CallTool) -> str | None:
        """Why this tool may not be called as it is now, or None."""
