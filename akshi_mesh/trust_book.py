"""The trust store of a running node: each change is on disk before anybody acts on it.

Who must hear of a change registers a listener; it is called after the file was written,
with the store before and after. Reading is a dictionary look-up.
"""

from collections.abc import Callable
from pathlib import Path

from identity.files import load_trust, save_trust
from identity.trust import Trusted, TrustStore

Listener = Callable[[TrustStore, TrustStore], None]


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

    def covers(self, public_key: bytes, act: str, target: str) -> bool:
        return self._store.covers(public_key, act, target, self._now_ms())

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def replace(self, store: TrustStore) -> None:
        """Write `store`, wait for the disk, then tell everybody."""
        if store == self._store:
            return
        before = self._store
        save_trust(self._home, store)
        self._store = store
        for listener in self._listeners:
            listener(before, store)

    def revoke(self, public_key: bytes) -> bool:
        """Take a proven revocation; False if it was known."""
        if public_key in self._store.revoked:
            return False
        self.replace(self._store.revoke(public_key))
        return True
