"""The grants of a running node: those it gave, those it holds, those others have shown it.

    given   by this node, its own or handed on     one row each, so that each can be withdrawn
    held    for use elsewhere                      the latest of each node
    shown   by peers, good here                    the latest of each holder; on disk, then good

What is shown is asked at every use whether it still stands. What was withdrawn is remembered until
it would have ended, so that no copy of it comes back.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from akshi_mesh.errors import GrantsFull
from identity.did import Did
from identity.errors import GrantRefused, IdentityError
from identity.grants import Grant, open_grant
from identity.keys import twin
from identity.trust import TrustStore
from sync.store.database import Database

_GRANTS = """
CREATE TABLE IF NOT EXISTS grants (
    side TEXT NOT NULL,
    name BLOB NOT NULL,
    chain BLOB NOT NULL,
    holder BLOB NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (side, name)
) STRICT, WITHOUT ROWID
"""
_WITHDRAWN = """
CREATE TABLE IF NOT EXISTS grants_withdrawn (
    id BLOB PRIMARY KEY,
    until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""
SCHEMA = (_GRANTS, _WITHDRAWN)
SIDE_MAX: Final = 1_024  # of each side; beyond, a new one is refused until one has ended

Side = Literal["given", "held", "shown"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kept:
    """One grant as `grant list` shows it."""

    side: Side
    grant: Grant
    why_not: str | None  # why it does not stand any more, or None


class GrantBook:
    """Every method runs on the loop; reading is a dictionary look-up."""

    def __init__(self, database: Database, *, me: bytes, network: str) -> None:
        self._database = database
        self._me = me
        self._network = network
        self._sides: dict[Side, dict[bytes, Grant]] = {"given": {}, "held": {}, "shown": {}}
        self._withdrawn: dict[bytes, int] = {}

    def load(self, now_ms: int) -> None:
        """Read what is kept, once; what has ended is forgotten."""
        for id_, until_ms in self._database.rows("SELECT id, until_ms FROM grants_withdrawn"):
            self._withdrawn[id_] = until_ms
        for side, name, chain, holder in self._database.rows(
            "SELECT side, name, chain, holder FROM grants"
        ):
            try:
                grant = open_grant(chain, network=self._network, now_ms=now_ms, holder=holder)
            except IdentityError as refusal:
                log.info("grant.over", holder=str(Did(holder)), why=str(refusal))
                continue
            self._sides[side][name] = grant
        self.purge(now_ms)

    # --- asking -----------------------------------------------------------------------------------

    def of(self, holder: bytes, store: TrustStore, now_ms: int) -> Grant | None:
        """What `holder` has shown, if it stands now."""
        grant = self._sides["shown"].get(holder)
        if grant is None or self.why_not(grant, store, now_ms) is not None:
            return None
        return grant

    def shown_out(self, store: TrustStore, now_ms: int) -> list[Grant]:
        """What was shown and stands no more."""
        shown = self._sides["shown"].values()
        return [grant for grant in shown if self.why_not(grant, store, now_ms) is not None]

    def knows(self, key: bytes) -> bool:
        """Whether a grant that counts here went through this key or its twin."""
        both = {key, twin(key)}
        return any(not both.isdisjoint(grant.keys) for grant in self._all())

    def held_of(self, issuer: bytes, now_ms: int) -> Grant | None:
        """What this node may show to `issuer`."""
        grant = self._sides["held"].get(issuer)
        return None if grant is None or grant.is_over(now_ms) else grant

    def why_not(self, grant: Grant, store: TrustStore, now_ms: int) -> str | None:
        """Why a grant whose signatures were checked does not stand now, or None."""
        if grant.is_over(now_ms):
            return "it has ended"
        for link in grant.links:
            if link.id in self._withdrawn:
                return f"what {Did(link.holder)} was given was withdrawn"
        for key in grant.keys[1:]:
            other = twin(key)
            if key in store.revoked or other in store.revoked:
                return f"{Did(key)} was revoked"
            if store.get(other) is not None:
                return f"{Did(key)} is the twin of a trusted key"
            if store.get(key) is not None and store.lookup(key, now_ms) is None:
                return f"the trust in {Did(key)} has ended"
        return None

    def all(self, store: TrustStore, now_ms: int) -> list[Kept]:
        """Everything, those that end first first."""
        kept = [
            Kept(side, grant, self.why_not(grant, store, now_ms))
            for side, grants in self._sides.items()
            for grant in grants.values()
        ]
        return sorted(kept, key=lambda one: (one.grant.until_ms, one.grant.id))

    def look(
        self, chain: bytes, holder: bytes, store: TrustStore, *, now_ms: int, high_ms: int
    ) -> Grant:
        """Check a chain that `holder` shows; nothing changes.

        Raises: as `open_grant`; GrantRefused if it does not stand.
        """
        grant = open_grant(
            chain,
            network=self._network,
            now_ms=now_ms,
            clock_high_ms=high_ms,
            holder=holder,
            issuer=self._me,
        )
        why = self.why_not(grant, store, high_ms)
        if why is not None:
            raise GrantRefused(why)
        return grant

    # --- changing ---------------------------------------------------------------------------------

    def keep(self, side: Side, grant: Grant) -> None:
        """Keep it, durably, before it counts.

        Raises:
            GrantsFull: there are too many.
            StoreFull, StoreReadOnly, StoreBusy: it was not written, and does not count.
        """
        name = {"given": grant.id, "held": grant.issuer, "shown": grant.holder}[side]
        grants = self._sides[side]
        if name not in grants and len(grants) >= SIDE_MAX:
            raise GrantsFull(side, limit=SIDE_MAX)
        with self._database.transaction(fsync=True):
            self._database.execute(
                "INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?, ?)",
                (side, name, grant.raw, grant.holder, grant.until_ms),
            )
        grants[name] = grant

    def withdraw(self, ids: Iterable[bytes], until_ms: int) -> None:
        """None of these links counts any more, wherever its copies are; durable when it returns."""
        ids = list(ids)
        self._withdrawn.update(dict.fromkeys(ids, until_ms))  # at once, whatever the disk says
        with self._database.transaction(fsync=True):
            for id_ in ids:
                self._database.execute(
                    "INSERT OR REPLACE INTO grants_withdrawn VALUES (?, ?)", (id_, until_ms)
                )

    def withdraw_key(self, key: bytes) -> bool:
        """Whatever was given to `key`, or through it, is withdrawn; False if there is nothing."""
        links = [link for grant in self._all() for link in grant.links if link.holder == key]
        if links:
            self.withdraw({link.id for link in links}, max(link.until_ms for link in links))
        return bool(links)

    def drop(self, side: Side, grant: Grant) -> None:
        """Forget it here; it still counts where its issuer is."""
        for name, kept in list(self._sides[side].items()):
            if kept.id == grant.id:
                del self._sides[side][name]  # first: then it is gone whatever the disk says
                with self._database.transaction(fsync=True):
                    self._database.execute(
                        "DELETE FROM grants WHERE side = ? AND name = ?", (side, name)
                    )

    def purge(self, now_ms: int) -> None:
        """Forget what has ended; a clock set back finds nothing to revive."""
        over = [
            (side, grant)
            for side, grants in self._sides.items()
            for grant in grants.values()
            if grant.is_over(now_ms)
        ]
        for side, grant in over:
            self.drop(side, grant)
        ended = [id_ for id_, until_ms in self._withdrawn.items() if until_ms <= now_ms]
        if ended:
            with self._database.transaction():
                self._database.execute(
                    "DELETE FROM grants_withdrawn WHERE until_ms <= ?", (now_ms,)
                )
            for id_ in ended:
                del self._withdrawn[id_]

    def _all(self) -> Iterator[Grant]:
        """What this node gave, and what it was shown: all that it answers for."""
        yield from self._sides["given"].values()
        yield from self._sides["shown"].values()
