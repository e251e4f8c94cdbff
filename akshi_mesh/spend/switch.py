"""The switch that ends all spending: on at once, on the disk, on after a restart.

It is on while the environment says so, or what `spend kill` has stored. Going on, it is on
before anything else happens: then every call that is paying is cancelled, which closes its
connection, and last it is written down. So a disk that takes nothing keeps no money flowing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from akshi_mesh.reserve import Reserve
from akshi_mesh.spend.book import Book
from sandbox.errors import AuditUnavailable, PortRefused
from sandbox.fault import FaultCode
from sandbox.spend import KILL_SWITCH
from sync.errors import StoreFull
from sync.store.database import Database

SWITCH_VARIABLE = "AKSHI_SPEND_KILL_SWITCH"
# Anything else is on: a switch that somebody misspelt must not leave the money flowing.
SWITCH_OFF = ("", "0", "false")
HALTED = f"{KILL_SWITCH}: all paid actions are halted"


def is_switched_on(value: str | None) -> bool:
    """Whether the environment's switch is on; None: the variable is not set."""
    return value is not None and value not in SWITCH_OFF


class KillSwitch:
    """The switch of one node.

    Args:
        forced: the environment's switch was on when the node started. Nothing overrides it.
        turned: writes the audit records of a change, inside the open transaction.
        reserve: room on a full disk.
    """

    def __init__(
        self,
        database: Database,
        book: Book,
        *,
        wall_ms: Callable[[], int],
        turned: Callable[[bool], None],
        forced: bool = False,
        reserve: Reserve | None = None,
    ) -> None:
        self.forced = forced
        self.since_ms = book.switched_on_ms()
        self._is_killed = self.since_ms is not None
        self._database = database
        self._book = book
        self._wall_ms = wall_ms
        self._turned = turned
        self._reserve = reserve
        self._paying: set[trio.CancelScope] = set()

    @property
    def is_on(self) -> bool:
        return self.forced or self._is_killed

    def still_allowed(self) -> str | None:
        """The reason why no paid byte may leave now, or None."""
        return HALTED if self.is_on else None

    def kill(self) -> int:
        """Halt all paid actions, now and after a restart; how many calls were cut off.

        Blocks for one fsync.

        Raises:
            StoreError, AuditUnavailable: it is on, and would not survive a restart.
        """
        if not self._is_killed:
            self._is_killed, self.since_ms = True, self._wall_ms()
        cut_off = len(self._paying)
        for scope in self._paying:
            scope.cancel()
        try:
            self._store(is_on=True)
        except (StoreFull, AuditUnavailable):
            if self._reserve is None:
                raise
            with self._reserve.lent():
                self._store(is_on=True)
        return cut_off

    def resume(self) -> bool:
        """Take the stored switch off; False if the environment's is on.

        Raises:
            StoreError, AuditUnavailable: it stays on.
        """
        if self.forced:
            return False
        self._store(is_on=False)
        self._is_killed, self.since_ms = False, None
        return True

    def _store(self, *, is_on: bool) -> None:
        with self._database.transaction(fsync=True):
            self._book.switch(is_on=is_on, at_ms=self.since_ms or self._wall_ms())
            self._turned(is_on)

    @contextmanager
    def paying(self) -> Iterator[None]:
        """Around every act that costs money: the switch cancels what is in the block.

        Raises:
            PortRefused: the switch is on; or it was cut off, and nobody knows how far it came.
        """
        if self.is_on:
            raise PortRefused(FaultCode.NOT_ALLOWED, HALTED)
        with trio.CancelScope() as scope:
            self._paying.add(scope)
            try:
                yield
            finally:
                self._paying.discard(scope)
        if scope.cancelled_caught:
            why = f"{KILL_SWITCH}: cut off while it was being paid"
            raise PortRefused(FaultCode.UNKNOWN, why)
