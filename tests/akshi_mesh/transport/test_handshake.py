"""Who gets in: the payloads, the two keys of one secret, and what is looked up when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.transport import handshake
from akshi_mesh.transport.errors import (
    DialFailed,
    HandshakeFailed,
    MalformedPayload,
    Refused,
    StaleStamp,
    Stranger,
    WrongIdentity,
)
from akshi_mesh.transport.handshake import (
    Answer,
    Answering,
    Dialling,
    Hail,
    Reason,
    Refusal,
    common_version,
    owners,
    prologue,
)
from akshi_mesh.transport.noise import IK, Handshake
from identity import cbor
from identity.keys import SigningKey, twin, x25519_public
from tests.akshi_mesh.transport.world import NETWORK, WALL_MS, key_of

ALICE, BOB = key_of(1), key_of(2)
SEEDS = st.binary(min_size=32, max_size=32)
KEYS = st.binary(min_size=32, max_size=32)
RANGES = st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)).map(
    lambda pair: (min(pair), max(pair))
)
REFUSALS = st.builds(Refusal, st.integers(0, 0xFFFF), st.integers(0, handshake.STAMP_MAX) | RANGES)


def dialling(key: SigningKey = ALICE, peer: bytes = BOB.public_key) -> Dialling:
    return Dialling(key=key, peer=peer, network=NETWORK, ephemeral_secret=b"\x31" * 32)


def answering(key: SigningKey = BOB, network: str = NETWORK) -> Answering:
    return Answering(key=key, network=network, ephemeral_secret=b"\x32" * 32)


def read(
    message: bytes, *trusted: bytes, asks_name: bool = True, listener: Answering | None = None
) -> Hail:
    return (listener or answering()).read(
        message, is_trusted=lambda key: key in trusted, asks_name=lambda _static: asks_name
    )


def forged(payload: bytes, key: SigningKey = ALICE) -> bytes:
    """Message 1 with a payload of the test's choice, under the true keys of `key`."""
    noise = Handshake(
        IK,
        initiator=True,
        prologue=prologue(NETWORK, BOB.public_key),
        static_secret=key.x25519_secret(),
        ephemeral_secret=b"\x33" * 32,
        remote_static=x25519_public(BOB.public_key),
    )
    return noise.write(payload)


def test_both_sides_end_with_the_same_keys() -> None:
    dialler, listener = dialling(), answering()
    hail = read(dialler.hail(7), ALICE.public_key, listener=listener)
    assert hail == Hail(ALICE.public_key, 7, handshake.VERSIONS)
    message, theirs = listener.accept(1)
    ours = dialler.settle(message, WALL_MS)
    assert theirs.receive.open(ours.send.seal(b"ping")) == b"ping"
    assert ours.receive.open(theirs.send.seal(b"pong")) == b"pong"
    assert ours.version == theirs.version == 1


@given(SEEDS)
def test_whom_a_static_key_may_belong_to_is_computed(seed: bytes) -> None:
    """The map backwards finds A and its twin, for every key."""
    key = SigningKey.from_seed(seed).public_key
    assert set(owners(x25519_public(key))) == {key, twin(key)}


@given(st.binary(min_size=32, max_size=32))
def test_any_static_key_has_two_owners_or_none(static: bytes) -> None:
    assert len(owners(static)) in (0, 2)
    assert owners(b"\xff" * 32) == owners(((1 << 255) - 20).to_bytes(32, "little")) == ()


def test_a_stranger_costs_one_diffie_hellman_unless_its_name_is_asked() -> None:
    message = dialling().hail(1)
    with pytest.raises(Stranger) as unnamed:
        read(message, asks_name=False)
    assert unnamed.value.claimed is None
    with pytest.raises(Stranger) as named:
        read(message, asks_name=True)
    assert named.value.claimed == ALICE.public_key


def test_the_twin_of_a_trusted_key_is_a_stranger() -> None:
    """One secret, one X25519 key, two DIDs: only the one on file gets in."""
    message = forged(Hail(twin(ALICE.public_key), 1, (1, 1)).dumps())
    with pytest.raises(Stranger) as stranger:
        read(message, ALICE.public_key, asks_name=False)
    assert stranger.value.claimed == twin(ALICE.public_key)


def test_a_listener_whose_twin_is_dialled_does_not_answer() -> None:
    """The prologue binds the Ed25519 key itself."""
    with pytest.raises(HandshakeFailed):
        read(dialling(peer=twin(BOB.public_key)).hail(1), ALICE.public_key)


def test_a_claimed_key_must_be_that_of_the_static_key() -> None:
    other = key_of(3).public_key
    message = forged(Hail(other, 1, (1, 1)).dumps())
    for trusted in ([ALICE.public_key, other], [other], []):
        with pytest.raises(WrongIdentity):
            read(message, *trusted)
    with pytest.raises(WrongIdentity):
        read(forged(Hail(b"\x01" + bytes(31), 1, (1, 1)).dumps()), ALICE.public_key)


