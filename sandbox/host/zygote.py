"""The node's side of the zygote: it asks for children and learns how they end.

run() ── starts the process ──▶ STARTED ── spawn() ──▶ SPAWNED … EXITED
   ▲                                                       │
   └───── a dead zygote takes its children along ──────────┘   run() starts another
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NoReturn, Self

import structlog
import trio

from sandbox.errors import JailMissing, WorkerLost, ZygoteLost
from sandbox.host.duplex import Duplex
from sandbox.host.errors import ComponentRefused, SpawnFailed
from sandbox.host.memfile import Memfile
from sandbox.hostcall import (
    FROM_COMPILER,
    FROM_WORKER,
    Faulted,
    FaultKind,
    Frame,
    Kind,
    Limits,
    Parser,
    Ready,
    encode,
)
from sandbox.worker.control import REPORT_BYTES, Event, Order, Purpose, Report

log = structlog.get_logger()

# -I: no environment, no current directory, no user packages on the path.
COMMAND: Final = (sys.executable, "-I", "-m", "sandbox.worker.zygote")
RESTART_PAUSE_S: Final = 0.2  # guess: a zygote that dies at once must not take a core
_READ_BYTES: Final = 64 << 10
_DESCRIPTORS_MAX: Final = 2
_CLOSE_ON_EXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # Linux
# A backstop behind the guest's own limits: a text is there as bytes, as characters of up
# to 4 bytes, and in the memory it came from; wasmtime and the interpreter besides.
_COPIES: Final = 6
_BESIDES_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: an exit code, or a signal; neither if the zygote died first."""

    code: int | None = None
    signal: int | None = None

    @property
    def violation(self) -> bool:
        """Whether it tried what the jail forbids: an attack, or our allowlist is wrong."""
        return self.signal == signal.SIGSYS

    def __str__(self) -> str:
        if self.signal is not None:
            return signal.Signals(self.signal).name
        return "lost with the zygote" if self.code is None else f"exit code {self.code}"


class WorkerProcess:
    """A child of the zygote, its channel, and the only handle by which it is signalled."""

    def __init__(self, *, pid: int, pidfd: int, channel: Duplex, accepted: frozenset[Kind]) -> None:
        self.pid = pid
        self.jailed = False
        self._pidfd = pidfd
        self._channel = channel
        self._parser = Parser(accepted)
        self._exit: Exit | None = None
        self._exited = trio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self.close()

    async def send(self, frame: Frame) -> None:
        """Send one frame. If this is cancelled, kill the worker: a part may have gone out.

        Raises:
            WorkerLost: it has ended; `wait` says how.
        """
        await self._channel.send_all(encode(frame))

    async def receive(self) -> Frame:
        """The next frame.

        Raises:
            WorkerLost: it has ended; `wait` says how.
            MalformedFrame: no correct worker sends this; kill it.
        """
        while (frame := self._parser.next()) is None:
            self._parser.feed(await self._channel.receive_some(_READ_BYTES))
        return frame

    def kill(self) -> None:
        """End it now, whatever it does. Once it has ended this does nothing."""
        if self._exit is None:
            # Dead already: the zygote's report is on its way.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def wait(self) -> Exit:
        """How it ended, when it has. Does not end by itself: see `kill`."""
        await self._exited.wait()
        assert self._exit is not None
        return self._exit

    def close(self) -> None:
        """Let go of the channel; a worker that waits for a task then ends by itself."""
        self._channel.close()

    def ended(self, how: Exit) -> None:
        """Told by the zygote's client, once."""
        self._exit = how
        os.close(self._pidfd)
        self._exited.set()


class _Birth:
    """A spawn that waits for the zygote's word."""

    def __init__(self, accepted: frozenset[Kind]) -> None:
        self.accepted = accepted
        self.said = trio.Event()
        self.worker: WorkerProcess | None = None
        self.failure: SpawnFailed | ZygoteLost | None = None
        self.abandoned = False


