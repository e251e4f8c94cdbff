"""Signed grants: what a node lets another do, handed on at most four times, only ever narrower.

    C ──grants──▶ D ──hands on──▶ E          E shows C the whole chain
        a2a:*         a2a:reader

A chain is the array of its links, each an envelope of kind `grant`: its author gives, its audience
holds, it ends within a day, it answers the link before, and its body says what. Whoever opens one
has checked that no link widens its parent in any dimension, outlives it, or closes a ring.

Spec, with every byte of an example: docs/spec/grants.md.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from identity import cbor, envelope
from identity.caps import Scope
from identity.did import Did
from identity.errors import (
    GrantRefused,
    MalformedCap,
    MalformedCbor,
    MalformedEnvelope,
    MalformedGrant,
    MalformedRight,
    UnknownKind,
    WeakKey,
    WrongAudience,
)
from identity.keys import SigningKey, check_public_key
from identity.rights import Right, matches

LINKS_MAX: Final = 4
CHAIN_BYTES_MAX: Final = 4_096
RIGHTS_MAX: Final = 64
LIFE_MS_MAX: Final = envelope.GRANT_LIFE_MS_MAX
TEXT_PREFIX: Final = "akshi-grant:"
_TEXT_CHARS_MAX: Final = len(TEXT_PREFIX) + CHAIN_BYTES_MAX * 4 // 3 + 4
_DEPTH, _RIGHTS, _SCOPE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Link:
    """One hop: `issuer` gives `holder` these, until then."""

    id: bytes
    issuer: bytes
    holder: bytes
    rights: frozenset[Right]
    scope: Scope
    until_ms: int

    def covers(self, act: str, target: str) -> bool:
        return any(right.covers(act, target) for right in self.rights)


@dataclass(frozen=True, slots=True)
class Grant:
    """A whole chain whose signatures, order and narrowing have been checked."""

    links: tuple[Link, ...]
    raw: bytes

    @property
    def last(self) -> Link:
        """What the holder has; no link before it says less."""
        return self.links[-1]

    @property
    def id(self) -> bytes:
        return self.last.id

    @property
    def issuer(self) -> bytes:
        """Whose node it is good for."""
        return self.links[0].issuer

    @property
    def holder(self) -> bytes:
        return self.last.holder

    @property
    def until_ms(self) -> int:
        return self.last.until_ms

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Everybody it went through, the issuer first, the holder last."""
        return self.issuer, *(link.holder for link in self.links)

    def is_over(self, now_ms: int) -> bool:
        """`now_ms` is the highest wall clock ever seen: what has ended does not revive."""
        return self.until_ms <= now_ms

    def __str__(self) -> str:
        """As it is copied from one person to another: one word of at most 5,500 characters."""
        return TEXT_PREFIX + base64.urlsafe_b64encode(self.raw).decode().rstrip("=")


def make_grant(
    key: SigningKey,
    holder: bytes,
    *,
    rights: Iterable[Right],
    scope: Scope,
    network: str,
    nonce: bytes,
    issued_ms: int,
    until_ms: int,
    parent: Grant | None = None,
) -> Grant:
    """Give `holder` what this node has to give, or hand on a part of `parent`.

    Raises:
        GrantRefused: wider or longer than its parent, a ring, too many hops, not ours to hand on.
        MalformedGrant: it ends before it begins or after a day, says too much, or the key is weak.
    """
    before = parent.links if parent else ()
    if parent and parent.holder != key.public_key:
        raise GrantRefused("that grant is not this node's to hand on")
    body = cbor.dumps(
        {
            _DEPTH: len(before) + 1,
            _RIGHTS: sorted(map(str, set(rights))),
            _SCOPE: scope.to_fields(),
        }
    )
    try:
        check_public_key(holder)
        data = envelope.seal(
            key,
            kind=envelope.Kind.GRANT,
            body=body,
            network=network,
            nonce=nonce,
            issued_ms=issued_ms,
            expires_ms=until_ms,
            audience=holder,
            in_reply_to=parent.id if parent else None,
        )
    except (MalformedEnvelope, WeakKey) as failure:
        raise MalformedGrant(str(failure)) from failure
    raw = cbor.dumps([*(_split(parent.raw) if parent else ()), data])
    return open_grant(raw, network=network, now_ms=issued_ms, holder=holder)


def open_grant(
    data: bytes,
    *,
    network: str,
    now_ms: int,
    clock_high_ms: int = 0,
    holder: bytes,
    issuer: bytes | None = None,
) -> Grant:
    """Check a chain in full.

    Args:
        data: at most CHAIN_BYTES_MAX bytes.
        network: the name of our network.
        now_ms: wall clock.
        clock_high_ms: the highest wall clock ever stored; an end compares with that, without skew.
        holder: who shows it, proven by other means.
        issuer: whose it must be, ours if we are to honour it; None for one that is good elsewhere.

    Raises:
        MalformedGrant: not such bytes. No correct program writes them.
        GrantRefused: for somebody else, from somebody else, wider or longer than its parent, a
            ring, or not a chain.
        BadSignature: somebody did not sign that.
        Expired, FromTheFuture: not now.

    Cost: one Ed25519 verification and 20 µs a link; all that needs no signature comes first.
    """
    parts = [_unopened(part) for part in _split(data)]
    authors = [part.header.author for part in parts]
    if issuer is not None and authors[0] != issuer:
        raise GrantRefused(f"it is from {Did(authors[0])}, who does not speak for this node")
    holders = [*authors[1:], holder]
    if len({authors[0], *holders}) != len(holders) + 1:
        raise GrantRefused("it comes back to who has held it before")
    links: list[Link] = []
    for part, its_holder in zip(parts, holders, strict=True):
        link = _open_link(
            part,
            its_holder,
            links[-1] if links else None,
            depth=len(links) + 1,
            network=network,
            now_ms=now_ms,
            clock_high_ms=clock_high_ms,
        )
        links.append(link)
    return Grant(tuple(links), data)