def test_the_node_itself_is_a_stranger_to_itself() -> None:
    with pytest.raises(Stranger):
        read(
            Dialling(
                key=BOB, peer=BOB.public_key, network=NETWORK, ephemeral_secret=b"\x09" * 32
            ).hail(1),
            BOB.public_key,
        )


def test_another_network_does_not_open() -> None:
    with pytest.raises(HandshakeFailed):
        read(dialling().hail(1), ALICE.public_key, listener=answering(network="other"))
    assert prologue("a", b"b" * 32) != prologue("ab", b"b" * 31 + b"c")


def test_message_2_from_somebody_else_is_refused() -> None:
    dialler, listener = dialling(), answering()
    read(dialler.hail(1), ALICE.public_key, listener=listener)
    listener._peer = key_of(3).public_key
    with pytest.raises(WrongIdentity):
        dialler.settle(listener.accept(1)[0], WALL_MS)


def test_message_2_may_not_pick_a_version_that_was_not_offered() -> None:
    dialler, listener = dialling(), answering()
    read(dialler.hail(1), ALICE.public_key, listener=listener)
    with pytest.raises(MalformedPayload):
        dialler.settle(listener.accept(2)[0], WALL_MS)


@pytest.mark.parametrize(
    ("refusal", "error", "text"),
    [
        (Refusal(Reason.STALE, 99), StaleStamp, "stale"),
        (Refusal(Reason.VERSION, (2, 3)), Refused, "versions 2 to 3"),
        (Refusal(Reason.BUSY), Refused, "busy"),
        (Refusal(Reason.BANNED, WALL_MS + 60_000), Refused, "banned this node for 60 s"),
        (Refusal(Reason.BANNED, 1), Refused, "banned this node for 0 s"),
        (Refusal(Reason.NO_GRANT), Refused, "grant"),
        (Refusal(99, 5), Refused, "reason 99"),
        (Refusal(Reason.STALE, (1, 2)), Refused, "reason 2"),
    ],
)
def test_a_trusted_dialler_learns_why(refusal: Refusal, error: type[DialFailed], text: str) -> None:
    dialler, listener = dialling(), answering()
    read(dialler.hail(1), ALICE.public_key, listener=listener)
    with pytest.raises(error, match=text):
        dialler.settle(listener.refuse(refusal), WALL_MS)


def test_a_ban_from_a_wrong_clock_does_not_silence_us_for_good() -> None:
    failure = Refusal(Reason.BANNED, handshake.STAMP_MAX).failure(WALL_MS)
    assert failure.pause_s == handshake.BAN_PAUSE_S_MAX


@pytest.mark.parametrize(
    ("theirs", "common"),
    [((1, 1), 1), ((0, 1), 1), ((1, 9), 1), ((2, 9), None), ((0, 0), None)],
)
def test_the_highest_common_version_wins(theirs: tuple[int, int], common: int | None) -> None:
    assert common_version(theirs) == common


@given(KEYS, st.integers(0, handshake.STAMP_MAX), RANGES)
def test_message_1_is_read_as_written(key: bytes, stamp: int, versions: tuple[int, int]) -> None:
    hail = Hail(key, stamp, versions)
    assert Hail.loads(hail.dumps()) == hail


@given(KEYS, KEYS, st.integers(0, 0xFFFF) | REFUSALS)
def test_message_2_is_read_as_written(
    listener: bytes, dialler: bytes, outcome: int | Refusal
) -> None:
    answer = Answer(listener, dialler, outcome)
    assert Answer.loads(answer.dumps()) == answer


NEAR_MISSES = st.dictionaries(
    st.integers(0, 6),
    st.none()
    | st.booleans()
    | st.integers(-1, 1 << 64 - 1)
    | st.binary(max_size=33)
    | KEYS
    | st.lists(st.integers(-1, 70_000), max_size=3),
    max_size=6,
).map(cbor.dumps)


@given(st.binary(max_size=600) | NEAR_MISSES)
def test_any_payload_is_a_value_or_malformed(data: bytes) -> None:
    for payload in (Hail, Answer):
        try:
            value = payload.loads(data)
        except MalformedPayload:
            continue
        assert value.dumps() == data


@given(st.binary(max_size=600))
def test_any_message_is_a_failed_handshake(message: bytes) -> None:
    with pytest.raises(HandshakeFailed):
        read(message, ALICE.public_key)
    with pytest.raises(HandshakeFailed):
        dialling_waits().settle(message, WALL_MS)


def dialling_waits() -> Dialling:
    dialler = dialling()
    dialler.hail(1)
    return dialler
