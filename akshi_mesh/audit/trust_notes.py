"""Every change of trust is a record, and on the disk before the change is in force."""

from collections.abc import Callable, Iterator
from typing import Final

from akshi_mesh.audit.log import AuditLog, as_store_error
from identity.did import Did
from identity.trust import Trusted, TrustStore
from sandbox.audit import Event

Change = tuple[str, str, tuple[tuple[str, str], ...]]
Listener = Callable[[TrustStore, TrustStore], None]
_NO_END: Final = "none"


def trust_changes(before: TrustStore, after: TrustStore) -> Iterator[Change]:
    """What became of whom: code, DID, facts."""
    were = {trusted.public_key: trusted for trusted in before}
    are = {trusted.public_key: trusted for trusted in after}
    revoked = after.revoked - before.revoked
    for key in sorted(revoked):
        yield "revoked", str(Did(key)), ()
    for key in sorted(were.keys() - are.keys() - revoked):
        yield "removed", str(Did(key)), ()
    for key in sorted(are):
        if were.get(key) != are[key]:
            yield "changed" if key in were else "added", str(Did(key)), _facts(are[key])
    for key in sorted(after.accepted_forks - before.accepted_forks):
        yield "fork-accepted", str(Did(key)), ()


def _facts(trusted: Trusted) -> tuple[tuple[str, str], ...]:
    return (
        ("name", trusted.petname or ""),
        ("address", trusted.address or ""),
        ("rights", " ".join(sorted(map(str, trusted.rights)))),
        ("scope", str(trusted.scope)),
        ("until_ms", _NO_END if trusted.until_ms is None else str(trusted.until_ms)),
    )


def noting(audit: AuditLog) -> Listener:
    """What the trust book calls before it writes a change.

    It raises the store's error if there is no room: then nothing changes.
    """

    def note(before: TrustStore, after: TrustStore) -> None:
        # Not in one transaction: each may take the room that is reserved for it.
        for code, did, facts in trust_changes(before, after):
            with as_store_error():
                audit.note(Event.TRUST, subject=did, code=code, facts=facts)

    return note
