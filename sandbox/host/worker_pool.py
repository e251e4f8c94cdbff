"""The workers of one agent: made of one module, each for one originator, replaced when lost.

A worker serves one originator; the next task of the same one finds it warm, and a fresh
one stands ready for another. When the module changes, workers of the old one finish what
they do and serve nobody after that.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import trio

from sandbox.agent_spec import AgentSpec
from sandbox.errors import AgentUnavailable, JailMissing, ZygoteLost
from sandbox.host.compile import Compiled
from sandbox.host.errors import ComponentRefused, SpawnFailed
from sandbox.host.worker_session import limits_of
from sandbox.host.zygote import WorkerProcess, Zygote

RESTART_WINDOW_S = 600.0  # failures within it count together
BACKOFF_S_MAX = 300.0
ZYGOTE_PAUSE_S = 0.05  # a new zygote needs about as long
IDLE_EXTRA = 2  # warm workers of other originators kept beside `workers`


@dataclass(slots=True)
class Lease:
    """A worker in the hands of one task."""

    worker: WorkerProcess
    whose: str
    module: Compiled


@dataclass(slots=True)
class _Warm:
    """A worker between two tasks of one originator."""

    worker: WorkerProcess
    whose: str


class WorkerPool:
    """What `AgentRunner` runs tasks in.

    Args:
        spec: of the agent.
        zygote: makes the workers.
        stop: ends the agent for good, with the reason.
        violated: a worker broke its jail before it had a task; with what is known of it.
        lost: a worker was lost, and why.
    """

    def __init__(
        self,
        spec: AgentSpec,
        zygote: Zygote,
        *,
        stop: Callable[[str], None],
        violated: Callable[[str, str], None],
        lost: Callable[[str], None],
    ) -> None:
        self.limits = limits_of(spec)
        self.restarts = 0
        self.trouble = ""
        self._spec = spec
        self._zygote = zygote
        self._stop = stop
        self._violated = violated
        self._lost = lost
        self._module: Compiled | None = None
        self._warm: deque[_Warm] = deque()
        self._fresh: deque[WorkerProcess] = deque()
        self._leased: set[int] = set()
        self._spawning = trio.Lock()
        self._want_fresh = trio.Event()
        self._not_before_s = float("-inf")
        self._failures: deque[float] = deque()
        self._hurry = trio.Event()  # somebody is to look again at once

    @property
    def module(self) -> Compiled | None:
        """What fresh workers are made of."""
        return self._module

    @property
    def is_pausing(self) -> bool:
        return self._not_before_s > trio.current_time()

    @property
    def idle(self) -> int:
        """Workers without a task."""
        return len(self._fresh) + len(self._warm)

    def pids(self) -> list[int]:
        """Every worker that lives, with a task or without."""
        idle = [worker.pid for worker in self._fresh] + [warm.worker.pid for warm in self._warm]
        return sorted({*idle, *self._leased})

    def take_module(self, module: Compiled) -> None:
        """From now on workers are made of `module`; those of the one before serve nobody new."""
        before, self._module = self._module, module
        self.dismiss_all()
        if before is not None and before is not module:
            before.code.close()
        self._want_fresh.set()

    def forget_failures(self) -> None:
        """The owner says start: what failed before counts no more."""
        self._failures.clear()
        self._not_before_s = float("-inf")
        self.trouble = ""

    async def keep_one_ready(self) -> None:
        """Until cancelled, have a fresh worker for whoever comes.

        Raises:
            AgentUnavailable: there will be none.
        """
        while True:
            self._want_fresh = trio.Event()
            async with self._spawning:
                if not self._fresh:
                    self._fresh.append(await self._spawn())
            await self._want_fresh.wait()

    async def lease(self, whose: str) -> Lease:
        """A worker that has served nobody but `whose`, warm if possible.

        Raises:
            AgentUnavailable: there will be none.
        """
        for warm in self._warm:
            if warm.whose == whose or self._spec.share_originators:
                self._warm.remove(warm)
                return self._leased_out(warm.worker, whose)
        # Someone new: one fresh worker is used up, so another is made meanwhile.
        async with self._spawning:
            worker = self._fresh.popleft() if self._fresh else await self._spawn()
        if self._warm and not self._spec.share_originators:
            self._want_fresh.set()
        return self._leased_out(worker, whose)

    def _leased_out(self, worker: WorkerProcess, whose: str) -> Lease:
        assert self._module is not None, "workers are made of a module"
        self._leased.add(worker.pid)
        return Lease(worker, whose, self._module)

    def give_back(self, lease: Lease, *, is_whole: bool) -> None:
        """The task has ended; a worker that is not whole, or of an old module, ends too."""
        self._leased.discard(lease.worker.pid)
        if not is_whole or lease.module is not self._module:
            _dismiss(lease.worker)
            self._want_fresh.set()
            return
        self._warm.append(_Warm(lease.worker, lease.whose))
        while len(self._warm) > self._spec.workers + IDLE_EXTRA:
            _dismiss(self._warm.popleft().worker)

    def close(self) -> None:
        """No worker that waits is left, and no module. Those with a task are their session's."""
        self.dismiss_all()
        self.hurry()
        self._want_fresh.set()
        if self._module is not None:
            self._module.code.close()
            self._module = None

    def hurry(self) -> None:
        """End a pause: the agent stops, or is started again."""
        self._hurry.set()
        self._hurry = trio.Event()

    def dismiss_all(self) -> None:
        """End every worker that has no task."""
        for warm in self._warm:
            _dismiss(warm.worker)
        for worker in self._fresh:
            _dismiss(worker)
        self._warm.clear()
        self._fresh.clear()
        self._want_fresh.set()

    def count_failure(self, why: str) -> None:
        """One more worker is lost: pause, longer each time, and give up in the end."""
        now_s = trio.current_time()
        self._failures.append(now_s)
        while self._failures[0] < now_s - RESTART_WINDOW_S:
            self._failures.popleft()
        self.trouble = why
        self._lost(why)
        if len(self._failures) > self._spec.max_restarts:
            self._stop(f"gave up after {len(self._failures)} failures; the last: {why}")
            return
        self.restarts += 1
        doublings = len(self._failures) - 1
        pause_s = min(self._spec.restart_backoff_s * 2.0**doublings, BACKOFF_S_MAX)
        self._not_before_s = now_s + pause_s

    async def pause(self) -> None:
        """The pause that earlier failures have earned; over at once when the agent stops."""
        if self._not_before_s > trio.current_time():
            with trio.move_on_at(self._not_before_s):
                await self._hurry.wait()

    async def _spawn(self) -> WorkerProcess:
        """A fresh worker, after the pause that earlier failures have earned."""
        while True:
            await self.pause()
            module = self._module
            if module is None:
                raise AgentUnavailable(self._spec.name, why="")
            try:
                worker = await self._zygote.spawn(module.code, self.limits)
            except ZygoteLost:
                await trio.sleep(ZYGOTE_PAUSE_S)
            except SpawnFailed as failure:
                if failure.how is not None and failure.how.violation:
                    self._violated(str(failure), failure.why)
                else:
                    self.count_failure(str(failure))
            except (ComponentRefused, JailMissing) as refused:
                self._stop(str(refused))
            else:
                if module is self._module:
                    return worker
                _dismiss(worker)  # of a module that was replaced meanwhile


def _dismiss(worker: WorkerProcess) -> None:
    worker.kill()
    worker.close()
