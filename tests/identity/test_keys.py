"""Keys: published vectors, the accept set of the one verifier, twins, and formats kept apart."""

import itertools
import pickle

import nacl.bindings as sodium
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import Did, SignedFormat, SigningKey, check_public_key, twin, verify, x25519_public
from identity.errors import BadSignature, MalformedKey, WeakKey, WrongFormat
from tests.strategies import key_of, signing_keys
from tests.vectors.load import vectors

P = 2**255 - 19  # the field of Curve25519
SMALL_ORDER = [  # y of the points of order 1, 2, 4 and 8 (RFC 7748 §6; libsodium's list)
    0,
    1,
    P - 1,
    2707385501144840649318225287225658788936804267575313519463743609750303021,
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
]


# Each also as y + p, which is the same point to a careless decoder, and with both signs of x.
CANDIDATES = [y + more for y in SMALL_ORDER for more in (0, P) if y + more < 1 << 255]
NEUTRAL = (1).to_bytes(32, "little")
WEAK = [(y | sign).to_bytes(32, "little") for y in CANDIDATES for sign in (0, 1 << 255)]


@pytest.mark.parametrize("case", vectors("ed25519")["cases"], ids=lambda case: case["message"])
def test_rfc_8032(case: dict[str, str]) -> None:
    key = SigningKey.from_seed(bytes.fromhex(case["seed"]))
    message, signature = bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])
    assert key.public_key.hex() == case["public_key"]
    assert key.sign(message) == signature
    verify(key.public_key, message, signature)


@pytest.mark.parametrize("case", vectors("did_key")["keys"], ids=lambda case: case["did"])
def test_did_and_x25519_key_from_a_seed(case: dict[str, str]) -> None:
    key = SigningKey.from_seed(bytes.fromhex(case["seed"]))
    assert str(key.did) == case["did"]
    assert x25519_public(key.public_key).hex() == case["x25519_public"]
    assert sodium.crypto_scalarmult_base(key.x25519_secret()).hex() == case["x25519_public"]
    # The published secrets are unclamped hashes in some cases: compare what they compute.
    published = sodium.crypto_scalarmult_base(bytes.fromhex(case["x25519_secret"]))
    assert published.hex() == case["x25519_public"]


@pytest.mark.parametrize("case", vectors("x25519")["cases"], ids=lambda case: case["u"])
def test_rfc_7748(case: dict[str, str]) -> None:
    scalar, u = bytes.fromhex(case["scalar"]), bytes.fromhex(case["u"])
    assert sodium.crypto_scalarmult(scalar, u).hex() == case["result"]


def test_which_edge_cases_are_accepted_is_pinned() -> None:
    """A libsodium that accepts another set would split the mesh: this test is to notice it."""
    spec = vectors("speccheck")
    accepted = []
    for number, case in enumerate(spec["cases"]):
        key, message, signature = (
            bytes.fromhex(case[field]) for field in ("public_key", "message", "signature")
        )
        try:
            verify(key, message, signature)
            accepted.append(number)
        except BadSignature:
            continue
    assert accepted == spec["accepted_by_libsodium"] == [3]
    # The one that is accepted belongs to a key that nobody can be told to trust.
    with pytest.raises(WeakKey):
        check_public_key(bytes.fromhex(spec["cases"][3]["public_key"]))


@given(signing_keys, st.binary(max_size=200), st.data())
def test_one_changed_bit_of_anything_is_a_bad_signature(
    key: SigningKey, message: bytes, data: st.DataObject
) -> None:
    parts = [key.public_key, message, key.sign(message)]
    verify(*parts)
    which = data.draw(st.sampled_from([n for n, part in enumerate(parts) if part]))
    changed = bytearray(parts[which])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    parts[which] = bytes(changed)
    with pytest.raises(BadSignature):
        verify(*parts)


@given(st.binary(max_size=70), st.binary(max_size=70), st.binary(max_size=70))
def test_any_bytes_verify_or_are_a_bad_signature(key: bytes, message: bytes, proof: bytes) -> None:
    with pytest.raises(BadSignature):
        verify(key, message, proof)


def test_lengths_are_not_mixed_up() -> None:
    """`key ‖ …` shifted by a byte must not verify: each part has its own fixed length."""
    key = key_of(1)
    signature = key.sign(b"ab")
    with pytest.raises(BadSignature):
        verify(key.public_key, b"b", signature + b"a")
    with pytest.raises(BadSignature):
        verify(key.public_key, signature[-1:] + b"ab", signature[:-1])


@pytest.mark.parametrize("key", WEAK, ids=bytes.hex)
def test_small_order_and_non_canonical_keys_are_weak(key: bytes) -> None:
    with pytest.raises(WeakKey):
        check_public_key(key)
    with pytest.raises(WeakKey):
        x25519_public(key)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), b"\xff" * 32])
def test_what_is_no_point_is_weak(key: bytes) -> None:
    with pytest.raises(WeakKey):
        check_public_key(key)


@given(signing_keys)
def test_a_generated_key_is_sound_and_so_is_its_twin(key: SigningKey) -> None:
    other = twin(key.public_key)
    check_public_key(key.public_key)
    check_public_key(other)
    assert twin(other) == key.public_key
    assert Did(other) != key.did


@given(signing_keys)
def test_twins_share_one_x25519_key_and_sum_to_nothing(key: SigningKey) -> None:
    other = twin(key.public_key)
    assert x25519_public(other) == x25519_public(key.public_key)
    assert sodium.crypto_core_ed25519_add(key.public_key, other) == NEUTRAL


def test_agent_keys_differ_by_node_name_and_generation() -> None:
    """Pinned: an agent's name is its identity, and an upgrade must not rename it."""
    node = SigningKey.from_seed(bytes(range(32)))
    keys = [
        node.derive_agent("reader", 0),
        node.derive_agent("reader", 1),
        node.derive_agent("reade", 0),
        node.derive_agent("", 0),
        key_of(1).derive_agent("reader", 0),
        node,
    ]
    assert len({key.public_key for key in keys}) == len(keys)
    assert str(keys[0].did) == "did:key:z6Mkoej2b4sXdG3yA77xKPApsaKXoMuSrZpRgfBc4CRsiwdr"


@pytest.mark.parametrize(
    ("name", "generation"), [(b"reader", 0), ("reader", True), ("reader", 0.0), ("reader", -1)]
)
def test_an_agent_key_needs_text_and_a_whole_number(name: str, generation: int) -> None:
    with pytest.raises(MalformedKey):
        key_of(0).derive_agent(name, generation)


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(64), "0" * 32, bytearray(32)])
def test_a_seed_is_32_bytes(seed: bytes) -> None:
    with pytest.raises(MalformedKey):
        SigningKey.from_seed(seed)


def test_a_key_shows_its_did_and_never_its_seed() -> None:
    key = key_of(0x5EED)
    assert repr(key) == f"SigningKey({key.did})"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(SignedFormat, 2)))
def test_no_beginning_of_a_signed_format_begins_another(
    one: SignedFormat, other: SignedFormat
) -> None:
    assert not one.value.startswith(other.value)


@pytest.mark.parametrize("form", SignedFormat)
def test_a_message_is_signed_only_as_what_it_is(form: SignedFormat) -> None:
    key, message = key_of(1), form.value + b" and more"
    verify(key.public_key, message, key.sign_as(form, message))
    for other in SignedFormat:
        if other is not form:
            with pytest.raises(WrongFormat, match=other.name):
                key.sign_as(other, message)
