"""A fork proof holds in every part, or it is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import cbor, envelope
from identity.errors import IdentityError
from identity.keys import SigningKey
from sync import merkle
from sync.checkpoint import Checkpoint, Previous
from sync.clock import Moment
from sync.fork_proof import Branch, ForkProof, join_path, split_path
from sync.frontier import Frontier
from sync.journal import LogName
from sync.journal_errors import JournalError, MalformedProof

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "journal.json").read_text()
)
NETWORK = VECTORS["network"]
NOW = Moment(0.0, 1)
TREE = [merkle.leaf_hash(bytes([number])) for number in range(40)]
OTHER = [merkle.leaf_hash(b"other" + bytes([number])) for number in range(40)]


class Hand:
    def __init__(self, seed: int = 1) -> None:
        self.key = SigningKey.from_seed(bytes([seed]) * 32)
        self.public_key = self.key.public_key

    def seal(self, kind: envelope.Kind, body: bytes, *, now: Moment) -> tuple[bytes, bytes]:
        raw = envelope.seal(
            self.key,
            kind=kind,
            body=body,
            network=NETWORK,
            nonce=bytes(16),
            issued_ms=now.wall_ms,
        )
        return b"", raw


HAND = Hand()
LOG = LogName("notes", HAND.public_key, bytes(16))


def signed(
    tree: list[bytes], *, log: LogName = LOG, previous: Previous | None = None, hand: Hand = HAND
) -> Checkpoint:
    return Checkpoint(log, len(tree), merkle.root(tree), previous).sealed(hand, NOW)


def branch(tree: list[bytes], index: int) -> Branch:
    path = merkle.inclusion_proof(tree, index)
    _, rights = split_path(path, index=index, size=len(tree))
    return Branch(signed(tree).raw, tree[index], tuple(rights))


def parted(index: int, one: int, two: int) -> ForkProof:
    other = TREE[:index] + OTHER[index:]
    before = Frontier().extended(TREE[:index])
    return ForkProof.of_leaves(
        before, branch(TREE[:one], index), branch(other[:two], index), network=NETWORK
    )


@given(st.data())
def test_two_histories_are_proved_to_part_at_their_first_difference(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, 38))
    one, two = (data.draw(st.integers(index + 1, 40)) for _ in range(2))
    proof = parted(index, one, two)
    assert (proof.index, proof.frontier) == (index, Frontier().extended(TREE[:index]))
    assert ForkProof.parse(proof.raw, network=NETWORK) == proof


@pytest.mark.parametrize("case", VECTORS["fork_proofs"])
def test_the_proofs_of_the_specification(case: dict[str, Any]) -> None:
    assert ForkProof.parse(bytes.fromhex(case["bytes"]), network=NETWORK).index == case["index"]


def test_heads_that_contradict_each_other() -> None:
    proof = ForkProof.of_heads(signed(TREE[:5]), signed(OTHER[:5]), network=NETWORK)
    assert (proof.index, proof.frontier, proof.rootless) == (4, None, False)
    single = ForkProof.of_heads(signed(TREE[:1]), signed(OTHER[:1]), network=NETWORK)
    assert (single.index, single.frontier) == (0, Frontier())
    before = Previous(b"\x01" * 16, 3, bytes(32))
    rootless = ForkProof.of_heads(
        signed(TREE[:5]), signed(TREE[:7], previous=before), network=NETWORK
    )
    assert (rootless.index, rootless.rootless) == (0, True)
    assert rootless.rank < single.rank < parted(3, 8, 9).rank < proof.rank


def test_heads_that_can_both_be_true_prove_nothing() -> None:
    for one, two in (
        (signed(TREE[:5]), signed(TREE[:6])),
        (signed(TREE[:5]), signed(OTHER[:6])),
        (signed(TREE[:5]), signed(TREE[:5])),
        (signed(TREE[:5]), signed(OTHER[:5], log=LogName("other", HAND.public_key, bytes(16)))),
        (
            signed(TREE[:5]),
            signed(OTHER[:5], log=LogName("notes", Hand(2).public_key, bytes(16)), hand=Hand(2)),
        ),
    ):
        with pytest.raises(MalformedProof):
            ForkProof.of_heads(one, two, network=NETWORK)


@pytest.mark.parametrize("proof", [parted(5, 9, 12), parted(0, 1, 3)], ids=["deep", "first"])
def test_every_changed_byte_is_refused(proof: ForkProof) -> None:
    for at in range(len(proof.raw)):
        changed = proof.raw[:at] + bytes([proof.raw[at] ^ 1]) + proof.raw[at + 1 :]
        with pytest.raises((JournalError, IdentityError)):
            ForkProof.parse(changed, network=NETWORK)


def test_every_changed_field_is_refused() -> None:
    proof = parted(5, 9, 12)
    fields = cbor.loads(proof.raw)
    assert type(fields) is dict
    swapped = {**fields, 2: fields[3], 3: fields[2], 6: fields[8], 7: fields[9]}
    changes: list[dict[int, Any]] = [
        {**fields, 1: 1},
        {**fields, 1: 3},
        {**swapped, 8: fields[6], 9: fields[7]},
        {**fields, 4: 4},
        {**fields, 4: 6},
        {**fields, 4: -1},
        {**fields, 4: "5"},
        {**fields, 5: b""},
        {**fields, 5: bytes(32 * 65)},
        {**fields, 6: fields[8]},
        {**fields, 7: b""},
        {**fields, 7: bytes(31)},
        {**fields, 9: fields[9] + bytes(32)},
        {**fields, 10: 1},
        {key: value for key, value in fields.items() if key != 9},
    ]
    for changed in changes:
        with pytest.raises((JournalError, IdentityError)):
            ForkProof.parse(cbor.dumps(changed), network=NETWORK)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_proof_or_malformed(data: bytes) -> None:
    with pytest.raises((JournalError, IdentityError)):
        ForkProof.parse(data, network=NETWORK)


@given(st.integers(1, 40), st.data())
def test_paths_are_split_and_joined(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_proof(TREE[:size], index)
    before, rights = split_path(path, index=index, size=size)
    assert before == Frontier().extended(TREE[:index])
    assert join_path(before, rights, size=size) == path
    with pytest.raises(MalformedProof):
        join_path(before, [*rights, bytes(32)], size=size)
