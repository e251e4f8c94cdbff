"""Looks after the audit log while the node runs: start and stop, signatures, retention, reserve."""

from collections.abc import Callable
from typing import NoReturn, Self

import structlog
import trio

from akshi_mesh.audit.errors import LogChanged
from akshi_mesh.audit.log import AuditLog, as_store_error
from akshi_mesh.audit.notary import Notary
from akshi_mesh.audit.receipts import Receipts
from akshi_mesh.audit.retention import DAY_MS, Retention
from akshi_mesh.parts import Parts
from akshi_mesh.reserve import Reserve
from sandbox.audit import Event
from sandbox.errors import AuditUnavailable
from sync.errors import StoreError

log = structlog.get_logger()

TICK_S = 0.5
SIGN_PAUSE_MS = 300 * 1000  # what a thief could cut off the end unseen is this young


class Keeper:
    """A service: construct, then ``await nursery.start(keeper.run)``."""

    def __init__(
        self,
        audit: AuditLog,
        notary: Notary,
        retention: Retention,
        reserve: Reserve,
        receipts: Receipts,
        *,
        did: str,
        wall_ms: Callable[[], int],
    ) -> None:
        self._audit = audit
        self._notary = notary
        self._retention = retention
        self._reserve = reserve
        self._receipts = receipts
        self._did = did
        self._wall_ms = wall_ms
        self._sign_at_ms = self._prune_at_ms = 0  # at the first turn

    @classmethod
    def over(cls, parts: Parts) -> Self:
        """Of a whole node."""

        def wall_ms() -> int:
            return parts.clock().wall_ms

        days = parts.config.identity.audit_retention_days
        retention = Retention(parts.database, parts.audit, days=days, wall_ms=wall_ms)
        did = str(parts.did)
        return cls(
            parts.audit,
            parts.notary,
            retention,
            parts.reserve,
            parts.receipts,
            did=did,
            wall_ms=wall_ms,
        )

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Until cancelled; then the end is written down and signed.

        Raises:
            StoreError: the disk takes nothing at the start.
        """
        with as_store_error():
            self._audit.note(Event.NODE, subject=self._did, code="started")
        task_status.started()
        try:
            while True:
                self._turn()
                await trio.sleep(TICK_S)
        finally:
            self._sign_off()

    def _turn(self) -> None:
        now_ms = self._wall_ms()
        try:
            if now_ms >= self._sign_at_ms:
                self._reserve.fill()
                self._notary.checkpoint()
                self._sign_at_ms = now_ms + SIGN_PAUSE_MS
            self._receipts.turn()
            if now_ms >= self._prune_at_ms and not self._retention.turn():
                self._receipts.prune(self._retention.before_ms)
                self._prune_at_ms = now_ms + DAY_MS
        except LogChanged as changed:
            self._sign_at_ms = now_ms + SIGN_PAUSE_MS
            log.error("audit.changed", why=str(changed), hint=changed.hint)
        except (StoreError, AuditUnavailable) as trouble:
            self._sign_at_ms = now_ms + SIGN_PAUSE_MS
            self._prune_at_ms = now_ms + SIGN_PAUSE_MS
            log.error("audit.unavailable", why=str(trouble))

    def _sign_off(self) -> None:
        """The last record of this run. Nothing about a log keeps a node from stopping."""
        try:
            self._audit.note(Event.NODE, subject=self._did, code="stopped")
            self._notary.checkpoint()
        except LogChanged as changed:
            log.error("audit.changed", why=str(changed), hint=changed.hint)
        except (StoreError, AuditUnavailable) as trouble:
            log.error("audit.unavailable", why=str(trouble))
