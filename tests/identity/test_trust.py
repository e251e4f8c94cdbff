"""The trust store: whom we serve, which additions are refused, and its strict form on disk."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from identity import CapRight, DailySpend, Did, Right, Scope, Trusted, TrustStore, twin
from identity.errors import (
    KeyRevoked,
    MalformedTrust,
    NotTrusted,
    PetnameTaken,
    TrustRefused,
    TwinOfTrusted,
    WeakKey,
)
from identity.trust import JSON_LENGTH_MAX, is_petname
from tests.strategies import key_of, public_keys, rights, trust_stores

ALICE, BOB = key_of(1).public_key, key_of(2).public_key
ALICE_DID = str(Did(ALICE))
A2A, JOURNAL = Right.parse("a2a:*"), Right.parse("journal:notes")


def test_trust_alone_allows_nothing_else() -> None:
    store = TrustStore().add(ALICE)
    assert store.lookup(ALICE, 0) == Trusted(ALICE)
    assert not store.covers(ALICE, "a2a", "reader", 0)
    assert not TrustStore().covers(ALICE, "a2a", "reader", 0)


def test_a_second_add_adds() -> None:
    store = TrustStore().add(ALICE, petname="alice", rights=[A2A], until_ms=9)
    store = store.add(ALICE, rights=[JOURNAL], address="localhost:4820")
    assert store.get(ALICE) == Trusted(
        ALICE, "alice", "localhost:4820", frozenset({A2A, JOURNAL}), 9
    )
    assert store.add(ALICE, petname="al", until_ms=12).get(ALICE) == Trusted(
        ALICE, "al", "localhost:4820", frozenset({A2A, JOURNAL}), 12
    )
    assert store.covers(ALICE, "journal", "notes", 8)


def test_trust_ends_at_its_end() -> None:
    store = TrustStore().add(ALICE, rights=[A2A], until_ms=100)
    assert store.covers(ALICE, "a2a", "reader", 99)
    assert store.lookup(ALICE, 100) is None
    assert not store.covers(ALICE, "a2a", "reader", 100)
    assert store.get(ALICE) is not None, "the operator still sees it"


def test_a_store_never_changes() -> None:
    store = TrustStore().add(ALICE)
    store.remove(ALICE)
    store.revoke(ALICE)
    store.with_accepted_fork(ALICE)
    assert store == TrustStore().add(ALICE)
    assert len(store) == 1
    assert list(store) == [Trusted(ALICE)]


def test_the_twin_of_a_trusted_key_is_refused() -> None:
    with pytest.raises(TwinOfTrusted) as refused:
        TrustStore().add(ALICE).add(twin(ALICE))
    assert refused.value.twin == ALICE_DID
    TrustStore().add(ALICE).remove(ALICE).add(twin(ALICE))


def test_a_revoked_key_and_its_twin_stay_out_for_good() -> None:
    store = TrustStore().add(ALICE).add(BOB).revoke(ALICE)
    assert store.lookup(ALICE, 0) is None
    assert store.lookup(BOB, 0) is not None
    for key in (ALICE, twin(ALICE)):
        with pytest.raises(KeyRevoked):
            store.add(key)
    assert TrustStore().add(twin(ALICE)).revoke(ALICE).get(twin(ALICE)) is None
    assert store.revoke(ALICE) == store


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32, b"short"])
def test_a_weak_key_is_refused(key: bytes) -> None:
    with pytest.raises(WeakKey):
        TrustStore().add(key)


def test_a_name_belongs_to_one() -> None:
    store = TrustStore().add(ALICE, petname="a").add(ALICE, petname="a")
    with pytest.raises(PetnameTaken) as refused:
        store.add(BOB, petname="a")
    assert refused.value.did == ALICE_DID
    assert store.by_petname("a") == store.get(ALICE)
    assert store.by_petname("b") is None
    store.add(ALICE, petname="b").add(BOB, petname="a")


def test_what_is_not_trusted_cannot_be_removed_and_the_hint_says_how_to_add() -> None:
    with pytest.raises(NotTrusted, match=f"not trusted: {ALICE_DID}") as refused:
        TrustStore().remove(ALICE)
    assert refused.value.hint == f"akshi-node trust add {ALICE_DID}"


@pytest.mark.parametrize("name", ["", "self", "a b", "a/b", "did:key", ".a", "-a", "a" * 65, "ä"])
def test_a_name_that_could_be_mistaken_is_refused(name: str) -> None:
    assert not is_petname(name)
    with pytest.raises(MalformedTrust, match="name"):
        TrustStore().add(ALICE, petname=name)


@pytest.mark.parametrize("address", ["", "a b", "a/b", "a" * 301, "x\n"])
def test_an_address_that_cannot_be_is_refused(address: str) -> None:
    with pytest.raises(MalformedTrust, match="address"):
        TrustStore().add(ALICE, address=address)


def test_the_longest_address_fits() -> None:
    assert TrustStore().add(ALICE, address="a" * 300).get(ALICE) is not None


def test_an_end_before_the_beginning_is_refused() -> None:
    with pytest.raises(MalformedTrust, match="1970"):
        TrustStore().add(ALICE, until_ms=-1)


# --- on disk --------------------------------------------------------------------------------------


@given(trust_stores())
def test_to_json_and_from_json_are_inverse(store: TrustStore) -> None:
    text = store.to_json()
    assert TrustStore.from_json(text) == store
    assert TrustStore.from_json(text).to_json() == text


def full() -> dict[str, Any]:
    entry = {
        "did": ALICE_DID,
        "petname": "alice",
        "address": "localhost:4820",
        "rights": ["a2a:*"],
        "until_ms": 5,
    }
    carol = str(key_of(9).did)
    return {"version": 1, "trusted": [entry], "revoked": [carol], "accepted_forks": [ALICE_DID]}


def spoil(change: Callable[[dict[str, Any]], object]) -> str:
    document = full()
    change(document)
    return json.dumps(document)


def entry_with(**fields: Any) -> str:
    return spoil(lambda document: document["trusted"][0].update(fields))


def another(**fields: Any) -> str:
    return spoil(lambda document: document["trusted"].append({"rights": [], **fields}))


SPOILT = {
    "nothing": "",
    "no json": "{",
    "no object": "[]",
    "not a number": json.dumps(full()).replace(": 5}", ": NaN}"),
    "a huge number": json.dumps(full()).replace(": 5}", f": {'9' * 5000}}}"),
    "deep": "[" * 100_000,
    "a key twice": '{"version": 1, ' + json.dumps(full())[1:],
    "a key too many": spoil(lambda document: document.update(more=1)),
    "a key too few": spoil(lambda document: document.pop("revoked")),
    "another version": spoil(lambda document: document.update(version=2)),
    "true as version": spoil(lambda document: document.update(version=True)),
    "trusted no array": spoil(lambda document: document.update(trusted={})),
    "revoked no array": spoil(lambda document: document.update(revoked="")),
    "revoked twice": spoil(lambda document: document.update(revoked=[ALICE_DID] * 2)),
    "revoked no did": spoil(lambda document: document.update(revoked=["did:key:z6Mk"])),
    "revoked no text": spoil(lambda document: document.update(revoked=[1])),
    "forks no array": spoil(lambda document: document.update(accepted_forks=None)),
    "trusted and revoked": spoil(lambda document: document.update(revoked=[ALICE_DID])),
    "entry no object": spoil(lambda document: document.update(trusted=[1])),
    "entry too many": entry_with(more=1),
    "entry too few": spoil(lambda document: document["trusted"][0].pop("rights")),
    "entry did": entry_with(did="did:key:z6Mk"),
    "entry did type": entry_with(did=1),
    "entry petname": entry_with(petname="self"),
    "entry petname null": entry_with(petname=None),
    "entry address": entry_with(address="a b"),
    "entry until": entry_with(until_ms=1.5),
    "entry until true": entry_with(until_ms=True),
    "entry until past": entry_with(until_ms=-1),
    "entry rights": entry_with(rights="a2a:*"),
    "entry right": entry_with(rights=["http:*"]),
    "entry right type": entry_with(rights=[1]),
    "entry right twice": entry_with(rights=["a2a:*", "a2a:*"]),
    "did twice": another(did=ALICE_DID),
    "petname twice": another(did=str(Did(BOB)), petname="alice"),
    "twin": another(did=str(Did(twin(ALICE)))),
    "weak": another(did=str(Did(bytes(32)))),
    "too long": json.dumps(full()) + " " * JSON_LENGTH_MAX,
}


@pytest.mark.parametrize("text", SPOILT.values(), ids=SPOILT.keys())
def test_what_save_would_not_write_is_malformed(text: str) -> None:
    assert TrustStore.from_json(json.dumps(full())).get(ALICE) is not None
    with pytest.raises(MalformedTrust) as refused:
        TrustStore.from_json(text)
    assert "\n" not in str(refused.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(ALICE_DID),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(full())), st.sampled_from(sorted(full()["trusted"][0])), json_values)
def test_any_value_in_any_place_is_read_or_malformed(where: str, field: str, value: object) -> None:
    for text in (
        spoil(lambda document: document.update({where: value})),
        entry_with(**{field: value}),
    ):
        try:
            store = TrustStore.from_json(text)
        except MalformedTrust:
            continue
        assert TrustStore.from_json(store.to_json()) == store


@given(st.text())
def test_any_text_is_read_or_malformed(text: str) -> None:
    with pytest.raises(MalformedTrust):
        TrustStore.from_json(text)


class AnyOperator(RuleBasedStateMachine):
    """Whatever is typed, in whatever order: no twin, nobody revoked, no name twice."""

    def __init__(self) -> None:
        super().__init__()
        self.store = TrustStore()
        self.revoked: set[bytes] = set()
        self.granted: dict[bytes, set[Right]] = {}

    @rule(
        key=public_keys, other=st.booleans(), name=st.none() | st.sampled_from("ab"), right=rights
    )
    def add(self, key: bytes, other: bool, name: str | None, right: Right) -> None:
        key = twin(key) if other else key
        try:
            self.store = self.store.add(key, petname=name, rights=[right])
        except TrustRefused:
            return
        self.granted.setdefault(key, set()).add(right)

    @rule(key=public_keys)
    def remove(self, key: bytes) -> None:
        if key in self.granted:
            self.store = self.store.remove(key)
            del self.granted[key]

    @rule(key=public_keys)
    def revoke(self, key: bytes) -> None:
        self.store = self.store.revoke(key)
        self.revoked |= {key, twin(key)}
        self.granted.pop(key, None)
        self.granted.pop(twin(key), None)

    @rule()
    def restart(self) -> None:
        self.store = TrustStore.from_json(self.store.to_json())

    @invariant()
    def trust_is_what_was_granted_and_no_more(self) -> None:
        assert {t.public_key: set(t.rights) for t in self.store} == self.granted
        assert not self.granted.keys() & self.revoked
        assert not any(twin(key) in self.granted for key in self.granted)
        named = [t.petname for t in self.store if t.petname is not None]
        assert len(named) == len(set(named))


TestAnyOperator = AnyOperator.TestCase


def test_caps_add_up_and_an_amount_is_replaced() -> None:
    caps = [CapRight.parse("filesystem"), CapRight.parse("http_fetch:example.com")]
    store = TrustStore().add(ALICE, caps=caps[:1], spend=DailySpend.parse("2EUR"))
    store = store.add(ALICE, caps=caps[1:], spend=DailySpend.parse("1EUR"))
    found = store.get(ALICE)
    assert found is not None
    assert found.scope == Scope.of(caps, DailySpend.parse("1EUR"))
    assert TrustStore.from_json(store.to_json()) == store


def test_a_file_from_before_capabilities_allows_none() -> None:
    text = TrustStore().add(ALICE).to_json()
    assert '"caps"' not in text
    found = TrustStore.from_json(text).get(ALICE)
    assert found is not None
    assert found.scope == Scope()
