"""Where grants are shown and taken: at the transport's door, and by the operator's commands."""

from collections.abc import Callable, Sequence

import structlog

from akshi_mesh.audit.log import AuditLog
from akshi_mesh.errors import GrantsFull
from akshi_mesh.grant_book import GrantBook, Kept, Side
from akshi_mesh.trust_book import TrustBook
from akshi_mesh.trust_effects import TrustEffects
from identity.caps import Scope
from identity.did import Did
from identity.errors import GrantRefused, IdentityError
from identity.grants import Grant, make_grant, open_grant
from identity.keys import SigningKey
from identity.rights import Right
from sandbox.audit import Event
from sandbox.errors import AuditUnavailable
from sync.errors import StoreBusy, StoreFull, StoreReadOnly

log = structlog.get_logger()


class GrantDesk:
    """The transport's `GrantDesk`, and what `akshi-node grant` does."""

    def __init__(
        self,
        key: SigningKey,
        book: GrantBook,
        trust: TrustBook,
        effects: Callable[[], TrustEffects],
        audit: AuditLog,
        *,
        network: str,
        nonce: Callable[[], bytes],
        wall_ms: Callable[[], int],
    ) -> None:
        self._key = key
        self._book = book
        self._trust = trust
        self._effects = effects
        self._audit = audit
        self._network = network
        self._nonce = nonce
        self._wall_ms = wall_ms

    # --- the door ---------------------------------------------------------------------------------

    def chain_for(self, peer: bytes) -> bytes:
        grant = self._book.held_of(peer, self._trust.now_ms())
        return grant.raw if grant else b""

    def why_not(self, peer: bytes, chain: bytes) -> str | None:
        try:
            self._look(peer, chain)
        except IdentityError as refusal:
            return str(refusal)
        return None

    def take(self, peer: bytes, chain: bytes) -> None:
        """Keep what a peer that is present has shown; what does not hold changes nothing."""
        try:
            grant = self._look(peer, chain)
            known = self._book.of(peer, self._trust.store, self._trust.now_ms())
            if known is None or known.raw != grant.raw:
                self._note("grant-shown", grant)
                self._book.keep("shown", grant)
        except (IdentityError, GrantsFull) as refusal:
            log.warning("grant.refused", did=str(Did(peer)), why=str(refusal))
        except (StoreFull, StoreReadOnly, StoreBusy, AuditUnavailable) as trouble:
            # What is not written down does not count, and its holder may come again.
            log.error("store.trouble", why=str(trouble), hint="akshi-node doctor")
        else:
            self._effects().shown(peer)

    def _look(self, peer: bytes, chain: bytes) -> Grant:
        return self._book.look(
            chain,
            peer,
            self._trust.store,
            now_ms=self._wall_ms(),
            high_ms=self._trust.now_ms(),
        )

    # --- the operator -----------------------------------------------------------------------------

    def make(
        self,
        holder: bytes,
        *,
        rights: Sequence[Right],
        scope: Scope,
        until_ms: int,
        issuer: bytes | None = None,
    ) -> Grant:
        """Give `holder` a part of this node's, or hand on a part of what `issuer` gave us.

        Raises:
            GrantRefused, MalformedGrant: as `make_grant`; or nothing is held of `issuer`.
            GrantsFull, AuditUnavailable, StoreError: it could not be written down.
        """
        parent = None
        if issuer is not None:
            parent = self._book.held_of(issuer, self._trust.now_ms())
            if parent is None:
                raise GrantRefused(f"this node holds no grant of {Did(issuer)}")
        grant = make_grant(
            self._key,
            holder,
            rights=rights,
            scope=scope.as_said_by(str(Did(issuer) if issuer else self._key.did)),
            network=self._network,
            nonce=self._nonce(),
            issued_ms=self._wall_ms(),
            until_ms=until_ms,
            parent=parent,
        )
        self._note("grant-given", grant)
        self._book.keep("given", grant)
        return grant

    def use(self, chain: bytes) -> Grant:
        """Keep a grant that somebody gave this node, to be shown to its issuer.

        Raises:
            IdentityError: it is not one for this node, or not any more.
        """
        grant = open_grant(
            chain,
            network=self._network,
            now_ms=self._wall_ms(),
            clock_high_ms=self._trust.now_ms(),
            holder=self._key.public_key,
        )
        self._note("grant-held", grant)
        self._book.keep("held", grant)
        self._effects().show_anew(grant.issuer)
        return grant

    def withdraw_key(self, key: bytes) -> bool:
        """Whatever a key was given that is known by grants only is withdrawn; False if nothing."""
        if not self._book.knows(key):
            return False
        self._audit.note(Event.TRUST, subject=str(Did(key)), code="grant-withdrawn")
        is_withdrawn = self._book.withdraw_key(key)
        self._effects().expire()
        return is_withdrawn

    def all(self) -> list[Kept]:
        """Everything, those that end first first."""
        return self._book.all(self._trust.store, self._trust.now_ms())

    def drop(self, side: Side, grant: Grant) -> None:
        """Forget what is held; withdraw what was given or shown, with all that hangs on it."""
        self._note("grant-dropped" if side == "held" else "grant-withdrawn", grant)
        if side != "held":
            self._book.withdraw([grant.id], grant.until_ms)
        self._book.drop(side, grant)
        if side == "held":
            self._effects().show_anew(grant.issuer)
        self._effects().expire()

    def _note(self, code: str, grant: Grant) -> None:
        rights = " ".join(sorted(map(str, grant.last.rights)))
        self._audit.note(
            Event.TRUST,
            subject=str(Did(grant.holder)),
            code=code,
            facts=(
                ("rights", rights),
                ("scope", str(grant.last.scope)),
                ("until_ms", str(grant.until_ms)),
                ("grant", grant.id.hex()),
                ("through", " ".join(str(Did(key)) for key in grant.keys[:-1])),
            ),
        )
