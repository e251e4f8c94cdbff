"""Whom this node trusts, for what, until when. A value: every change gives another store.

Trust alone lets a node connect and nothing else; each `Right` adds one thing, and its `Scope` says
what agents here may use for its tasks. What was revoked by its owner stays out for good, whatever
the operator types later.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from identity.caps import NOTHING, CapRight, DailySpend, Scope
from identity.did import Did
from identity.errors import (
    KeyRevoked,
    MalformedCap,
    MalformedDid,
    MalformedRight,
    MalformedTrust,
    NotTrusted,
    PetnameTaken,
    TrustRefused,
    TwinOfTrusted,
    WeakKey,
)
from identity.keys import check_public_key, twin
from identity.rights import Right

__all__ = ["Right", "TrustStore", "Trusted", "is_petname"]

PETNAME_LENGTH_MAX: Final = 64
ADDRESS_LENGTH_MAX: Final = 300  # a DNS name of 253 and a port
JSON_LENGTH_MAX: Final = 16 << 20  # about 50,000 peers; at the limit the file is refused
_VERSION: Final = 1
_PETNAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.:\[\]_%-]+")


@dataclass(frozen=True, slots=True)
class Trusted:
    """One node that the operator trusts, until the wall clock `until_ms` or for ever (None)."""

    public_key: bytes
    petname: str | None = None
    address: str | None = None
    rights: frozenset[Right] = frozenset()
    until_ms: int | None = None
    scope: Scope = NOTHING  # what its tasks may use of this node's agents

    def __post_init__(self) -> None:
        if self.petname is not None and not is_petname(self.petname):
            raise MalformedTrust(f"name {self.petname!r}: want letters, digits and ._-, not 'self'")
        if self.address is not None and (
            len(self.address) > ADDRESS_LENGTH_MAX or not _ADDRESS.fullmatch(self.address)
        ):
            raise MalformedTrust(f"address {self.address[:80]!r}: want host:port")
        if self.until_ms is not None and self.until_ms < 0:
            raise MalformedTrust("an end before 1970")

    @property
    def did(self) -> Did:
        return Did(self.public_key)

    def covers(self, act: str, target: str) -> bool:
        return any(right.covers(act, target) for right in self.rights)


def is_petname(text: str) -> bool:
    """Whether `text` can stand before the slash of `petname/agent`; `self` means this node."""
    fits = 0 < len(text) <= PETNAME_LENGTH_MAX and text != "self"
    return fits and _PETNAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class TrustStore:
    """All of it, immutable. Iterates over everything trusted, in the order of keys."""

    _trusted: Mapping[bytes, Trusted] = field(default_factory=lambda: MappingProxyType({}))
    revoked: frozenset[bytes] = frozenset()
    accepted_forks: frozenset[bytes] = frozenset()

    def __iter__(self) -> Iterator[Trusted]:
        return iter(sorted(self._trusted.values(), key=lambda trusted: trusted.public_key))

    def __len__(self) -> int:
        return len(self._trusted)

    def get(self, public_key: bytes) -> Trusted | None:
        """What the operator said, be it still in force or not."""
        return self._trusted.get(public_key)

    def lookup(self, public_key: bytes, now_ms: int) -> Trusted | None:
        """Whom to serve: None if unknown, removed, revoked, or past its end.

        `now_ms` is the highest wall clock this node has seen: a clock set back revives nobody.
        """
        trusted = self._trusted.get(public_key)
        if trusted is None or (trusted.until_ms is not None and trusted.until_ms <= now_ms):
            return None
        return trusted

    def covers(self, public_key: bytes, act: str, target: str, now_ms: int) -> bool:
        """Whether that node may, now, do `act` on `target`."""
        trusted = self.lookup(public_key, now_ms)
        return trusted is not None and trusted.covers(act, target)

    def by_petname(self, petname: str) -> Trusted | None:
        return next((t for t in self._trusted.values() if t.petname == petname), None)

    def name_of(self, public_key: bytes) -> str:
        """How its owner calls this node: the petname, or the DID."""
        trusted = self._trusted.get(public_key)
        return (trusted.petname if trusted else None) or str(Did(public_key))

    def add(
        self,
        public_key: bytes,
        *,
        petname: str | None = None,
        address: str | None = None,
        rights: Iterable[Right] = (),
        until_ms: int | None = None,
        caps: Iterable[CapRight] = (),
        spend: DailySpend | None = None,
    ) -> "TrustStore":
        """Trust a node, or give one that is trusted more rights; what is None stays as it was.

        Raises:
            WeakKey: no honest key generation gives this key.
            KeyRevoked: its owner, or the owner of its twin, took it back.
            TwinOfTrusted: −A of a key A that is trusted: one secret, two names.
            PetnameTaken: the name belongs to another node.
            MalformedTrust: a name or an address that cannot be.
            MalformedCap: more capabilities than one scope holds.
        """
        self._check_new(public_key, self._trusted)
        before = self._trusted.get(public_key, Trusted(public_key))
        after = Trusted(
            public_key,
            before.petname if petname is None else petname,
            before.address if address is None else address,
            before.rights.union(rights),
            before.until_ms if until_ms is None else until_ms,
            Scope.of(before.scope.caps.union(caps), spend or before.scope.spend),
        )
        holder = None if petname is None else self.by_petname(petname)
        if holder is not None and holder.public_key != public_key:
            raise PetnameTaken(holder.petname or "", did=str(holder.did))
        return self._with({**self._trusted, public_key: after})

    def remove(self, public_key: bytes) -> "TrustStore":
        """Trust it no more; it may be added again.

        Raises:
            NotTrusted: it is not in the store.
        """
        if public_key not in self._trusted:
            raise NotTrusted(str(Did(public_key)))
        return self._with({k: t for k, t in self._trusted.items() if k != public_key})

    def revoke(self, public_key: bytes) -> "TrustStore":
        """Its owner took it back: out, its twin too (they share the secret), and for good."""
        out = {public_key, twin(public_key)}
        rest = {key: trusted for key, trusted in self._trusted.items() if key not in out}
        return replace(self._with(rest), revoked=self.revoked | {public_key})

    def with_accepted_fork(self, author: bytes) -> "TrustStore":
        """The operator has seen that `author` forked a journal, and wants its later entries."""
        return replace(self, accepted_forks=self.accepted_forks | {author})

    def to_json(self) -> str:
        """The text of security/trust.json: sorted, two spaces, one final newline."""
        document = {
            "version": _VERSION,
            "trusted": [_to_object(trusted) for trusted in self],
            "revoked": sorted(str(Did(key)) for key in self.revoked),
            "accepted_forks": sorted(str(Did(key)) for key in self.accepted_forks),
        }
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "TrustStore":
        """The store that `to_json` wrote, or that an operator edited.

        Raises:
            MalformedTrust: not that form; an unknown key, a wrong type, anything twice, or trust
                that `add` would refuse. No other error.
        """
        document = _parse(text)
        if set(document) != {"version", "trusted", "revoked", "accepted_forks"}:
            raise MalformedTrust("want version, trusted, revoked and accepted_forks")
        if type(document["version"]) is not int or document["version"] != _VERSION:
            raise MalformedTrust(f"want version {_VERSION}")
        if type(document["trusted"]) is not list:
            raise MalformedTrust("trusted must be an array")
        store = cls(
            revoked=_dids(document["revoked"], "revoked"),
            accepted_forks=_dids(document["accepted_forks"], "accepted_forks"),
        )
        trusted: dict[bytes, Trusted] = {}
        petnames: set[str] = set()
        for entry in map(_from_object, document["trusted"]):
            did = entry.did
            if entry.public_key in trusted:
                raise MalformedTrust(f"{did} stands twice")
            if entry.petname in petnames:
                raise MalformedTrust(f"the name {entry.petname!r} stands twice")
            try:
                store._check_new(entry.public_key, trusted)
            except (WeakKey, TrustRefused) as failure:
                raise MalformedTrust(str(failure)) from failure
            trusted[entry.public_key] = entry
            if entry.petname is not None:
                petnames.add(entry.petname)
        return store._with(trusted)

    def _check_new(self, public_key: bytes, trusted: Mapping[bytes, Trusted]) -> None:
        """Refuse a key that is weak, revoked, or the twin of one in `trusted`."""
        check_public_key(public_key)
        did, other = Did(public_key), twin(public_key)
        if public_key in self.revoked or other in self.revoked:
            raise KeyRevoked(str(did))
        if other in trusted:
            raise TwinOfTrusted(str(did), twin=str(Did(other)))

    def _with(self, trusted: dict[bytes, Trusted]) -> "TrustStore":
        return replace(self, _trusted=MappingProxyType(trusted))


def _to_object(trusted: Trusted) -> dict[str, Any]:
    fields = {
        "did": str(trusted.did),
        "petname": trusted.petname,
        "address": trusted.address,
        "rights": sorted(map(str, trusted.rights)),
        "until_ms": trusted.until_ms,
        "caps": sorted(map(str, trusted.scope.caps)) or None,
        "spend": str(trusted.scope.spend) if trusted.scope.spend else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


_FIELD_TYPES: Final = {
    "did": str,
    "rights": list,
    "petname": str,
    "address": str,
    "until_ms": int,
    "caps": list,
    "spend": str,
}


def _from_object(entry: object) -> Trusted:
    if type(entry) is not dict or not {"did", "rights"} <= entry.keys() <= _FIELD_TYPES.keys():
        others = ", ".join(sorted(_FIELD_TYPES.keys() - {"did", "rights"}))
        raise MalformedTrust(f"an entry has did and rights, and may have {others}")
    for name, value in entry.items():
        if type(value) is not _FIELD_TYPES[name]:
            raise MalformedTrust(f"{name} is of the wrong type")
    try:
        public_key = Did.parse(entry["did"]).public_key
        rights = [Right.parse(_text(right, "a right")) for right in entry["rights"]]
        caps = [CapRight.parse(_text(cap, "a capability")) for cap in entry.get("caps", [])]
        spend = DailySpend.parse(entry["spend"]) if "spend" in entry else None
        scope = Scope(frozenset(caps), spend)
    except (MalformedDid, MalformedRight, MalformedCap) as failure:
        raise MalformedTrust(str(failure)) from failure
    if len(set(rights)) != len(rights) or len(set(caps)) != len(caps):
        raise MalformedTrust("a right or a capability stands twice")
    return Trusted(
        public_key,
        entry.get("petname"),
        entry.get("address"),
        frozenset(rights),
        entry.get("until_ms"),
        scope,
    )


def _dids(value: object, where: str) -> frozenset[bytes]:
    if type(value) is not list:
        raise MalformedTrust(f"{where} must be an array")
    try:
        keys = frozenset(Did.parse(_text(item, where)).public_key for item in value)
    except MalformedDid as failure:
        raise MalformedTrust(f"{where}: {failure}") from failure
    if len(keys) != len(value):
        raise MalformedTrust(f"{where}: a did stands twice")
    return keys


def _text(value: object, where: str) -> str:
    if type(value) is not str:
        raise MalformedTrust(f"{where}: want text")
    return value


def _parse(text: str) -> dict[str, Any]:
    """The JSON object of `text`; json alone lets the last of two equal keys win."""
    if len(text) > JSON_LENGTH_MAX:
        raise MalformedTrust(f"longer than {JSON_LENGTH_MAX} characters")
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as failure:
        if isinstance(failure, MalformedTrust):
            raise
        raise MalformedTrust(f"not json: {failure}".lower()) from failure
    if type(document) is not dict:
        raise MalformedTrust("want an object")
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedTrust("a key stands twice in one object")
    return found