class Zygote:
    """A service: construct, then ``await nursery.start(zygote.run)``.

    Start it before the node reads its key, and from the main thread: the kernel ends the
    zygote when the thread that started it does.
    """

    def __init__(self, *, command: Sequence[str] = COMMAND, jail_required: bool = True) -> None:
        self._command = tuple(command)
        self._jail_required = jail_required
        self._control: trio.socket.SocketType | None = None
        self._births: dict[int, _Birth] = {}
        self._workers: dict[int, WorkerProcess] = {}
        self._next_number = 0
        self._sending = trio.Lock()
        self._up = trio.Event()

    @property
    def workers(self) -> list[WorkerProcess]:
        """Children that have not ended, compile children among them."""
        return list(self._workers.values())

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Keep a zygote until cancelled; then it and all workers are dead.

        Raises:
            JailMissing: this host cannot lock workers in, and that is required.
            ZygoteLost: the first one ended before it was ready; the installation is broken.
        """
        ready_once = False
        while True:
            process, control = self._execute()
            try:
                why = await self._serve(control, None if ready_once else task_status)
                ready_once = ready_once or self._up.is_set()
            finally:
                self._control = None
                control.close()
                process.kill()
                process.wait()
                self._lose_all()
            if not ready_once:
                raise ZygoteLost(why=f"{why} before it was ready")
            log.warning("zygote.lost", why=why)
            await trio.sleep(RESTART_PAUSE_S)

    async def spawn(self, module: Memfile, limits: Limits) -> WorkerProcess:
        """A new worker with `module` (compiled code) loaded, jailed, waiting for its first task.

        Args:
            module: from `Compiler.compiled`; stays the caller's.
            limits: the largest that a `Run` will ask for; it bounds the process's memory.

        Raises:
            ComponentRefused: it cannot be loaded; why is for the operator.
            SpawnFailed: no process could be made, or it died before it was ready.
            ZygoteLost: the zygote ended meanwhile; try again.
        """
        worker = await self._order(Purpose.WORK, module, _data_bytes(limits), FROM_WORKER)
        try:
            frame = await worker.receive()
            if isinstance(frame, Faulted):
                if frame.kind is FaultKind.REFUSED:
                    raise ComponentRefused(why=frame.why)
                raise SpawnFailed(why=frame.why)
            if not isinstance(frame, Ready):
                raise SpawnFailed(why=f"{type(frame).__name__} instead of Ready")
            if self._jail_required and not frame.jailed:
                raise JailMissing(why="a worker could not be locked in")
            worker.jailed = frame.jailed
        except WorkerLost as lost:
            worker.kill()
            worker.close()
            how = await worker.wait()
            raise SpawnFailed(why=f"the worker ended while loading: {how}", how=how) from lost
        except BaseException:
            worker.kill()
            worker.close()
            raise
        return worker

    async def spawn_compiler(self, wasm: Memfile, *, data_bytes: int) -> WorkerProcess:
        """A jailed child that compiles `wasm`; it answers Chunk … Done, or Faulted.

        Raises:
            SpawnFailed, ZygoteLost: as `spawn`.
        """
        return await self._order(Purpose.COMPILE, wasm, data_bytes, FROM_COMPILER)

    def kill_all(self) -> None:
        """Kill every child at once, without waiting. Safe to call from anywhere on the loop."""
        for worker in self._workers.values():
            worker.kill()

    async def wait_none(self) -> None:
        """Until every child that lives now has ended."""
        for worker in self.workers:
            await worker.wait()

    async def _order(
        self, purpose: Purpose, payload: Memfile, data_bytes: int, accepted: frozenset[Kind]
    ) -> WorkerProcess:
        await self._up.wait()
        number, birth = self._next_number, _Birth(accepted)
        self._next_number = (self._next_number + 1) % (1 << 32)
        self._births[number] = birth
        try:
            await self._send(Order(purpose, number, data_bytes).pack(), payload)
        except BaseException:
            # Never sent. Gone already if the zygote was lost meanwhile.
            self._births.pop(number, None)
            raise
        try:
            await birth.said.wait()
        except trio.Cancelled:
            # The child may be born later: whoever hears of it kills it.
            birth.abandoned = True
            if birth.worker is not None:
                birth.worker.kill()
                birth.worker.close()
            raise
        if birth.failure is not None:
            raise birth.failure
        assert birth.worker is not None
        return birth.worker

    async def _send(self, order: bytes, payload: Memfile) -> None:
        descriptors = payload.descriptor.to_bytes(4, sys.byteorder)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
        async with self._sending:
            control = self._control
            if control is None:
                raise ZygoteLost(why="it is being replaced")
            try:
                sent = await control.sendmsg([order], ancillary)
            except OSError as lost:
                raise ZygoteLost(why="its control socket is closed") from lost
        assert sent == len(order), "a stream socket takes these few bytes whole"

    def _execute(self) -> tuple[subprocess.Popen[bytes], trio.socket.SocketType]:
        ours, theirs = socket.socketpair()
        with theirs:
            # Blocking for the 1 to 2 ms of an exec; trio's own way would do it in a thread.
            process = subprocess.Popen(
                self._command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                close_fds=True,
                start_new_session=True,  # the terminal's signals are the node's to answer
            )
        return process, trio.socket.from_stdlib_socket(ours)

    async def _serve(
        self, control: trio.socket.SocketType, task_status: trio.TaskStatus[None] | None
    ) -> str:
        """Take reports until the zygote's end; returns why it ended."""
        while True:
            try:
                data, ancillary, _, _ = await control.recvmsg(
                    REPORT_BYTES, socket.CMSG_SPACE(4 * _DESCRIPTORS_MAX), _CLOSE_ON_EXEC
                )
            except ConnectionResetError:
                return "it closed its control socket"
            if len(data) != REPORT_BYTES:
                return "it ended"
            descriptors = [
                int.from_bytes(rights[at : at + 4], sys.byteorder)
                for _, _, rights in ancillary
                for at in range(0, len(rights), 4)
            ]
            report = Report.unpack(data)
            if report.event is Event.STARTED:
                if self._jail_required and not report.value:
                    raise JailMissing(why="seccomp is not available on this host")
                self._control = control
                self._up.set()
                if task_status is not None:
                    task_status.started()
            else:
                self._take(report, descriptors)

    def _take(self, report: Report, descriptors: list[int]) -> None:
        if report.event is Event.EXITED:
            worker = self._workers.pop(report.number)
            worker.ended(_exit(report.value))
            return
        birth = self._births.pop(report.number)
        if report.event is Event.REFUSED:
            birth.failure = SpawnFailed(why=f"no process: {os.strerror(report.value)}")
        else:
            channel, pidfd = descriptors
            worker = WorkerProcess(
                pid=report.value,
                pidfd=pidfd,
                channel=Duplex(socket.socket(fileno=channel)),
                accepted=birth.accepted,
            )
            self._workers[report.number] = worker
            birth.worker = worker
            if birth.abandoned:
                worker.kill()
                worker.close()
        birth.said.set()

    def _lose_all(self) -> None:
        """The zygote is dead, and so is all it bore."""
        self._up = trio.Event()
        for birth in self._births.values():
            birth.failure = ZygoteLost(why="it ended while a worker was being born")
            birth.said.set()
        self._births.clear()
        for worker in self._workers.values():
            worker.kill()  # the kernel has done so already, or does so now
            worker.ended(Exit())
        self._workers.clear()


def _data_bytes(limits: Limits) -> int:
    return _COPIES * limits.memories * limits.memory_bytes + _BESIDES_BYTES


def _exit(value: int) -> Exit:
    return Exit(code=value) if value >= 0 else Exit(signal=-value)
