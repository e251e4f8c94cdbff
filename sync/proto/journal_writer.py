"""Our own side of the journals: append, stage for a task, and seal with one signature a flush."""

from collections.abc import Callable, Iterator
from typing import Final

from sync.checkpoint import Checkpoint, Sealer
from sync.clock import Moment
from sync.frontier import Frontier
from sync.hybrid_clock import HybridClock, due_until
from sync.journal import (
    BATCH_BYTES_MAX,
    BATCH_ENTRIES_MAX,
    EPOCH_BYTES,
    EPOCHS_PER_AUTHOR_MAX,
    NONCE_BYTES,
    Entry,
    LogName,
    check_name,
)
from sync.journal_errors import TooManyEpochs
from sync.merkle import leaf_hash
from sync.proto.journal_events import Randomness
from sync.proto.journal_messages import Entries
from sync.proto.journal_store import Batch, JournalStore, Log, Staged

_Unsealed = tuple[int, bytes]


class Writer:
    """Writes for the authors whose keys this node holds."""

    def __init__(
        self,
        store: JournalStore,
        *,
        run: bytes,
        authors: Callable[[bytes], Sealer | None],
        random: Randomness,
        now: Moment,
    ) -> None:
        assert len(run) == EPOCH_BYTES
        self._store = store
        self._run = run
        self._authors = authors
        self._random = random
        self._clock: Final = HybridClock(store.last_time(due_until(now.wall_ms)))
        # Whether there may be something to seal: so said until the store was asked and had
        # nothing. It need not be asked at the end of each batch that was about other things.
        self.may_have_unsealed = True

    def append(
        self, journal: str, author: bytes, *, tag: str, text: str, originator: str, now: Moment
    ) -> str:
        """Keep an entry; it becomes part of the journal with the next `flush`.

        Call `flush` in the same transaction and the entry is in the view at once.

        Returns:
            The entry's id.

        Raises:
            MalformedJournalName, MalformedEntry, EntryTooLarge: see there.
            TooManyEpochs: this author can write no more.
        """
        nonce = self._random.randbytes(NONCE_BYTES)
        return self._append(Staged(journal, author, nonce, originator, tag, text), None, now)

    def stage(
        self,
        journal: str,
        author: bytes,
        *,
        task_id: bytes,
        number: int,
        tag: str,
        text: str,
        originator: str,
        now: Moment,
    ) -> str:
        """Keep an entry that only its task sees, until `commit_staged` or `drop_staged`.

        Staging the same call (task and number) again changes nothing.

        Returns, raises: as `append`.
        """
        nonce = self._random.randbytes(NONCE_BYTES)
        staged = Staged(check_name(journal), author, nonce, originator, tag, text)
        # Encoded now, so that what is too large is refused while the task can still be told.
        _entry(staged, task_id, self._clock.tick(now.wall_ms)).encode()
        self._refuse_the_epoch_too_many(journal, author)
        return self._store.stage(task_id, number, staged).nonce.hex()

    def commit_staged(self, task_id: bytes, now: Moment) -> list[str]:
        """Turn what a task staged into entries, in order; their ids."""
        ids = [self._append(staged, task_id, now) for staged in self._store.staged(task_id)]
        self._store.drop_staged(task_id)
        return ids

    def drop_staged(self, task_id: bytes) -> None:
        """The task has failed: nothing of it remains."""
        self._store.drop_staged(task_id)

    def staged(self, task_id: bytes) -> list[Staged]:
        """What the task itself sees beyond the journal."""
        return self._store.staged(task_id)

    def introduce(self, agent: bytes, *, node: bytes, attestation: bytes) -> None:
        """Our own word about one of our agents; it travels before the agent's entries."""
        self._store.keep_attestation(agent, node, attestation)

    def accept_fork(self, author: bytes) -> None:
        """The operator has seen the proofs: the author's later logs are shown again."""
        self._store.accept_forks(author)

    def rolled_back(self) -> None:
        """A transaction has failed: what it had sealed is unsealed again."""
        self.may_have_unsealed = True

    def seal(self, now: Moment) -> Iterator[tuple[Log, Entries]]:
        """Sign what was appended since; one checkpoint for each stretch of entries."""
        if not self.may_have_unsealed:
            return
        waiting: dict[tuple[str, bytes], list[_Unsealed]] = {}
        for journal, author, time, data in self._store.unsealed():
            waiting.setdefault((journal, author), []).append((time, data))
        if not waiting:
            self.may_have_unsealed = False
            return
        self._store.forget_unsealed()
        for (journal, author), entries in waiting.items():
            log = self._own_log(journal, author)
            for stretch in _stretches(entries):
                log, message = self._seal_stretch(log, stretch, now)
                yield log, message

    def _append(self, staged: Staged, task_id: bytes | None, now: Moment) -> str:
        check_name(staged.journal)
        assert self._authors(staged.author) is not None, "only own authors write here"
        self._refuse_the_epoch_too_many(staged.journal, staged.author)
        entry = _entry(staged, task_id, self._clock.tick(now.wall_ms))
        self._store.append(staged.journal, staged.author, entry)
        self.may_have_unsealed = True
        return entry.id

    def _refuse_the_epoch_too_many(self, journal: str, author: bytes) -> None:
        if self._store.own_log(journal, author, self._run) is not None:
            return
        if self._store.epochs(author) >= EPOCHS_PER_AUTHOR_MAX:
            raise TooManyEpochs(author, epochs_max=EPOCHS_PER_AUTHOR_MAX)

    def _own_log(self, journal: str, author: bytes) -> Log:
        """The log this run writes; opened with its first entry, under a number never used."""
        log = self._store.own_log(journal, author, self._run)
        if log is not None:
            return log
        name = LogName(journal, author, self._run)
        if self._store.log(name.id) is not None:
            # Somebody forked the log of this very run: go on under another number.
            name = LogName(journal, author, self._random.randbytes(EPOCH_BYTES))
        return self._store.create(name, self._store.last_head(journal, author), self._run)

    def _seal_stretch(self, log: Log, stretch: list[_Unsealed], now: Moment) -> tuple[Log, Entries]:
        author = self._authors(log.name.author)
        assert author is not None, "only own authors write here"
        data = [data for _, data in stretch]
        leaves = [leaf_hash(entry) for entry in data]
        edge: Frontier = log.frontier.extended(leaves)
        statement = Checkpoint(log.name, edge.size, edge.root, log.previous).sealed(author, now)
        batch = Batch([time for time, _ in stretch], data, leaves, edge)
        grown = self._store.extend(log, batch, statement)
        return grown, Entries(log.id, log.size, tuple(data), statement.raw, None, None)


def _entry(staged: Staged, task_id: bytes | None, time: int) -> Entry:
    return Entry(time, staged.nonce, staged.originator, staged.tag, staged.text, task_id)


def _stretches(entries: list[_Unsealed]) -> Iterator[list[_Unsealed]]:
    """As many entries at a time as one signature may cover."""
    part: list[_Unsealed] = []
    size = 0
    for time, data in entries:
        if part and (len(part) == BATCH_ENTRIES_MAX or size + len(data) > BATCH_BYTES_MAX):
            yield part
            part, size = [], 0
        part.append((time, data))
        size += len(data)
    yield part
