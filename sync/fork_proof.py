"""Portable evidence that an author signed two histories of one log.

Two forms:

    1  two checkpoints of one log which cannot both be true: equal size and different roots,
       or different previous logs
    2  two checkpoints, and two inclusion proofs of one index with different leaves; what lies
       left of the index is given once, so the proof also shows that all before it is equal

Form 2 names the first entry that differs. Form 1 alone does not (unless the size is 1): it
freezes at the last place where the histories can part, until form 2 is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from identity import cbor
from identity.errors import MalformedCbor
from sync.checkpoint import Checkpoint, Previous
from sync.frontier import Frontier
from sync.journal import SIZE_MAX, LogName
from sync.journal_errors import MalformedProof
from sync.merkle import HASH_BYTES, PATH_HASHES_MAX, root_from_path

PROOF_BYTES_MAX: Final = 8 * 1024
_TWO_HEADS: Final = 1
_TWO_LEAVES: Final = 2


@dataclass(frozen=True, slots=True)
class Branch:
    """One side of a fork: the leaf at the index, and what lies to the right of its path."""

    checkpoint: bytes
    leaf: bytes
    rights: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ForkProof:
    """A verified proof. `index` is the first entry that is not common, as far as is proved."""

    log: LogName
    index: int
    frontier: Frontier | None  # of the `index` entries before it; None if not known
    rootless: bool  # the author named two previous logs: nothing before this one is certain
    previous: Previous | None
    raw: bytes

    @property
    def rank(self) -> tuple[int, bool, bool]:
        """The smaller one says more; of equal ones it does not matter which is kept."""
        return (self.index, not self.rootless, self.frontier is None)

    @classmethod
    def of_heads(cls, one: Checkpoint, two: Checkpoint, *, network: str) -> Self:
        """Two checkpoints that contradict each other.

        Raises:
            MalformedProof: they do not.
        """
        pair = sorted((one.raw, two.raw))
        return cls.parse(cbor.dumps({1: _TWO_HEADS, 2: pair[0], 3: pair[1]}), network=network)

    @classmethod
    def of_leaves(cls, before: Frontier, one: Branch, two: Branch, *, network: str) -> Self:
        """Two histories that part after `before`.

        Raises:
            MalformedProof: the paths do not lead to the signed roots, or do not differ.
        """
        first, second = sorted((one, two), key=lambda branch: branch.checkpoint)
        fields: dict[int, cbor.Value] = {
            1: _TWO_LEAVES,
            2: first.checkpoint,
            3: second.checkpoint,
            4: before.size,
            5: bytes(before),
            6: first.leaf,
            7: b"".join(first.rights),
            8: second.leaf,
            9: b"".join(second.rights),
        }
        return cls.parse(cbor.dumps(fields), network=network)

    @classmethod
    def parse(cls, data: bytes, *, network: str) -> Self:
        """Check everything a proof claims, so that a value of this class is the truth.

        Raises:
            MalformedProof: anything else than a proof of one of the two forms that holds.
            MalformedCheckpoint, IdentityError: as `Checkpoint.open`.

        Cost: two Ed25519 verifications and at most 128 hashes.
        """
        try:
            fields = cbor.loads(data, size_max=PROOF_BYTES_MAX)
        except MalformedCbor as failure:
            raise MalformedProof(failure.why) from failure
        if type(fields) is not dict:
            raise MalformedProof("not a map")
        form, first, second = fields.get(1), fields.get(2), fields.get(3)
        if type(first) is not bytes or type(second) is not bytes or first >= second:
            raise MalformedProof("not two checkpoints in order")
        one = Checkpoint.open(first, network=network)
        two = Checkpoint.open(second, network=network)
        if one.log != two.log:
            raise MalformedProof("two checkpoints of different logs")
        if form == _TWO_HEADS and fields.keys() == {1, 2, 3}:
            return cls._of_heads(one, two, data)
        if form == _TWO_LEAVES and fields.keys() == set(range(1, 10)):
            return cls._of_leaves(one, two, fields, data)
        raise MalformedProof("not one of the two forms")

    @classmethod
    def _of_heads(cls, one: Checkpoint, two: Checkpoint, raw: bytes) -> Self:
        if one.previous != two.previous:
            return cls(one.log, 0, Frontier(), True, None, raw)
        if one.size != two.size or one.root == two.root:
            raise MalformedProof("both checkpoints can be true")
        index = one.size - 1
        return cls(one.log, index, None if index else Frontier(), False, one.previous, raw)

    @classmethod
    def _of_leaves(
        cls, one: Checkpoint, two: Checkpoint, fields: dict[int, cbor.Value], raw: bytes
    ) -> Self:
        index = fields[4]
        if type(index) is not int or not 0 <= index < SIZE_MAX:
            raise MalformedProof("the index is out of range")
        before = Frontier(index, _hashes(fields[5]))
        leaf_one, leaf_two = fields[6], fields[8]
        if type(leaf_one) is not bytes or type(leaf_two) is not bytes or leaf_one == leaf_two:
            raise MalformedProof("not two different leaves")
        for checkpoint, leaf, rights in ((one, leaf_one, fields[7]), (two, leaf_two, fields[9])):
            path = join_path(before, _hashes(rights), size=checkpoint.size)
            root = root_from_path(leaf, path, index=index, size=checkpoint.size)
            if root != checkpoint.root:
                raise MalformedProof("a path does not lead to the signed root")
        if one.previous != two.previous:
            raise MalformedProof("the previous logs differ, which the first form says")
        return cls(one.log, index, before, False, one.previous, raw)


def join_path(before: Frontier, rights: Sequence[bytes], *, size: int) -> list[bytes]:
    """The audit path of leaf `before.size`: its left siblings are the peaks before it.

    Raises:
        MalformedProof: more or fewer hashes on the right than a tree of `size` has there.
    """
    lefts = list(before.peaks)
    waiting = list(reversed(rights))
    at, last = before.size, size - 1
    path: list[bytes] = []
    while last > 0:
        if at & 1:
            path.append(lefts.pop())
        elif at < last:
            if not waiting:
                raise MalformedProof("a path is too short")
            path.append(waiting.pop())
        at >>= 1
        last >>= 1
    if waiting or at or lefts:
        raise MalformedProof("a path does not fit its tree")
    return path


def split_path(path: Sequence[bytes], *, index: int, size: int) -> tuple[Frontier, list[bytes]]:
    """What lies left of leaf `index` and what lies right of it: the inverse of `join_path`."""
    lefts: list[bytes] = []
    rights: list[bytes] = []
    hashes = iter(path)
    at, last = index, size - 1
    while last > 0:
        if at & 1:
            lefts.append(next(hashes))
        elif at < last:
            rights.append(next(hashes))
        at >>= 1
        last >>= 1
    return Frontier(index, tuple(reversed(lefts))), rights


def _hashes(data: object) -> tuple[bytes, ...]:
    if type(data) is not bytes or len(data) % HASH_BYTES:
        raise MalformedProof("a path is not whole hashes")
    if len(data) > PATH_HASHES_MAX * HASH_BYTES:
        raise MalformedProof("a path is too long")
    return tuple(data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES))
