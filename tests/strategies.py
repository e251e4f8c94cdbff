"""Hypothesis strategies for the value types of all packages, in one place."""

from functools import cache

from hypothesis import strategies as st

from identity import (
    CapRight,
    DailySpend,
    Did,
    Right,
    Scope,
    SigningKey,
    Trusted,
    TrustStore,
)
from identity.envelope import (
    APPROVAL_LIFE_MS_MAX,
    GRANT_LIFE_MS_MAX,
    QUESTION_LIFE_MS_MAX,
    TASK_LIFE_MS_MAX,
    Kind,
)

UINT_MAX = (1 << 64) - 1


@cache
def key_of(number: int) -> SigningKey:
    """The signing key with this number; making one costs 25 µs."""
    return SigningKey.from_seed(number.to_bytes(32, "big"))


signing_keys = st.integers(0, 31).map(key_of)
public_keys = signing_keys.map(lambda key: key.public_key)
dids = public_keys.map(Did)
networks = st.sampled_from(["akshi", "akshi-test", ""])
nonces = st.binary(min_size=16, max_size=16)
ids = st.binary(min_size=32, max_size=32)

# --- strict CBOR ----------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"), max_size=30)
uints = st.integers(0, UINT_MAX) | st.sampled_from([23, 24, 255, 256, 65535, 65536, 1 << 32])
cbor_leaves = (
    st.integers(-(1 << 64), UINT_MAX) | uints | st.binary(max_size=70) | texts | st.booleans()
) | st.none()
cbor_values = st.recursive(
    cbor_leaves,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(uints, inner, max_size=5)
        | st.dictionaries(texts, inner, max_size=5)
    ),
    max_leaves=20,
)

# --- what others' work may use --------------------------------------------------------------------

_globs = st.sampled_from(["*", "read*", "reader", "*er", "notes"])
cap_rights = st.one_of(
    st.sampled_from(["a2a", "database", "filesystem", "http_fetch", "journal", "mcp", "spend"]),
    st.builds(lambda node, glob: f"a2a:{node}/{glob}", dids | st.just("self"), _globs),
    st.builds(lambda glob: f"filesystem:{glob}", _globs),
    st.builds(lambda glob: f"inference:{glob}", _globs),
    st.builds(lambda server, tool: f"mcp:{server}/{tool}", _globs, _globs),
    st.builds(
        lambda methods, scheme, host, port, path: f"http_fetch:{methods}{scheme}{host}{port}{path}",
        st.sampled_from(["", "GET ", "GET,POST "]),
        st.sampled_from(["", "http://", "https://"]),
        st.sampled_from(["example.com", "*.example.com", "api.example.com"]),
        st.sampled_from(["", ":8080", ":443"]),
        st.sampled_from(["", "/v1", "/v1/prices", "/v10"]),
    ),
).map(CapRight.parse)
daily_spends = st.builds(
    DailySpend, st.integers(1, 20).map(lambda n: n * 100_000), st.sampled_from(["EUR", "SAT"])
)
scopes = st.builds(Scope.of, st.frozensets(cap_rights, max_size=6), st.none() | daily_spends)

# --- trust ----------------------------------------------------------------------------------------

_name_starts = st.sampled_from("abcXYZ019_")
_name_rests = st.text("abcXYZ019_.-", max_size=8)
names = st.builds(str.__add__, _name_starts, _name_rests)
petnames = names.filter(lambda name: name != "self")
globs = st.text("abAB01_.-*", min_size=1, max_size=10)
rights = st.builds(Right, st.sampled_from(["a2a", "journal"]), globs)
addresses = st.sampled_from(["localhost:4820", "192.0.2.7:4820", "[2001:db8::7]:4820", "a.example"])
trusted = st.builds(
    Trusted,
    public_keys,
    st.none() | petnames,
    st.none() | addresses,
    st.frozensets(rights, max_size=4),
    st.none() | st.integers(0, UINT_MAX),
    scopes,
)


@st.composite
def trust_stores(draw: st.DrawFn) -> TrustStore:
    """Stores made the only way there is: by adding, revoking and accepting."""
    store = TrustStore()
    entries = st.lists(trusted, max_size=5, unique_by=(lambda t: t.public_key, lambda t: t.petname))
    for entry in draw(entries):
        store = store.add(
            entry.public_key,
            petname=entry.petname,
            address=entry.address,
            rights=entry.rights,
            until_ms=entry.until_ms,
            caps=entry.scope.caps,
            spend=entry.scope.spend,
        )
    for key in draw(st.frozensets(public_keys, max_size=2)):
        store = store.revoke(key)
    for key in draw(st.frozensets(public_keys, max_size=2)):
        store = store.with_accepted_fork(key)
    return store


# --- envelopes ------------------------------------------------------------------------------------

ANSWERS = (Kind.PROGRESS, Kind.RESULT, Kind.CANCEL, Kind.RECONCILED)
PEOPLE = (Kind.APPROVAL_REQUEST, Kind.APPROVAL)
DIRECT = (Kind.TASK, Kind.RECEIPT, Kind.GRANT, Kind.RECONCILE, *PEOPLE, *ANSWERS)
LIVES_MS = {
    Kind.GRANT: GRANT_LIFE_MS_MAX,
    Kind.RECONCILE: QUESTION_LIFE_MS_MAX,
    **dict.fromkeys(PEOPLE, APPROVAL_LIFE_MS_MAX),
}


@st.composite
def sealed_fields(draw: st.DrawFn, kind: Kind | None = None) -> dict[str, object]:
    """Keyword arguments of `seal` that the rules of their kind allow, but for the network."""
    kind = draw(st.sampled_from(Kind)) if kind is None else kind
    issued_ms = draw(st.integers(0, 1 << 48))
    fields: dict[str, object] = {
        "kind": kind,
        "body": draw(st.binary(max_size=300)),
        "nonce": draw(nonces),
        "issued_ms": issued_ms,
    }
    if kind in (Kind.TASK, Kind.ATTESTATION, *LIVES_MS) or (
        kind is not Kind.REVOCATION and draw(st.booleans())
    ):
        life_ms_max = LIVES_MS.get(kind, TASK_LIFE_MS_MAX)
        fields["expires_ms"] = issued_ms + draw(st.integers(1, life_ms_max))
    if kind in DIRECT or draw(st.booleans()):
        fields["audience"] = draw(public_keys)
    elif draw(st.booleans()):
        fields["topic"] = draw(texts.filter(bool))
    if kind in ANSWERS or draw(st.booleans()):
        fields["in_reply_to"] = draw(ids)
    return fields
