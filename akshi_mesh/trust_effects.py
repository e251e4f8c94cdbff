"""What follows from a change of trust, at once: links, running tasks, shared journals.

Links end whatever happens. What must be written as well is owed while the disk takes nothing,
and done when it does again: a change of trust that is on disk is never half in force for long.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import structlog
import trio

from akshi_mesh.grant_book import GrantBook
from akshi_mesh.transport.address import Address
from akshi_mesh.transport.links import Links
from akshi_mesh.trust_book import TrustBook
from identity.did import Did
from identity.trust import TrustStore
from sync.errors import StoreBusy, StoreFull, StoreReadOnly
from sync.mesh import Mesh
from sync.proto.journal_events import PolicyChanged
from sync.proto.task_events import TrustLost

TICK_S = 0.25  # trust that ends is noticed so soon: its tasks are gone within a second

log = structlog.get_logger()


class TrustEffects:
    """A listener of the trust book, and what looks after trust that ends by itself."""

    def __init__(self, *, me: bytes, mesh: Mesh, links: Links, trust: TrustBook) -> None:
        self._me = me
        self._trust = trust
        self._mesh = mesh
        self._links = links
        self._expired: set[bytes] = set()
        self._owed: deque[Callable[[], object]] = deque()

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """See that what ends by itself has ended, until cancelled."""
        task_status.started()
        while True:
            await trio.sleep(TICK_S)
            self.settle()
            self.expire()

    def changed(self, before: TrustStore, after: TrustStore) -> None:
        """Act on the difference of two stores; the newer one is on disk already."""
        were = {trusted.public_key: trusted for trusted in before}
        are = {trusted.public_key: trusted for trusted in after}
        for key in were.keys() - are.keys():
            if self._trust.grants is not None:
                self._do(partial(self._trust.grants.withdraw_key, key))
            self._lose(key)
        for key, trusted in are.items():
            if were.get(key) != trusted:
                self._expired.discard(key)
                self.keep(key, trusted.address)
        self._do(partial(self._tell_journals, after.accepted_forks - before.accepted_forks))

    def keep(self, key: bytes, address: str | None) -> None:
        """Hold a link to a trusted node; without an address, it is for it to dial."""
        if key != self._me:
            self._links.keep(key, [Address.parse(address)] if address else [])

    def shown(self, holder: bytes) -> None:
        """A peer has shown a grant: a link to it may live, and journals may be shared."""
        self.keep(holder, self._address_of(holder))
        self._do(partial(self._tell_journals, frozenset()))

    def show_anew(self, issuer: bytes) -> None:
        """What this node may show to `issuer` has changed: meet it again."""
        address = self._address_of(issuer)
        if self._trust.lookup(issuer) is not None:
            self._links.forget(issuer, "to show another grant")
            self.keep(issuer, address)

    def expire(self) -> None:
        """Drop those whose trust, or whose grant, has ended since this was asked last."""
        for trusted in self._trust.store:
            key = trusted.public_key
            if key not in self._expired and self._trust.lookup(key) is None:
                self._expired.add(key)
                self._lose(key)
                self._do(partial(self._tell_journals, frozenset()))
        if self._trust.grants is not None:
            self._expire_grants(self._trust.grants)

    def _expire_grants(self, grants: GrantBook) -> None:
        now_ms = self._trust.now_ms()
        for grant in grants.shown_out(self._trust.store, now_ms):
            if self._trust.lookup(grant.holder) is None:
                self._lose(grant.holder)
            self._do(partial(grants.drop, "shown", grant))
            self._do(partial(self._tell_journals, frozenset()))
            log.info("grant.over", holder=str(Did(grant.holder)))
        if not self._owed:
            self._do(partial(grants.purge, now_ms))

    def _address_of(self, key: bytes) -> str | None:
        trusted = self._trust.store.get(key)
        return trusted.address if trusted else None

    def settle(self) -> None:
        """Do what is owed, in order, as far as the disk takes it."""
        try:
            while self._owed:
                self._owed[0]()
                self._owed.popleft()
        except (StoreFull, StoreReadOnly, StoreBusy) as trouble:
            log.error("store.trouble", why=str(trouble), hint=trouble.hint)

    def _do(self, act: Callable[[], object]) -> None:
        self._owed.append(act)
        self.settle()

    def _lose(self, key: bytes) -> None:
        self._links.forget(key, "it is trusted no more")
        self._do(partial(self._mesh.tell_tasks, TrustLost(key)))

    def _tell_journals(self, accepted: frozenset[bytes]) -> None:
        with self._mesh.transaction(fsync=bool(accepted)):
            for author in accepted:
                self._mesh.journals.accept_fork(author)
            self._mesh.tell_journals(PolicyChanged())
