"""All agents of a node: who runs, what runs, and the end of it.

    run_task(task) ─▶ AgentRunner ─▶ worker     cancel, stop_now, the watchdog ─▶ SIGKILL

The watchdog is one task for all agents: it looks at every session a few times a
second, so that a deadline costs no timer of its own.
"""

from collections.abc import Sequence
from typing import NoReturn

import trio

from sandbox.agent_spec import AgentSpec
from sandbox.errors import AuditUnavailable, UnknownAgent
from sandbox.host.agent_runner import AgentRunner
from sandbox.host.agent_status import AgentStatus
from sandbox.host.boundary import Boundary, Desk
from sandbox.host.compile import Compiler
from sandbox.host.zygote import Zygote
from sandbox.ports import Failed, Interrupted, Outcome, TaskRun

TICK_S = 0.05  # how late a deadline may be enforced
FLUSH_S = 1.0  # how long folded audit records may wait


class Supervisor:
    """A service: construct, then ``await nursery.start(supervisor.run)``.

    Args:
        agents: what may run here; names are distinct.
        boundary: the node's side of host calls.
        zygote: a running service, or one that runs before a worker is needed.
        compiler: makes code of the agents' files.
        refusal: why no agent may start on this host (the jail is missing), or None.
    """

    def __init__(
        self,
        agents: Sequence[AgentSpec],
        *,
        boundary: Boundary,
        zygote: Zygote,
        compiler: Compiler,
        refusal: str | None = None,
    ) -> None:
        assert len({spec.name for spec in agents}) == len(agents), "agents have distinct names"
        self._specs = tuple(agents)
        self._boundary = boundary
        self._zygote = zygote
        self._compiler = compiler
        self._refusal = refusal
        self._runners: dict[str, AgentRunner] = {}
        self._desks: list[Desk] = []
        self._stopped_why: str | None = None

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Hold the agents until cancelled; then none of them runs."""
        for spec in self._specs:
            desk = self._boundary.desk(spec)
            self._desks.append(desk)
            self._runners[spec.name] = AgentRunner(spec, desk, self._zygote, self._compiler)
        try:
            async with trio.open_nursery() as nursery:
                for runner in self._runners.values():
                    if self._refusal is None:
                        nursery.start_soon(runner.run)
                    else:
                        runner.stop(self._refusal)
                task_status.started()
                await self._watch()
        finally:
            self.stop_now("the node is stopping")
            self._close_ledgers()
        raise AssertionError("unreachable: the watchdog ends only by raising")

    async def run_task(self, task: TaskRun) -> Outcome:
        """Run a task to its end. If this is cancelled, the task has no outcome.

        Raises:
            AgentBusy: the agent's queue is full.
        """
        if self._stopped_why is not None:
            return Interrupted(self._stopped_why)
        runner = self._runners.get(task.agent)
        if runner is None:
            return Failed("agent-stopped", f"no agent {task.agent} on this node")
        return await runner.run_task(task)

    def cancel(self, task_id: bytes) -> bool:
        """Ask a task to end: it is told, and killed a second later. False if it is not here."""
        return any(runner.cancel(task_id) for runner in self._runners.values())

    def stop_now(self, why: str = "the node is stopping") -> None:
        """No agent runs and no call of one acts any more when this returns. Blocks for nothing.

        What ran has no outcome (`Interrupted`): another attempt is due after the next start.
        """
        if self._stopped_why is None:
            self._stopped_why = why
        self._boundary.stop(why)
        for runner in self._runners.values():
            runner.stop(why, node_stops=True)
        self._zygote.kill_all()

    async def wait_stopped(self) -> None:
        """Return when the processes that `stop_now` killed have ended; a few ms after it."""
        await self._zygote.wait_none()

    def status(self) -> list[AgentStatus]:
        """Every agent, by name."""
        return [self._runners[name].status for name in sorted(self._runners)]

    def agent(self, name: str) -> AgentRunner:
        """The agent of this name, for its owner to start, hold, restart or reload.

        Raises:
            UnknownAgent: there is none.
        """
        runner = self._runners.get(name)
        if runner is None:
            raise UnknownAgent(name)
        return runner

    async def _watch(self) -> NoReturn:
        flushed_s = trio.current_time()
        while True:
            await trio.sleep(TICK_S)
            now_s = trio.current_time()
            for runner in self._runners.values():
                if runner.sessions:
                    runner.end_overdue(now_s)
            if now_s - flushed_s >= FLUSH_S:
                flushed_s = now_s
                self._flush_ledgers()

    def _flush_ledgers(self) -> None:
        now_ms = self._boundary.wall_ms()
        for desk in self._desks:
            try:
                desk.ledger.flush(now_ms)
            except AuditUnavailable as unavailable:
                self._boundary.ports.log.note("audit.unavailable", why=str(unavailable))

    def _close_ledgers(self) -> None:
        for desk in self._desks:
            try:
                desk.ledger.close()
            except AuditUnavailable as unavailable:
                self._boundary.ports.log.note("audit.unavailable", why=str(unavailable))
