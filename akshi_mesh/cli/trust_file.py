"""The trust file of a home whose node does not run. Who changes it holds the home's lock."""

import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from akshi_mesh.api.errors import NotKnown
from akshi_mesh.api.shapes import TrustedInfo
from akshi_mesh.scopes import read_scope
from akshi_mesh.transport.address import Address
from identity.did import Did
from identity.files import load_trust, save_trust
from identity.revocation import open_revocation
from identity.trust import Right, Trusted, TrustStore


def add(
    home: Path,
    did: str,
    *,
    name: str | None,
    address: str | None,
    allow: Sequence[str],
    until_ms: int | None,
    caps: Sequence[str] = (),
    spend: str | None = None,
) -> TrustedInfo:
    """Trust `did`, or add to what it may do. Raises what `TrustStore.add` does."""
    public_key = Did.parse(did).public_key
    before = load_trust(home)
    scope = read_scope(caps, spend, before)
    store = before.add(
        public_key,
        petname=name,
        address=None if address is None else str(Address.parse(address)),
        rights=[Right.parse(text) for text in allow],
        until_ms=until_ms,
        caps=scope.caps,
        spend=scope.spend,
    )
    _save(home, before, store)
    trusted = store.get(public_key)
    assert trusted is not None, "it was just added"
    return info(trusted, now_ms=0)


def everybody(home: Path, *, now_ms: int) -> list[TrustedInfo]:
    """All that are trusted, then all that were revoked."""
    store = load_trust(home)
    return [info(trusted, now_ms=now_ms) for trusted in store] + [
        _revoked(key) for key in sorted(store.revoked)
    ]


def one(home: Path, who: str, *, now_ms: int) -> TrustedInfo:
    store = load_trust(home)
    return shown(store, find(store, who), now_ms=now_ms)


def shown(store: TrustStore, public_key: bytes, *, now_ms: int) -> TrustedInfo:
    """What `store` says of one key.

    Raises:
        NotKnown: nothing.
    """
    trusted = store.get(public_key)
    if trusted is not None:
        return info(trusted, now_ms=now_ms)
    if public_key in store.revoked:
        return _revoked(public_key)
    did = Did(public_key)
    raise NotKnown(f"not trusted: {did}", hint=f"akshi-node trust add {did}")


def remove(home: Path, who: str, *, network: str) -> None:
    """Trust it no more; what it was granted is withdrawn as well."""
    before = load_trust(home)
    key = find(before, who)
    is_granted = _withdraw(home, key, network)
    if before.get(key) is not None or not is_granted:
        _save(home, before, before.remove(key))


def _withdraw(home: Path, key: bytes, network: str) -> bool:
    """Withdraw the grants that went through `key`; False if there are none."""
    from akshi_mesh.grant_book import SCHEMA, GrantBook
    from sync.store.database import Database

    database = Database.open(str(home / "node.db"), schemas=SCHEMA)
    try:
        book = GrantBook(database, me=b"", network=network)  # it is only read and withdrawn here
        book.load(time.time_ns() // 1_000_000)
        return book.withdraw_key(key)
    finally:
        database.close()


def revoke(home: Path, revocation: bytes, *, network: str) -> str:
    """Take a revocation; the DID that is gone for good."""
    from akshi_mesh.revocations import SCHEMA, keep
    from sync.store.database import Database

    public_key = open_revocation(revocation, network=network)
    store = load_trust(home)
    _save(home, store, store.revoke(public_key))
    # The node finds the proof there, and passes it on once it runs.
    database = Database.open(str(home / "node.db"), schemas=[SCHEMA])
    try:
        keep(database, public_key, revocation)
    finally:
        database.close()
    return str(Did(public_key))


def accept_fork(home: Path, who: str) -> None:
    store = load_trust(home)
    _save(home, store, store.with_accepted_fork(find(store, who)))


def _save(home: Path, before: TrustStore, after: TrustStore) -> None:
    """Write a change that the audit log has taken first."""
    from akshi_mesh.audit.log import SCHEMA, AuditLog
    from akshi_mesh.audit.trust_notes import noting
    from akshi_mesh.reserve import Reserve
    from sync.store.database import Database

    reserve = Reserve(home / "reserve")
    database = Database.open(str(home / "node.db"), schemas=SCHEMA)
    try:
        audit = AuditLog(
            database,
            draw=secrets.token_bytes,
            wall_ms=lambda: time.time_ns() // 1_000_000,
            reserve=reserve,
        )
        noting(audit)(before, after)
    finally:
        database.close()
    save_trust(home, after)


def did_of_name(home: Path, who: str) -> str:
    """The DID that has the name `who` here; else `who` as it is."""
    trusted = load_trust(home).by_petname(who)
    return who if trusted is None else str(trusted.did)


def named(home: Path, who: str) -> bytes:
    """The key of a DID or of a name. Raises as `find`."""
    return find(load_trust(home), who)


def find(store: TrustStore, who: str) -> bytes:
    """The key of a DID or of a name.

    Raises:
        NotKnown: nobody has that name.
        MalformedDid: it begins as a DID and is none.
    """
    if who.startswith("did:"):
        return Did.parse(who).public_key
    trusted = store.by_petname(who)
    if trusted is None:
        raise NotKnown(f"nobody here is called {who!r}", hint="akshi-node trust list")
    return trusted.public_key


def info(trusted: Trusted, *, now_ms: int) -> TrustedInfo:
    expired = trusted.until_ms is not None and trusted.until_ms <= now_ms
    return {
        "did": str(trusted.did),
        "name": trusted.petname,
        "address": trusted.address,
        "allow": sorted(map(str, trusted.rights)),
        "caps": sorted(map(str, trusted.scope.caps)),
        "spend": str(trusted.scope.spend) if trusted.scope.spend else None,
        "until_ms": trusted.until_ms,
        "state": "expired" if expired else "trusted",
    }


def _revoked(public_key: bytes) -> TrustedInfo:
    return {
        "did": str(Did(public_key)),
        "name": None,
        "address": None,
        "allow": [],
        "caps": [],
        "spend": None,
        "until_ms": None,
        "state": "revoked",
    }
