"""What is written down about an agent itself: in the audit log, and for its owner to read."""

import contextlib
from collections.abc import Callable

from sandbox.audit import Event
from sandbox.errors import AuditUnavailable, PortRefused
from sandbox.host.boundary import Desk
from sandbox.host.worker_session import Ending
from sandbox.ports import TaskRun


class AgentRecords:
    """Of one agent. `stop` ends it, with the reason: what cannot be recorded may not act."""

    def __init__(self, desk: Desk, stop: Callable[[str], None]) -> None:
        self._desk = desk
        self._name = desk.spec.name
        self._ports = desk.boundary.ports
        self._stop = stop

    def stopped(self, why: str) -> None:
        self._ports.log.note("agent.stopped", agent=self._name, why=why)

    def worker_lost(self, why: str) -> None:
        self._ports.log.note("agent.worker_lost", agent=self._name, why=why)

    def admitted(self, sha256: bytes) -> None:
        """A component was let in, with these powers."""
        granted = " ".join(sorted(self._desk.spec.capabilities)) or "nothing"
        self._record(Event.ADMITTED, code="", detail=f"wasm {sha256.hex()} may use {granted}")

    def violated(self, detail: str, why: str, task: TaskRun | None = None) -> None:
        """A worker broke its jail; the agent stops."""
        self._record(Event.VIOLATION, code="violation", detail=detail, task=task)
        name = task.id.hex() if task else ""
        self._ports.log.note("agent.violation", agent=self._name, task=name, why=why)
        self._stop(f"violation: a worker broke its jail ({why})")

    def killed(self, ending: Ending, task: TaskRun) -> None:
        # The kill has happened; a log that is full must not bring the worker back.
        with contextlib.suppress(AuditUnavailable):
            detail = f"the node ended the worker: {ending}"
            self._desk.note(Event.KILLED, code=ending.value, detail=detail, task=task)

    def withdraw(self, task: TaskRun) -> None:
        """Nobody waits for a person any more; what was answered already stays as it is."""
        approvals = self._ports.approvals
        assert approvals is not None, "somebody was asked"
        try:
            approvals.withdraw(task.id, "the task has ended")
        except (PortRefused, AuditUnavailable) as trouble:
            # It expires by itself; until then a yes to it is good for nothing.
            self._ports.log.note("approval.not_withdrawn", why=str(trouble))

    def _record(self, event: Event, *, code: str, detail: str, task: TaskRun | None = None) -> None:
        try:
            self._desk.note(event, code=code, detail=detail, task=task)
        except AuditUnavailable as unavailable:
            self._stop(str(unavailable))