def grant_bytes(text: str) -> bytes:
    """The chain in what `str` of a grant gave; spaces and line ends around it do not matter.

    Raises:
        MalformedGrant: it is none.
    """
    word = "".join(text.split())
    if len(word) > _TEXT_CHARS_MAX or not word.startswith(TEXT_PREFIX):
        raise MalformedGrant(f"want {TEXT_PREFIX}… as `grant make` prints it")
    coded = word.removeprefix(TEXT_PREFIX)
    try:
        data = base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as failure:
        raise MalformedGrant("a sign that does not belong there") from failure
    return data


def _split(data: bytes) -> list[bytes]:
    try:
        parts = cbor.loads(data, size_max=CHAIN_BYTES_MAX)
    except MalformedCbor as failure:
        raise MalformedGrant(failure.why) from failure
    if type(parts) is not list or not 0 < len(parts) <= LINKS_MAX:
        raise MalformedGrant(f"want an array of 1 to {LINKS_MAX} links")
    if any(type(part) is not bytes for part in parts):
        raise MalformedGrant("a link is a byte string")
    return parts


def _unopened(part: bytes) -> envelope.Unopened:
    try:
        unopened = envelope.unopened(part)
    except (MalformedEnvelope, UnknownKind) as failure:
        raise MalformedGrant(str(failure)) from failure
    if unopened.header.kind is not envelope.Kind.GRANT:
        raise MalformedGrant(f"an envelope of kind {unopened.header.kind.value} among its links")
    return unopened


def _open_link(
    part: envelope.Unopened,
    holder: bytes,
    parent: Link | None,
    *,
    depth: int,
    network: str,
    now_ms: int,
    clock_high_ms: int,
) -> Link:
    try:
        opened = envelope.open_envelope(
            part, network=network, me=holder, now_ms=now_ms, clock_high_ms=clock_high_ms
        )
    except MalformedEnvelope as failure:
        raise MalformedGrant(failure.why) from failure
    except WrongAudience as failure:
        raise GrantRefused(f"link {depth} is for {failure.audience.hex()}") from failure
    rights, scope = _read_body(opened.body, depth)
    assert opened.expires_ms is not None, "a grant must expire"
    link = Link(opened.id, opened.author, holder, rights, scope, opened.expires_ms)
    if opened.in_reply_to != (parent.id if parent else None):
        raise GrantRefused(f"link {depth} is not the child of the one before")
    if parent is not None:
        _check_narrower(link, parent)
    return link


def _check_narrower(link: Link, parent: Link) -> None:
    """Refuse a hop that gives what its parent does not."""
    if link.until_ms > parent.until_ms:
        raise GrantRefused("a hop outlives its parent")
    for right in sorted(link.rights):
        if not any(_is_within(right, held) for held in parent.rights):
            raise GrantRefused(f"a hop widens its parent: {right}")
    if not parent.scope.covers(link.scope):
        raise GrantRefused(f"a hop widens its parent: {link.scope}, of {parent.scope}")


def _is_within(right: Right, held: Right) -> bool:
    # A `*` of `right` is matched as a sign like any other: only a `*` of `held` takes it.
    return right.act == held.act and matches(held.glob, right.glob)


def _read_body(body: bytes, depth: int) -> tuple[frozenset[Right], Scope]:
    try:
        fields: Any = cbor.loads(body, size_max=CHAIN_BYTES_MAX)
    except MalformedCbor as failure:
        raise MalformedGrant(failure.why) from failure
    if type(fields) is not dict or list(fields) != [_DEPTH, _RIGHTS, _SCOPE]:
        raise MalformedGrant("the body is not a map of fields 1 to 3")
    if type(fields[_DEPTH]) is not int or fields[_DEPTH] != depth:
        raise MalformedGrant(f"link {depth} says that it is another")
    texts = fields[_RIGHTS]
    if type(texts) is not list or any(type(text) is not str for text in texts):
        raise MalformedGrant("rights are texts")
    if len(texts) > RIGHTS_MAX or sorted(set(texts)) != texts:
        raise MalformedGrant(f"want at most {RIGHTS_MAX} rights, sorted, each once")
    try:
        return frozenset(map(Right.parse, texts)), Scope.from_fields(fields[_SCOPE])
    except (MalformedRight, MalformedCap) as failure:
        raise MalformedGrant(str(failure)) from failure
