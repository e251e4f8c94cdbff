"""The trust store of a running node: each change is on disk before anybody acts on it.

Who must hear of a change registers a listener; it is called after the file was written,
with the store before and after. Reading is a dictionary look-up.
"""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from akshi_mesh.grant_book import GrantBook
from akshi_mesh.reserve import Reserve
from identity.caps import Scope
from identity.files import load_trust, save_trust
from identity.grants import Grant
from identity.trust import Trusted, TrustStore
from sync.errors import StoreError, StoreFull, StoreReadOnly, StoreUnreadable

Listener = Callable[[TrustStore, TrustStore], None]

_KINDS: Final[dict[int, type[StoreError]]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EROFS: StoreReadOnly,
    errno.EACCES: StoreReadOnly,
    errno.EPERM: StoreReadOnly,
}


class TrustBook:
    """Whom this node trusts, now: who is in the trust file, and who has shown a grant.

    Every answer is as of the highest clock that was ever asked for, so what has ended stays so.
    """

    def __init__(
        self, home: Path, *, now_ms: Callable[[], int], grants: GrantBook | None = None
    ) -> None:
        self._home = home
        self._clock_ms = now_ms
        self._high_ms = 0
        self.grants = grants
        self._store = load_trust(home)
        self._listeners: list[Listener] = []
        self._preceding: list[Listener] = []
        self.reserve: Reserve | None = None

    @property
    def store(self) -> TrustStore:
        return self._store

    def lookup(self, public_key: bytes) -> Trusted | None:
        """Whom to serve now, with all that it has; None for everybody else."""
        now_ms = self.now_ms()
        trusted = self._store.lookup(public_key, now_ms)
        grant = self._shown(public_key, now_ms)
        if grant is None:
            return trusted
        last = grant.last
        if trusted is None:
            return Trusted(public_key, None, None, last.rights, grant.until_ms, last.scope)
        rights, scope = trusted.rights | last.rights, trusted.scope.join(last.scope)
        return replace(trusted, rights=rights, scope=scope)

    def scope(self, public_key: bytes) -> Scope | None:
        """What the tasks of that node may use now; None if it is not served at all."""
        trusted = self.lookup(public_key)
        return None if trusted is None else trusted.scope

    def now_ms(self) -> int:
        """The highest clock ever asked for; a clock set back revives nobody."""
        self._high_ms = max(self._high_ms, self._clock_ms())
        return self._high_ms

    def _shown(self, public_key: bytes, now_ms: int) -> Grant | None:
        if self.grants is None:
            return None
        return self.grants.of(public_key, self._store, now_ms)

    def is_out(self, public_key: bytes) -> bool:
        """Whether this node is not to be served now: never added, removed, revoked or expired."""
        return self.lookup(public_key) is None

    def covers(self, public_key: bytes, act: str, target: str) -> bool:
        trusted = self.lookup(public_key)
        return trusted is not None and trusted.covers(act, target)

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def precede(self, listener: Listener) -> None:
        """Call `listener` before a change is written; if it raises, nothing has changed."""
        self._preceding.append(listener)

    def replace(self, store: TrustStore) -> None:
        """Write `store`, wait for the disk, then tell everybody.

        Raises:
            StoreFull, StoreReadOnly, StoreUnreadable: it could not be written; nothing has changed.
        """
        if store == self._store:
            return
        before = self._store
        for listener in self._preceding:
            listener(before, store)
        try:
            self._save(store)
        except StoreFull:
            if self.reserve is None:
                raise
            with self.reserve.lent():
                self._save(store)
        self._store = store
        for listener in self._listeners:
            listener(before, store)

    def _save(self, store: TrustStore) -> None:
        try:
            save_trust(self._home, store)
        except OSError as failure:
            kind = _KINDS.get(failure.errno or 0, StoreUnreadable)
            raise kind(str(self._home), (failure.strerror or "unusable").lower()) from failure

    def revoke(self, public_key: bytes) -> bool:
        """Take a proven revocation; False if it was known."""
        if public_key in self._store.revoked:
            return False
        self.replace(self._store.revoke(public_key))
        return True
