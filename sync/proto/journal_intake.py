"""What is done with entries that came from a peer, before and after their root is checked.

    size, form ─▶ known already? ─▶ shared, admitted ─▶ signature ─▶ entries ─▶ root ─▶ stored

Nothing is stored that its author did not sign, and nothing waits unverified: a message is
taken whole or not at all.
"""

from dataclasses import dataclass
from typing import TypeAlias

from identity.attestation import open_attestation
from identity.errors import Expired, FromTheFuture, IdentityError
from sync.checkpoint import Checkpoint
from sync.clock import Moment
from sync.fork_proof import ForkProof
from sync.frontier import Frontier
from sync.journal import EPOCHS_PER_AUTHOR_MAX, Entry, LogName
from sync.journal_errors import JournalDamaged, JournalError
from sync.merkle import leaf_hash
from sync.proto.journal_events import Policy
from sync.proto.journal_messages import Entries
from sync.proto.journal_store import Batch, JournalStore, Log


@dataclass(frozen=True, slots=True)
class Stored:
    """The log has grown, or was frozen at a smaller index, or both."""

    log: Log
    times: tuple[int, ...] = ()
    proof: ForkProof | None = None


@dataclass(frozen=True, slots=True)
class NothingNew:
    """We have all of it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """It begins further on than we have; somebody has that many."""

    size: int


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """We do not keep what this author writes; perhaps its attestation would tell."""

    log: LogName
    is_vouched_for: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """Signed, but it does not continue what we have: the sender lies, or the author forked."""

    log: Log
    size: int


@dataclass(frozen=True, slots=True)
class Nonsense:
    """No correct node sends this."""

    why: str


Intake: TypeAlias = Stored | NothingNew | Gap | NotAdmitted | Parts | Nonsense


class Admission:
    """Whose entries are kept: our own, those of admitted nodes and of agents they vouch for."""

    def __init__(self, store: JournalStore, policy: Policy, *, me: bytes, network: str) -> None:
        self._store = store
        self._policy = policy
        self._me = me
        self._network = network

    def admits(self, journal: str, author: bytes) -> bool:
        node = self._store.vouched_by(author) or author
        return node == self._me or self._policy.author_admitted(journal, node)

    def is_vouched_for(self, author: bytes) -> bool:
        return self._store.vouched_by(author) is not None

    def hear(self, attestation: bytes, log: LogName, now: Moment) -> None:
        """Keep a node's word about the author of `log`, if it is of use.

        Raises:
            IdentityError: not an attestation, or a bad signature. One that is out of
                its time is passed over.
        """
        try:
            heard = open_attestation(attestation, network=self._network, now_ms=now.wall_ms)
        except (Expired, FromTheFuture):
            return
        if heard.agent != log.author:
            return
        before = self._store.vouched_by(log.author)
        # A second node that claims an admitted agent changes nothing: otherwise it could
        # take the agent's entries away by losing trust itself.
        is_free = before in (None, heard.node) or not self.admits(log.journal, log.author)
        is_of_use = heard.node == self._me or self._policy.author_admitted(log.journal, heard.node)
        if is_free and is_of_use:
            self._store.keep_attestation(log.author, heard.node, attestation)


def take(
    message: Entries,
    store: JournalStore,
    admission: Admission,
    *,
    shared: frozenset[str],
    network: str,
    now: Moment,
) -> Intake:
    """Check a message of entries in full and store what is new in it."""
    log = store.log(message.log)
    if log is not None and message.checkpoint is not None:
        beyond_fork = log.frozen_at is not None and message.end > log.frozen_at
        if message.end <= log.size or beyond_fork:
            return NothingNew()
    try:
        if message.checkpoint is not None:
            return _Taking(message, store, admission, shared, network, now).with_checkpoint(log)
        return _Taking(message, store, admission, shared, network, now).with_proof(log)
    except JournalDamaged:
        raise  # what is broken is ours, not the peer's
    except (JournalError, IdentityError) as failure:
        return Nonsense(str(failure))


@dataclass(slots=True)
class _Taking:
    message: Entries
    store: JournalStore
    admission: Admission
    shared: frozenset[str]
    network: str
    now: Moment

    def with_checkpoint(self, log: Log | None) -> Intake:
        assert self.message.checkpoint is not None
        checkpoint = Checkpoint.open(self.message.checkpoint, network=self.network)
        if checkpoint.log.id != self.message.log or checkpoint.size != self.message.end:
            return Nonsense("a checkpoint that does not cover the entries beside it")
        refused = self._refused(checkpoint.log)
        if refused is not None:
            return refused
        if log is not None and log.previous != checkpoint.previous:
            held = self.store.checkpoint_over(log, 0)
            if held is not None:
                return self._freeze(log, ForkProof.of_heads(held, checkpoint, network=self.network))
        size = 0 if log is None else log.size
        if self.message.start > size:
            return Gap(self.message.end)
        batch = self._batch(size, log.frontier if log is not None else Frontier())
        if batch.frontier.root != checkpoint.root:
            if log is None or not size:
                return Nonsense("the entries do not have the signed root")
            return Parts(log, checkpoint.size)
        if log is None:
            if self.store.epochs(checkpoint.log.author) >= EPOCHS_PER_AUTHOR_MAX:
                return NothingNew()
            log = self.store.create(checkpoint.log, checkpoint.previous, None)
        return Stored(self.store.extend(log, batch, checkpoint), tuple(batch.times))

    def with_proof(self, log: Log | None) -> Intake:
        assert self.message.proof is not None
        proof = ForkProof.parse(self.message.proof, network=self.network)
        if proof.log.id != self.message.log:
            return Nonsense("a fork proof of another log")
        refused = self._refused(proof.log)
        if refused is not None:
            return refused
        fresh: ForkProof | None = None
        if log is None:
            if self.store.epochs(proof.log.author) >= EPOCHS_PER_AUTHOR_MAX:
                return NothingNew()
            log = self.store.create(proof.log, proof.previous, None)
        rank = self.store.proof_rank(log)
        if rank is None or proof.rank < rank:
            log, fresh = self.store.freeze(log, proof), proof
        times: tuple[int, ...] = ()
        wanted = self.message.entries and log.frozen_at == proof.index == self.message.end
        if wanted and self.message.start <= log.size < self.message.end:
            batch = self._batch(log.size, log.frontier)
            if proof.frontier is not None and batch.frontier == proof.frontier:
                log, times = self.store.extend(log, batch, None), tuple(batch.times)
            elif log.size:
                return Parts(log, proof.index)
        if fresh is None and not times:
            return NothingNew()
        return Stored(log, times, fresh)

    def _freeze(self, log: Log, proof: ForkProof) -> Intake:
        rank = self.store.proof_rank(log)
        if rank is not None and rank <= proof.rank:
            return NothingNew()
        return Stored(self.store.freeze(log, proof), (), proof)

    def _refused(self, name: LogName) -> Intake | None:
        if name.journal not in self.shared:  # a log we did not know, of a journal not for this peer
            return NotAdmitted(name, is_vouched_for=True)
        if self.message.attestation is not None:
            self.admission.hear(self.message.attestation, name, self.now)
        if self.admission.admits(name.journal, name.author):
            return None
        return NotAdmitted(name, self.admission.is_vouched_for(name.author))

    def _batch(self, size: int, edge: Frontier) -> Batch:
        fresh = self.message.entries[size - self.message.start :]
        times = [Entry.parse(data).time for data in fresh]
        leaves = [leaf_hash(data) for data in fresh]
        return Batch(times, fresh, leaves, edge.extended(leaves))
