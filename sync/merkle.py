"""The Merkle tree of RFC 6962 §2.1: hashes, roots, proofs of inclusion and of consistency.

All functions but `leaf_hash` speak of leaf hashes, so that a caller who has stored
those need not read its data again.
"""

import hashlib
from collections.abc import Sequence

from sync.journal_errors import MalformedProof

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
PATH_HASHES_MAX = 64  # sizes are 64-bit; no honest path is longer


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf: SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The tree head over leaf hashes; the empty tree's is SHA-256 of nothing."""
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        # A lone last node rises unhashed: that is the same as splitting at the
        # largest power of two, as the RFC defines it.
        level = paired + level[len(level) & ~1 :]
    return level[0]


def split(size: int) -> int:
    """The largest power of two below `size` (which is at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf `index`, from the leaf's sibling up (RFC 6962 §2.1.1).

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    path: list[bytes] = []
    low, high = 0, len(leaves)
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            path.append(root(leaves[middle:high]))
            high = middle
        else:
            path.append(root(leaves[low:middle]))
            low = middle
    return path[::-1]


def root_from_path(leaf: bytes, path: Sequence[bytes], *, index: int, size: int) -> bytes:
    """The head of the tree of `size` leaves in which `path` leads from leaf `index` up.

    Raises:
        MalformedProof: a hash is not 32 bytes, the index lies outside, or the path
            has not exactly the length the RFC gives it.
    """
    _check_hashes((leaf, *path))
    if not 0 <= index < size:
        raise MalformedProof(f"no index {index} in a tree of {size}")
    if len(path) != path_length(index, size):
        raise MalformedProof(f"path of {len(path)} hashes for index {index} of {size}")
    at, last, node = index, size - 1, leaf
    hashes = iter(path)
    while last:
        if at & 1:
            node = node_hash(next(hashes), node)
        elif at < last:
            node = node_hash(node, next(hashes))
        at >>= 1
        last >>= 1
    return node


def path_length(index: int, size: int) -> int:
    """How many hashes the audit path of `index` in a tree of `size` has."""
    inner = (index ^ (size - 1)).bit_length()
    return inner + (index >> inner).bit_count()


def verify_inclusion(
    leaf: bytes, path: Sequence[bytes], *, index: int, size: int, root: bytes
) -> bool:
    """Whether `path` proves that the tree with this size and root has `leaf` at `index`.

    Raises:
        MalformedProof: see `root_from_path`.
    """
    _check_hashes((root,))
    return root_from_path(leaf, path, index=index, size=size) == root


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """What proves that the first `old_size` leaves were not changed (RFC 6962 §2.1.2).

    Raises:
        IndexError: `old_size` is not between 1 and the number of leaves.
    """
    if not 1 <= old_size <= len(leaves):
        raise IndexError(old_size)
    path: list[bytes] = []
    low, high, size, known = 0, len(leaves), old_size, True
    while size != high - low:
        middle = low + split(high - low)
        if size <= middle - low:
            path.append(root(leaves[middle:high]))
            high = middle
        else:
            path.append(root(leaves[low:middle]))
            size -= middle - low
            low, known = middle, False
    if not known:
        path.append(root(leaves[low:high]))
    return path[::-1]


def verify_consistency(
    path: Sequence[bytes], *, old_size: int, new_size: int, old_root: bytes, new_root: bytes
) -> bool:
    """Whether the tree of `new_size` begins with the one of `old_size` (RFC 9162 §2.1.4.2).

    Raises:
        MalformedProof: a hash is not 32 bytes, sizes are out of order, or the path
            is longer or shorter than these sizes ask for.
    """
    _check_hashes((old_root, new_root, *path))
    if not 1 <= old_size <= new_size:
        raise MalformedProof(f"no step from size {old_size} to {new_size}")
    if old_size == new_size:
        if path:
            raise MalformedProof("equal sizes need no path")
        return old_root == new_root
    hashes = list(path)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at >>= 1
        last >>= 1
    if not hashes:
        raise MalformedProof("a path without hashes")
    old = new = hashes[0]
    for node in hashes[1:]:
        if not last:
            raise MalformedProof("more hashes than these sizes ask for")
        if at & 1 or at == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            new = node_hash(new, node)
        at >>= 1
        last >>= 1
    if last:
        raise MalformedProof("fewer hashes than these sizes ask for")
    return old == old_root and new == new_root


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if len(hashes) > PATH_HASHES_MAX + 2:
        raise MalformedProof(f"{len(hashes)} hashes")
    if not all(type(node) is bytes and len(node) == HASH_BYTES for node in hashes):
        raise MalformedProof("a hash is not 32 bytes")
