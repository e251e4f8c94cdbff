"""The process all workers are forked from: wasmtime loaded, one thread, no secret.

The node executes it before it reads its key (`python -I -m sandbox.worker.zygote`, empty
environment) with a control socket as standard input. When either ends, the other learns
it from the socket, and the kernel kills the workers (PR_SET_PDEATHSIG).
"""

import gc
import os
import select
import signal
import socket
import sys
from pathlib import Path

from sandbox.worker import child, jail, libc, rlimits, seccomp
from sandbox.worker.control import ORDER_BYTES, Event, Order, Purpose, Report

_DESCRIPTORS_PER_ORDER = 1
_EXIT_SIGNALLED = 1


class Zygote:
    """Forks children on order and reports how they ended."""

    def __init__(
        self, control: socket.socket, *, load: child.Load, compile_: child.Compile
    ) -> None:
        self._control = control
        self._load = load
        self._compile = compile_
        self._pid = os.getpid()
        self._lock: seccomp.Table | None = None
        self._children: dict[int, tuple[int, int]] = {}  # pidfd: (pid, number)
        self._poll = select.poll()

    def serve(self) -> None:
        """Fork and reap until the node closes the control socket."""
        self._lock = jail.find()
        # Nothing that exists now is ever collected: children share these pages.
        gc.collect()
        gc.freeze()
        self._report(Event.STARTED, 0, int(self._lock is not None))
        self._poll.register(self._control, select.POLLIN)
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._children:
                    self._reap(descriptor)
                elif not self._take_order():
                    return

    def _take_order(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(
            self._control, ORDER_BYTES, _DESCRIPTORS_PER_ORDER
        )
        if not data:
            return False
        (payload,) = descriptors
        try:
            self._spawn(Order.unpack(data), payload)
        finally:
            os.close(payload)
        return True

    def _spawn(self, order: Order, payload: int) -> None:
        assert _threads() == 1, "a fork copies one thread and the locks of all"
        theirs, ours = socket.socketpair()
        with theirs, ours:
            try:
                pid = os.fork()
            except OSError as refused:
                self._report(Event.REFUSED, order.number, refused.errno or 0)
                return
            if pid == 0:
                birth = child.Birth(
                    channel=ours.fileno(),
                    payload=payload,
                    parent_pid=self._pid,
                    data_bytes=order.data_bytes,
                    lock=self._lock,
                )
                if order.purpose is Purpose.WORK:
                    child.work(birth, self._load)
                child.compile_component(birth, self._compile)
            # Not reaped before we poll it, so the pid is still this child.
            pidfd = os.pidfd_open(pid)
            self._children[pidfd] = (pid, order.number)
            self._poll.register(pidfd, select.POLLIN)
            self._report(Event.SPAWNED, order.number, pid, theirs.fileno(), pidfd)

    def _reap(self, pidfd: int) -> None:
        pid, number = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        self._report(Event.EXITED, number, os.waitstatus_to_exitcode(status))

    def _report(self, event: Event, number: int, value: int, *descriptors: int) -> None:
        data = Report(event, number, value).pack()
        if descriptors:
            socket.send_fds(self._control, [data], list(descriptors))
        else:
            self._control.sendall(data)


def _threads() -> int:
    if not libc.LINUX:
        return 1
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def prepare() -> None:
    """Make this process fit to be a zygote: tied to the node, deaf to the terminal, no core."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the node blocks what its watchman waits for
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if libc.LINUX:
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(libc.PR_SET_DUMPABLE, 0)
    rlimits.no_core()


def main() -> int:
    """Be the zygote of the node at the other end of standard input."""
    prepare()
    from sandbox.worker.guest import Runtime

    runtime = Runtime()
    control = socket.socket(fileno=os.dup(0))
    try:
        Zygote(control, load=runtime.load, compile_=runtime.compile).serve()
    except (BrokenPipeError, ConnectionResetError):
        return _EXIT_SIGNALLED
    return 0


if __name__ == "__main__":
    sys.exit(main())
