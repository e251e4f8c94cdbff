"""Trust and peers of a running node. A change is on disk, then in force, then answered."""

from collections.abc import Sequence
from typing import Literal

from akshi_mesh.api.errors import BadRequest, Denied, NotKnown
from akshi_mesh.api.shapes import Done, PeerAdded, PeerInfo, TaskCounts, TrustedInfo
from akshi_mesh.cli import trust_file
from akshi_mesh.journal_book import has_forked
from akshi_mesh.parts import Parts
from akshi_mesh.scopes import read_scope
from akshi_mesh.transport.address import Address, PeerAddress
from akshi_mesh.transport.ports import LinkInfo
from identity.did import Did
from identity.revocation import open_revocation
from identity.trust import Right, Trusted


class TrustControl:
    """`Control`, as far as it is about other nodes."""

    _parts: Parts

    async def whoami(self) -> str:
        return str(self._parts.did)

    async def trust_add(
        self,
        did: str,
        *,
        name: str | None,
        address: str | None,
        allow: Sequence[str],
        until_ms: int | None,
        caps: Sequence[str] | None = None,
        spend: str | None = None,
    ) -> TrustedInfo:
        public_key = Did.parse(did).public_key
        if public_key == self._parts.me:
            raise BadRequest("this is the node itself, which always trusts itself")
        book = self._parts.trust
        scope = read_scope(caps or (), spend, book.store)
        book.replace(
            book.store.add(
                public_key,
                petname=name,
                address=None if address is None else str(Address.parse(address)),
                rights=[Right.parse(text) for text in allow],
                until_ms=until_ms,
                caps=scope.caps,
                spend=scope.spend,
            )
        )
        return self._trusted(public_key)

    async def trust_list(self) -> list[TrustedInfo]:
        store = self._parts.trust.store
        keys = [trusted.public_key for trusted in store]
        return [self._trusted(key) for key in [*keys, *sorted(store.revoked)]]

    async def trust_show(self, who: str) -> TrustedInfo:
        return self._trusted(trust_file.find(self._parts.trust.store, who))

    async def trust_remove(self, who: str) -> Done:
        book = self._parts.trust
        key = trust_file.find(book.store, who)
        if book.store.get(key) is None and self._parts.grants.withdraw_key(key):
            return {"note": "its grants are withdrawn"}
        book.replace(book.store.remove(key))
        return {"note": "its link is closed and its tasks are cancelled"}

    async def trust_revoked(self, revocation: bytes) -> TrustedInfo:
        author = open_revocation(revocation, network=self._parts.config.mesh.network)
        self._parts.trust.revoke(author)  # whatever the room for what peers tell
        self._parts.switchboard.revoked(author, revocation)
        return self._trusted(author)

    async def trust_accept_fork(self, who: str) -> Done:
        parts = self._parts
        author = trust_file.find(parts.trust.store, who)
        if not has_forked(parts.database, author):
            raise NotKnown(
                f"{who} has forked no journal that is here", hint="akshi-node journal list"
            )
        parts.trust.replace(parts.trust.store.with_accepted_fork(author))
        return {"note": "what it wrote after the fork is in the view again"}

    async def peers(self) -> list[PeerInfo]:
        parts = self._parts
        links = {link.peer: link for link in parts.links.links()}
        known = {trusted.public_key for trusted in parts.trust.store} | set(links)
        return [self._peer(key) for key in sorted(known, key=parts.name_of)]

    async def add_peer(self, peer: str) -> PeerAdded:
        parts = self._parts
        wanted = PeerAddress.parse(peer)
        key = wanted.peer.public_key
        trusted = parts.trust.lookup(key)
        if trusted is None:
            raise Denied(f"not trusted: {wanted.peer}", hint=f"akshi-node trust add {wanted.peer}")
        address = wanted.address or (Address.parse(trusted.address) if trusted.address else None)
        if address is None:
            raise BadRequest(
                f"no address is known of {wanted.peer}", hint="give it as DID@HOST:PORT"
            )
        parts.links.keep(key, [address])
        return {"did": str(wanted.peer), "address": str(address)}

    def _trusted(self, public_key: bytes) -> TrustedInfo:
        store = self._parts.trust.store
        return trust_file.shown(store, public_key, now_ms=self._parts.clock().wall_ms)

    def _peer(self, key: bytes) -> PeerInfo:
        parts = self._parts
        link = next((link for link in parts.links.links() if link.peer == key), None)
        trusted = parts.trust.store.get(key)
        counts = parts.mesh.tasks.views.ledger(key)
        tasks: TaskCounts = {
            "sent": counts.sent,
            "acknowledged": counts.acknowledged,
            "queued": counts.queued,
            "expired": counts.expired,
            "refused": counts.refused,
        }
        since_ms = None
        if link is not None and link.state == "up":
            since_ms = parts.clock().wall_ms - int(link.since_s * 1000)
        return {
            "did": str(Did(key)),
            "name": trusted.petname if trusted else None,
            "address": _address(link, trusted),
            "state": _state(link),
            "why": self._why_down(key, link),
            "since_ms": since_ms,
            "dialled_by_us": bool(link and link.dialled_by_us),
            "bytes_in": link.bytes_received if link else 0,
            "bytes_out": link.bytes_sent if link else 0,
            "tasks": tasks,
        }

    def _why_down(self, key: bytes, link: LinkInfo | None) -> str:
        if link is not None and link.state == "up":
            return ""
        if self._parts.trust.is_out(key):
            return "its trust has ended"
        return (link.last_failure or "") if link else ""


def _address(link: LinkInfo | None, trusted: Trusted | None) -> str | None:
    """Where it can be dialled; of a peer that dialled us, what we see of it is not that."""
    if link is not None and link.address and (link.dialled_by_us or not trusted):
        return link.address
    return (trusted.address if trusted else None) or (link.address if link else None)


def _state(link: LinkInfo | None) -> Literal["linked", "dialling", "down", "idle"]:
    match link.state if link else None:
        case "up":
            return "linked"
        case "dialling":
            return "dialling"
        case "waiting":
            return "down"
        case _:
            return "idle"
