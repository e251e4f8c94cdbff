"""The tree is RFC 6962's, its proofs hold, and a changed bit is noticed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import merkle
from sync.journal_errors import MalformedProof

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "merkle.json").read_text()
)
LEAVES = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]
leaves = st.integers(1, 70).map(
    lambda count: [merkle.leaf_hash(number.to_bytes(2)) for number in range(count)]
)


def naive_root(hashes: list[bytes]) -> bytes:
    """The definition of RFC 6962 §2.1, word for word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    left, right = naive_root(hashes[:k]), naive_root(hashes[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_published_roots() -> None:
    assert merkle.root([]).hex() == VECTORS["empty_root"] == merkle.EMPTY_ROOT.hex()
    for size, root in enumerate(VECTORS["roots"], 1):
        assert merkle.root(LEAVES[:size]).hex() == root


@pytest.mark.parametrize("case", VECTORS["inclusion"])
def test_published_inclusion_proofs(case: dict[str, Any]) -> None:
    tree = LEAVES[: case["size"]]
    path = merkle.inclusion_proof(tree, case["index"])
    assert [node.hex() for node in path] == case["path"]
    assert merkle.verify_inclusion(
        tree[case["index"]], path, index=case["index"], size=len(tree), root=merkle.root(tree)
    )


@pytest.mark.parametrize("case", VECTORS["consistency"])
def test_published_consistency_proofs(case: dict[str, Any]) -> None:
    tree = LEAVES[: case["new"]]
    path = merkle.consistency_proof(tree, case["old"])
    assert [node.hex() for node in path] == case["path"]


@given(leaves)
def test_the_root_is_the_definition(tree: list[bytes]) -> None:
    assert merkle.root(tree) == naive_root(tree)


@given(leaves, st.data())
def test_every_leaf_is_proved_and_no_other(tree: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(tree) - 1))
    path = merkle.inclusion_proof(tree, index)
    assert len(path) == merkle.path_length(index, len(tree))
    where = {"index": index, "size": len(tree), "root": merkle.root(tree)}
    assert merkle.verify_inclusion(tree[index], path, **where)
    assert not merkle.verify_inclusion(merkle.leaf_hash(b"other"), path, **where)
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        wrong = [*path]
        wrong[at] = bytes([wrong[at][0] ^ 1]) + wrong[at][1:]
        assert not merkle.verify_inclusion(tree[index], wrong, **where)
        with pytest.raises(MalformedProof):
            merkle.verify_inclusion(tree[index], path[:-1], **where)
    with pytest.raises(MalformedProof):
        merkle.verify_inclusion(tree[index], [*path, path[0] if path else tree[0]], **where)


@given(leaves, st.data())
def test_a_longer_tree_is_proved_to_begin_with_a_shorter(
    tree: list[bytes], data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, len(tree)))
    path = merkle.consistency_proof(tree, old)
    sizes = {"old_size": old, "new_size": len(tree)}
    roots = {"old_root": merkle.root(tree[:old]), "new_root": merkle.root(tree)}
    assert merkle.verify_consistency(path, **sizes, **roots)
    for name in roots:
        wrong = dict(roots, **{name: merkle.leaf_hash(b"other")})
        assert not merkle.verify_consistency(path, **sizes, **wrong)
    if path:
        with pytest.raises(MalformedProof):
            merkle.verify_consistency(path[:-1], **sizes, **roots)
        with pytest.raises(MalformedProof):
            merkle.verify_consistency([*path, path[0]], **sizes, **roots)
        changed = [bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:]]
        assert not merkle.verify_consistency(changed, **sizes, **roots)


@given(
    st.lists(st.binary(min_size=31, max_size=33), max_size=70),
    st.integers(-1, 80),
    st.integers(-1, 80),
    st.binary(min_size=32, max_size=32),
)
def test_any_proof_is_true_false_or_malformed(
    path: list[bytes], one: int, two: int, root: bytes
) -> None:
    for check in (
        lambda: merkle.verify_inclusion(root, path, index=one, size=two, root=root),
        lambda: merkle.verify_consistency(
            path, old_size=one, new_size=two, old_root=root, new_root=root
        ),
    ):
        try:
            assert check() in (True, False)
        except MalformedProof:
            continue


def test_a_leaf_that_is_not_there_has_no_proof() -> None:
    with pytest.raises(IndexError):
        merkle.inclusion_proof(LEAVES, 8)
    with pytest.raises(IndexError):
        merkle.consistency_proof(LEAVES, 9)
