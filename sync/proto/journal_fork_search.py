"""Find the first entry in which a peer's history of a log differs from ours, and prove it.

    begin ──Probe(last common index at most)──▶ peer
      ▲                                          │
      │ next index, always smaller               ▼
      └──────────── compare ◀──────── Leaf(checkpoint, leaf, path)
                       ├──▶ found: two paths to one index, a fork proof
                       └──▶ equal: there is no fork, so what the peer had sent was wrong

A path holds the heads of all that lies left of its leaf, so one answer narrows the search to
one subtree; a log of a million entries takes at most 20 answers.
"""

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

from sync.checkpoint import Checkpoint
from sync.fork_proof import Branch, ForkProof, split_path
from sync.frontier import peak_ranges
from sync.journal_errors import JournalDamaged
from sync.merkle import root_from_path, split
from sync.proto.journal_messages import Leaf, Probe
from sync.proto.journal_store import JournalStore, Log

SEARCHES_MAX: Final = 64  # under way at a time; more wait for the next reconciliation
ANSWER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Found:
    proof: ForkProof


@dataclass(frozen=True, slots=True)
class Lied:
    """The histories agree, so the entries that did not fit were not the author's."""


@dataclass(slots=True)
class _Search:
    index: int
    accuses: bool
    until_s: float


Outcome: TypeAlias = Probe | Found | Lied | None


class ForkSearch:
    """One search for each (peer, log)."""

    def __init__(self, store: JournalStore, *, network: str) -> None:
        self._store = store
        self._network = network
        self._searches: dict[tuple[bytes, bytes], _Search] = {}

    @property
    def deadline(self) -> float:
        return min((search.until_s for search in self._searches.values()), default=math.inf)

    def begin(
        self, peer: bytes, log: Log, *, size: int, accuses: bool, now_s: float
    ) -> Probe | None:
        """Compare the first `size` entries with those of `peer`.

        With `accuses`, the peer has sent entries that do not fit: unless a fork explains
        them, it is to blame.
        """
        key = (peer, log.id)
        if size < 1 or key in self._searches or len(self._searches) >= SEARCHES_MAX:
            return None
        self._searches[key] = _Search(size - 1, accuses, now_s + ANSWER_S)
        return Probe(log.id, size - 1)

    def answer(self, peer: bytes, leaf: Leaf, now_s: float) -> Outcome:
        """What follows from a peer's answer; None if nobody asked.

        Raises:
            MalformedCheckpoint, MalformedProof, IdentityError: it is nonsense.
        """
        theirs = Checkpoint.open(leaf.checkpoint, network=self._network)
        key = (peer, theirs.log.id)
        search = self._searches.get(key)
        if search is None or search.index != leaf.index:
            return None
        del self._searches[key]
        path_root = root_from_path(leaf.leaf, leaf.path, index=leaf.index, size=theirs.size)
        log = self._store.log(theirs.log.id)
        if path_root != theirs.root:
            return Lied()
        ours = None if log is None else self._store.checkpoint_over(log, leaf.index)
        if log is None or ours is None:
            return None
        if theirs.previous != ours.previous:
            return Found(ForkProof.of_heads(theirs, ours, network=self._network))
        before, rights = split_path(leaf.path, index=leaf.index, size=theirs.size)
        for (start, count), peak in zip(peak_ranges(leaf.index), before.peaks, strict=True):
            if self._store.subtree(log, start, count) != peak:
                index = start + count - 1
                self._searches[key] = _Search(index, search.accuses, now_s + ANSWER_S)
                return Probe(log.id, index)
        mine = self._store.subtree(log, leaf.index, 1)
        if mine == leaf.leaf:
            return Lied() if search.accuses else None
        own_path = path_to(self._store, log, index=leaf.index, size=ours.size)
        if root_from_path(mine, own_path, index=leaf.index, size=ours.size) != ours.root:
            raise JournalDamaged(log.name.journal, "entries do not have their signed root")
        _, own_rights = split_path(own_path, index=leaf.index, size=ours.size)
        one = Branch(leaf.checkpoint, leaf.leaf, tuple(rights))
        two = Branch(ours.raw, mine, tuple(own_rights))
        return Found(ForkProof.of_leaves(before, one, two, network=self._network))

    def wake(self, now_s: float) -> None:
        """Forget those who do not answer."""
        for key in [key for key, search in self._searches.items() if search.until_s <= now_s]:
            del self._searches[key]

    def lost(self, peer: bytes) -> None:
        for key in [key for key in self._searches if key[0] == peer]:
            del self._searches[key]


def leaf_at(store: JournalStore, log: Log, index: int) -> Leaf | None:
    """Our answer to a probe, or None if no signature of ours covers that index."""
    over = store.checkpoint_over(log, index)
    if over is None:
        return None
    path = path_to(store, log, index=index, size=over.size)
    return Leaf(over.raw, index, store.subtree(log, index, 1), tuple(path))


def path_to(store: JournalStore, log: Log, *, index: int, size: int) -> list[bytes]:
    """The audit path of a stored leaf in the tree of the first `size` entries."""
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            path.append(store.subtree(log, middle, high - middle))
            high = middle
        else:
            path.append(store.subtree(log, low, middle - low))
            low = middle
    return path[::-1]
