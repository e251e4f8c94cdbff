"""Stop means stop, also where the loop hangs: a thread that needs nothing of the loop.

    SIGTERM, SIGHUP ─▶ the thread ─▶ asks the loop to end
    `stop` ─▶ API ─▶ `arm` ────────────┐
                                       ▼
                          GRACE_S later, if we still run: SIGKILL

Both signals are blocked in every thread, and this one waits for them: so they arrive while
the loop is within a call that does not return, such as a database that another program has
locked. Workers die with the node, whichever way it ends (PR_SET_PDEATHSIG). The zygote and
native programs inherit the blocked signals, and unblock them before they do anything.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import trio

GRACE_S = 1.0  # from the word to SIGKILL; a node that does not hang needs some 30 ms
SIGNALS = (signal.SIGTERM, signal.SIGHUP)

Stop = Callable[[str], None]


class Watchman:
    """One per process: construct it in the main thread, before there is another one."""

    def __init__(self, *, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._armed = False
        self._loop: tuple[trio.lowlevel.TrioToken, Stop] | None = None
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=self._watch, name="watchman", daemon=True).start()

    @contextmanager
    def watching(self, stop: Stop) -> Iterator[None]:
        """Within the block the loop of this thread is asked first, by calling `stop` on it.

        Args:
            stop: called with the name of the signal; must not block.
        """
        self._loop = (trio.lowlevel.current_trio_token(), stop)
        try:
            yield
        finally:
            self._loop = None
            self.arm()  # what comes after the loop must not hang either

    def arm(self) -> None:
        """From now on this process has GRACE_S to end. Returns at once; nothing disarms it."""
        with self._lock:
            if self._armed:
                return
            self._armed = True
        threading.Thread(target=self._end, name="watchman-end", daemon=True).start()

    def _watch(self) -> NoReturn:
        while True:
            number = signal.sigwait(SIGNALS)
            loop = self._loop
            if loop is None:
                # Nothing to ask: it starts, or ends. The signal does what it does to all.
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
                os.kill(os.getpid(), number)
            self.arm()
            if loop is not None:
                token, stop = loop
                try:
                    token.run_sync_soon(stop, signal.Signals(number).name)
                except trio.RunFinishedError:
                    continue  # it has ended just now

    def _end(self) -> None:
        time.sleep(self._grace_s)
        # Nothing is said about it here: a log that blocks would be one more way to hang.
        os.kill(os.getpid(), signal.SIGKILL)
