"""The trust store of a running node: each change is on disk before anybody acts on it.

Who must hear of a change registers a listener; it is called after the file was written,
with the store before and after. Reading is a dictionary look-up.
"""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Final

from identity.files import load_trust, save_trust
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
    """Whom this node trusts, now."""

    def __init__(self, home: Path, *, now_ms: Callable[[], int]) -> None:
        self._home = home
        self._now_ms = now_ms
        self._store = load_trust(home)
        self._listeners: list[Listener] = []

    @property
    def store(self) -> TrustStore:
        return self._store

    def lookup(self, public_key: bytes) -> Trusted | None:
        """Whom to serve now; None for everybody else."""
        return self._store.lookup(public_key, self._now_ms())

    def is_out(self, public_key: bytes) -> bool:
        """Whether this node is not to be served now: never added, removed, revoked or expired."""
        return self.lookup(public_key) is None

    def covers(self, public_key: bytes, act: str, target: str) -> bool:
        return self._store.covers(public_key, act, target, self._now_ms())

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def replace(self, store: TrustStore) -> None:
        """Write `store`, wait for the disk, then tell everybody.

        Raises:
            StoreFull, StoreReadOnly, StoreUnreadable: it could not be written; nothing has changed.
        """
        if store == self._store:
            return
        before = self._store
        try:
            save_trust(self._home, store)
        except OSError as failure:
            kind = _KINDS.get(failure.errno or 0, StoreUnreadable)
            raise kind(str(self._home), (failure.strerror or "unusable").lower()) from failure
        self._store = store
        for listener in self._listeners:
            listener(before, store)

    def revoke(self, public_key: bytes) -> bool:
        """Take a proven revocation; False if it was known."""
        if public_key in self._store.revoked:
            return False
        self.replace(self._store.revoke(public_key))
        return True
