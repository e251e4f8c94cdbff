"""What follows from a change of trust, at once: links, running tasks, shared journals."""

from akshi_mesh.transport.address import Address
from akshi_mesh.transport.links import Links
from identity.trust import TrustStore
from sync.mesh import Mesh
from sync.proto.journal_events import PolicyChanged
from sync.proto.task_events import TrustLost


class TrustEffects:
    """A listener of the trust book, and what looks after trust that ends by itself."""

    def __init__(self, *, me: bytes, mesh: Mesh, links: Links) -> None:
        self._me = me
        self._mesh = mesh
        self._links = links
        self._expired: set[bytes] = set()

    def changed(self, before: TrustStore, after: TrustStore) -> None:
        """Act on the difference of two stores; the newer one is on disk already."""
        were = {trusted.public_key: trusted for trusted in before}
        are = {trusted.public_key: trusted for trusted in after}
        for key in were.keys() - are.keys():
            self._lose(key)
        for key, trusted in are.items():
            if were.get(key) != trusted:
                self._expired.discard(key)
                self.keep(key, trusted.address)
        with self._mesh.transaction(fsync=before.accepted_forks != after.accepted_forks):
            for author in after.accepted_forks - before.accepted_forks:
                self._mesh.journals.accept_fork(author)
            self._mesh.tell_journals(PolicyChanged())

    def keep(self, key: bytes, address: str | None) -> None:
        """Hold a link to a trusted node; without an address, it is for it to dial."""
        if key != self._me:
            self._links.keep(key, [Address.parse(address)] if address else [])

    def expire(self, store: TrustStore, now_ms: int) -> None:
        """Drop those whose trust has ended since this was asked last."""
        for trusted in store:
            key = trusted.public_key
            if key not in self._expired and store.lookup(key, now_ms) is None:
                self._expired.add(key)
                self._lose(key)
                self._mesh.tell_journals(PolicyChanged())

    def _lose(self, key: bytes) -> None:
        self._links.forget(key, "it is trusted no more")
        self._mesh.tell_tasks(TrustLost(key))
