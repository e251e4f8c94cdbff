"""Grants: chains are read to the byte, and no hop widens, outlives or turns back."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import CapRight, DailySpend, Right, Scope, SigningKey, cbor, envelope, errors
from identity.errors import BadSignature, Expired, FromTheFuture, GrantRefused, MalformedGrant
from identity.grants import (
    CHAIN_BYTES_MAX,
    LIFE_MS_MAX,
    LINKS_MAX,
    Grant,
    grant_bytes,
    make_grant,
    open_grant,
)
from tests.identity.signing import sign1
from tests.strategies import key_of, rights, scopes
from tests.vectors.load import vectors

OURS = vectors("grants")
NOW_MS, NETWORK = OURS["now_ms"], OURS["network"]
C, D, E, F, G = map(key_of, range(40, 45))
HOUR_MS = 3_600_000
RIGHTS = [Right.parse("a2a:read*"), Right.parse("journal:notes")]
SCOPE = Scope.of(
    map(CapRight.parse, ["filesystem", "http_fetch:*.example.com", "inference:llama*"]),
    DailySpend.parse("2EUR"),
)


def grant(
    key: SigningKey = C,
    to: SigningKey = D,
    rights: Any = RIGHTS,
    scope: Scope = SCOPE,
    parent: Grant | None = None,
    until_ms: int = NOW_MS + HOUR_MS,
    issued_ms: int = NOW_MS,
) -> Grant:
    return make_grant(
        key,
        to.public_key,
        rights=rights,
        scope=scope,
        network=NETWORK,
        nonce=bytes(16),
        issued_ms=issued_ms,
        until_ms=until_ms,
        parent=parent,
    )


def opened(data: bytes, holder: bytes = D.public_key, **more: Any) -> Grant:
    asked = {"now_ms": NOW_MS, "issuer": C.public_key, **more}
    return open_grant(data, network=NETWORK, holder=holder, **asked)


@pytest.mark.parametrize("case", OURS["accepted"], ids=lambda case: case["name"])
def test_what_the_vectors_accept_is_read(case: dict[str, Any]) -> None:
    chain, holder = bytes.fromhex(case["chain"]), bytes.fromhex(case["holder"])
    found = open_grant(chain, network=NETWORK, now_ms=NOW_MS + 2_000, holder=holder)
    assert found.id.hex() == case["id"]
    assert str(found) == case["text"]
    assert grant_bytes(case["text"]) == chain == found.raw


@pytest.mark.parametrize("case", OURS["refused"], ids=lambda case: case["name"])
def test_what_the_vectors_refuse_is_refused_for_that_reason(case: dict[str, Any]) -> None:
    chain, holder = bytes.fromhex(case["chain"]), bytes.fromhex(case["holder"])
    with pytest.raises(errors.IdentityError) as refused:
        opened(chain, holder, issuer=bytes.fromhex(case["issuer"]))
    assert type(refused.value).__name__ == case["error"]


def test_a_grant_says_who_what_and_until_when() -> None:
    made = grant(E, F, parent=grant(D, E, parent=grant()))
    assert made == opened(made.raw, F.public_key)
    assert made.keys == tuple(key.public_key for key in (C, D, E, F))
    assert (made.issuer, made.holder) == (C.public_key, F.public_key)
    assert made.until_ms == NOW_MS + HOUR_MS
    assert made.last.covers("a2a", "reader")
    assert not made.last.covers("a2a", "scribe")
    assert made.last.scope == SCOPE


@given(st.frozensets(rights, max_size=4), scopes, st.frozensets(rights, max_size=4), scopes)
def test_a_hop_is_refused_if_it_widens_in_any_dimension(
    held: frozenset[Right], scope: Scope, given_on: frozenset[Right], narrower: Scope
) -> None:
    did = str(C.did)
    scope, narrower = scope.as_said_by(did), narrower.as_said_by(did)
    parent = grant(rights=held, scope=scope)
    may = all(
        any(one.act == other.act and _within(one.glob, other.glob) for other in held)
        for one in given_on
    ) and scope.covers(narrower)
    try:
        child = grant(D, E, rights=given_on, scope=narrower, parent=parent)
    except GrantRefused:
        assert not may
    else:
        assert may
        assert opened(child.raw, E.public_key) == child


def _within(glob: str, other: str) -> bool:
    """By another way than the code: whatever is put for the stars of one, the other takes."""
    fills = ("", "a", "reader", "*x*")
    return all(Right("a2a", other).covers("a2a", glob.replace("*", fill)) for fill in fills)


@given(scopes, scopes)
def test_what_two_links_share_may_always_be_handed_on(one: Scope, other: Scope) -> None:
    one, other = one.as_said_by(str(C.did)), other.as_said_by(str(C.did))
    grant(D, E, scope=one.meet(other), parent=grant(scope=one))


@given(st.integers(-2, 2))
def test_a_hop_never_outlives_its_parent(after_ms: int) -> None:
    parent = grant()
    if after_ms > 0:
        with pytest.raises(GrantRefused, match="outlives"):
            grant(D, E, parent=parent, until_ms=parent.until_ms + after_ms)
    else:
        grant(D, E, parent=parent, until_ms=parent.until_ms + after_ms)


def test_a_grant_lives_a_day_at_most() -> None:
    grant(until_ms=NOW_MS + LIFE_MS_MAX)
    for until_ms in (NOW_MS + LIFE_MS_MAX + 1, NOW_MS, NOW_MS - 1):
        with pytest.raises(MalformedGrant):
            grant(until_ms=until_ms)


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_an_end_has_no_tolerance_and_no_clock_set_back_revives_it(now: int, high: int) -> None:
    made = grant()
    clocks: dict[str, Any] = {
        "now_ms": made.until_ms + now,
        "clock_high_ms": made.until_ms + high,
    }
    if max(now, high) >= 0:
        with pytest.raises(Expired):
            opened(made.raw, **clocks)
        assert made.is_over(max(clocks.values()))
    else:
        assert opened(made.raw, **clocks) == made


def test_what_is_issued_far_ahead_of_our_clock_waits() -> None:
    with pytest.raises(FromTheFuture):
        opened(grant(issued_ms=NOW_MS + envelope.SKEW_MS + 1).raw)


def test_four_hops_and_no_more() -> None:
    made = grant()
    for giver, holder in itertools.pairwise((D, E, F, G)):
        made = grant(giver, holder, parent=made)
    assert len(made.links) == LINKS_MAX
    assert len(made.raw) <= CHAIN_BYTES_MAX
    with pytest.raises(MalformedGrant):
        grant(G, key_of(45), parent=made)


def test_a_chain_is_four_kib_at_most() -> None:
    long = Scope.of(CapRight("filesystem", f"{n:02}" + "x" * 200) for n in range(40))
    with pytest.raises(MalformedGrant, match="at most"):
        grant(scope=long)


@pytest.mark.parametrize("back_to", [C, D])
def test_no_chain_comes_back_to_who_has_held_it(back_to: SigningKey) -> None:
    parent = grant(D, E, parent=grant())
    with pytest.raises(GrantRefused, match="comes back"):
        grant(E, back_to, parent=parent)


def test_only_its_holder_hands_it_on() -> None:
    with pytest.raises(GrantRefused, match="not this node's"):
        grant(E, F, parent=grant())


def test_a_stolen_chain_is_nobody_elses() -> None:
    with pytest.raises(GrantRefused):
        opened(grant().raw, E.public_key)


def test_a_link_left_out_or_put_in_another_order_is_refused() -> None:
    chain = grant(E, F, parent=grant(D, E, parent=grant())).raw
    links: Any = cbor.loads(chain)
    for other in ([links[0], links[2]], links[1:], links[::-1], [*links, links[2]], links[:2]):
        with pytest.raises((GrantRefused, MalformedGrant)):
            opened(cbor.dumps(other), F.public_key)


def test_a_grant_of_another_network_is_none() -> None:
    with pytest.raises(BadSignature):
        open_grant(grant().raw, network="other", now_ms=NOW_MS, holder=D.public_key)


CHAIN = grant(D, E, parent=grant()).raw
REFUSALS = (MalformedGrant, GrantRefused, BadSignature, Expired, FromTheFuture)


@given(
    st.binary(max_size=300)
    | st.lists(st.binary(max_size=60), max_size=5).map(cbor.dumps)
    | st.builds(
        lambda at, byte: b"".join((CHAIN[: at % len(CHAIN)], byte, CHAIN[at % len(CHAIN) + 1 :])),
        st.integers(0, 1 << 16),
        st.binary(max_size=2),
    )
)
def test_any_bytes_are_refused_or_the_grant_itself(data: bytes) -> None:
    try:
        found = opened(data, E.public_key)
    except REFUSALS:
        return
    assert data == CHAIN == found.raw


@given(st.text() | st.text("aA0-_=+/ \n").map("akshi-grant:".__add__))
def test_any_text_gives_bytes_or_malformed(text: str) -> None:
    try:
        data = grant_bytes(text)
    except MalformedGrant:
        return
    assert len(data) <= CHAIN_BYTES_MAX + 2


def test_a_text_broken_over_lines_is_read() -> None:
    text = str(grant())
    assert grant_bytes(f"  {text[:40]}\n{text[40:]}\n") == grant().raw


def test_a_weak_key_is_given_nothing() -> None:
    with pytest.raises(MalformedGrant):
        make_grant(
            C,
            bytes(32),
            rights=RIGHTS,
            scope=SCOPE,
            network=NETWORK,
            nonce=bytes(16),
            issued_ms=NOW_MS,
            until_ms=NOW_MS + 1,
        )


def test_an_envelope_of_another_kind_is_no_link() -> None:
    other = envelope.seal(
        C,
        kind=envelope.Kind.RECEIPT,
        body=b"\x80",
        network=NETWORK,
        nonce=bytes(16),
        issued_ms=NOW_MS,
        audience=D.public_key,
    )
    with pytest.raises(MalformedGrant, match="kind receipt"):
        opened(cbor.dumps([other]))


def cheating(payload: bytes) -> bytes:
    """A chain of one link whose signature is good, whatever it says."""
    return cbor.dumps(
        [
            sign1(
                C,
                protected=cbor.dumps({1: -8, 3: envelope.Kind.GRANT.content_type, 4: C.public_key}),
                payload=payload,
                external_aad=cbor.dumps(["akshi-mesh/envelope", 1, NETWORK]),
            )
        ]
    )


def saying(body: object) -> bytes:
    """As `cheating`, with this body."""
    text = body if isinstance(body, bytes) else cbor.dumps(body)  # type: ignore[arg-type]
    fields = {1: bytes(16), 2: D.public_key, 4: NOW_MS, 5: NOW_MS + HOUR_MS, 7: text}
    return cheating(cbor.dumps(fields))


def test_a_signed_link_that_says_what_it_may_is_read() -> None:
    assert opened(saying({1: 1, 2: ["a2a:read"], 3: {1: []}})).last.rights


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"\xa1\x01",
        [],
        {1: 1, 2: ["a2a:read"]},
        {1: 1, 2: ["a2a:read"], 3: {1: []}, 4: 1},
        {1: 2, 2: ["a2a:read"], 3: {1: []}},
        {1: True, 2: ["a2a:read"], 3: {1: []}},
        {1: 1, 2: "a2a:read", 3: {1: []}},
        {1: 1, 2: [b"a2a:read"], 3: {1: []}},
        {1: 1, 2: ["journal:x", "a2a:read"], 3: {1: []}},
        {1: 1, 2: ["a2a:read", "a2a:read"], 3: {1: []}},
        {1: 1, 2: ["everything"], 3: {1: []}},
        {1: 1, 2: ["a2a:read"], 3: []},
        {1: 1, 2: ["a2a:read"], 3: {1: ["root"]}},
    ],
    ids=repr,
)
def test_a_signed_link_that_says_anything_else_is_malformed(body: object) -> None:
    with pytest.raises(MalformedGrant):
        opened(saying(body))


@pytest.mark.parametrize(
    "chain", [[1], ["text"], [b"", 1], {}, [b"x"] * (LINKS_MAX + 1), []], ids=repr
)
def test_a_chain_that_is_no_array_of_links_is_malformed(chain: object) -> None:
    with pytest.raises(MalformedGrant):
        opened(cbor.dumps(chain))  # type: ignore[arg-type]


@pytest.mark.parametrize("payload", [b"", b"\xff", cbor.dumps([]), cbor.dumps({1: bytes(16)})])
def test_a_signed_link_that_is_no_envelope_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedGrant):
        opened(cheating(payload))
