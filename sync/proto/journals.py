"""The journal engine: own entries in, everybody's verified entries in the store, forks proved.

    link up ─▶ Names both ways ─▶ Digest ──equal──▶ quiet until the next, ~10 s later
                                    └──differs──▶ Have ─▶ Want ─▶ Entries ─▶ … ─▶ equal
    append … flush ─▶ one checkpoint ─▶ Entries to whoever is connected, who pass them on

Cost of one new entry to a connected peer: about 330 bytes and the entry, one signature to make
and one to check, one transaction on either side. Without the push: a digest of 38 bytes, 32 bytes
for each log, a request of 30. Nothing is in memory that the store does not hold but links,
requests and searches, each bounded.
"""

import math
from collections.abc import Callable
from typing import Final

from identity.errors import IdentityError
from sync.checkpoint import Sealer
from sync.clock import Moment
from sync.journal import SIZE_MAX, LogName
from sync.journal_errors import JournalDamaged, JournalError
from sync.proto import journal_messages as messages
from sync.proto.have_vector import digest, parts, tag_of, to_tell
from sync.proto.journal_events import (
    Effect,
    Event,
    Grew,
    LinkDown,
    LinkRoom,
    LinkUp,
    Misbehaved,
    Policy,
    PolicyChanged,
    Randomness,
    Received,
)
from sync.proto.journal_fork_search import ForkSearch, Found, Lied, Outcome, leaf_at
from sync.proto.journal_intake import (
    Gap,
    Nonsense,
    NotAdmitted,
    NothingNew,
    Parts,
    Stored,
    take,
)
from sync.proto.journal_link import Link, remember
from sync.proto.journal_messages import Row
from sync.proto.journal_sharing import Sharing
from sync.proto.journal_store import JournalStore, Log
from sync.proto.journal_wants import Wants
from sync.proto.journal_writer import Writer

RECONCILE_S: Final = 10.0
JITTER: Final = 0.2  # of it, either way, so that a mesh does not reconcile in step
SOON_S: Final = 0.2  # after a catch-up, so that others hear of it at once
SOON_ROW_S: Final = 0.001  # or so long for each row: to look at one takes a hundredth of that


class Journals(Writer):
    """One node's journals. Call it inside a transaction, perform the effects after the commit."""

    def __init__(
        self,
        store: JournalStore,
        *,
        me: bytes,
        network: str,
        run: bytes,
        policy: Policy,
        authors: Callable[[bytes], Sealer | None],
        random: Randomness,
        now: Moment,
    ) -> None:
        """An engine for one run of one process.

        `me` is the public key of this node: its own logs and its agents' are always kept.
        `run` is 16 random bytes, never used before: the epoch of all logs this run writes.
        `authors` gives who can sign for one of our keys, and None for a key that is not ours.
        """
        super().__init__(store, run=run, authors=authors, random=random, now=now)
        self._network = network
        self._me = me
        self._sharing = Sharing(store, policy, me=me, network=network)
        self._wants = Wants()
        self._search = ForkSearch(store, network=network)

    @property
    def deadline(self) -> float:
        """When `wake` is next due, on the monotonic clock; ``inf`` if never."""
        reconcile = min(
            (link.reconcile_s for link in self._sharing.links.values()), default=math.inf
        )
        return min(reconcile, self._wants.deadline, self._search.deadline)

    def handle(self, event: Event, now: Moment) -> list[Effect]:
        match event:
            case LinkUp(peer):
                self._drop(peer)
                link = Link(peer, self._sharing.names(peer), self._next_reconcile(now), now.mono_s)
                self._sharing.links[peer] = link
                return [self._sharing.send(link, messages.Names(link.mine))]
            case LinkDown(peer):
                self._drop(peer)
                return self._ask(now)
            case LinkRoom(peer):
                self._reconcile_soon(now, only=peer)
                return []
            case Received(peer, body):
                return self._received(peer, body, now)
            case PolicyChanged():
                return self._policy_changed()

    def wake(self, now: Moment) -> list[Effect]:
        self._wants.wake(now.mono_s)
        self._search.wake(now.mono_s)
        effects: list[Effect] = []
        for link in self._sharing.links.values():
            if link.reconcile_s <= now.mono_s:
                link.reconcile_s = self._next_reconcile(now)
                link.renew_budgets(now.mono_s)
                if link.names_owed and link.theirs is not None:
                    effects += self._on_names(link, tuple(link.theirs))
                elif link.theirs is None:
                    effects.append(self._sharing.send(link, messages.Names(link.mine)))
                else:
                    effects.append(
                        self._sharing.send(link, messages.Digest(digest(self._sharing.rows(link))))
                    )
        return effects + self._ask(now)

    def flush(self, now: Moment) -> list[Effect]:
        """Sign what was appended, one checkpoint a stretch, and push it to who is connected."""
        effects: list[Effect] = []
        for log, entries in self.seal(now):
            effects += self._sharing.spread(log, entries)
            if Grew(log.name.journal) not in effects:
                effects.append(Grew(log.name.journal))
        return effects

    def counts(self) -> dict[str, int]:
        """What is under way, for `status`; each is bounded."""
        return {
            "links": len(self._sharing.links),
            "wants": len(self._wants),
            "known": sum(len(link.known) for link in self._sharing.links.values()),
        }

    # --- links --------------------------------------------------------------------------------

    def _drop(self, peer: bytes) -> None:
        self._sharing.links.pop(peer, None)
        self._wants.lost(peer)
        self._search.lost(peer)

    def _policy_changed(self) -> list[Effect]:
        effects: list[Effect] = []
        for link in self._sharing.links.values():
            link.mine = self._sharing.names(link.peer, link.theirs or ())
            link.told.clear()
            effects.append(self._sharing.send(link, messages.Names(link.mine)))
        return effects

    def _next_reconcile(self, now: Moment) -> float:
        spread = (2 * self._random.random() - 1) * JITTER
        return now.mono_s + RECONCILE_S * (1 + spread)

    def _reconcile_soon(
        self, now: Moment, *, only: bytes | None = None, but: bytes | None = None
    ) -> None:
        for link in self._sharing.links.values():
            if link.peer != but and only in (None, link.peer):
                pause_s = max(SOON_S, link.rows * SOON_ROW_S)
                soon = now.mono_s + pause_s * (1 + self._random.random())
                link.reconcile_s = min(link.reconcile_s, soon)

    # --- what a peer says ---------------------------------------------------------------------

    def _received(self, peer: bytes, body: bytes, now: Moment) -> list[Effect]:
        link = self._sharing.links.get(peer)
        if link is None:
            return []  # it came while its link was being closed
        link.renew_budgets(now.mono_s)
        try:
            message = messages.parse(body)
        except JournalError as failure:
            return [Misbehaved(peer, str(failure))]
        match message:
            case messages.Names(names):
                return self._on_names(link, names)
            case messages.Digest(theirs):
                return self._on_digest(link, theirs, now)
            case messages.Have():
                return self._on_have(link, message, now)
            case messages.Want():
                return self._on_want(link, message)
            case messages.Entries():
                return self._on_entries(link, message, now)
            case messages.Probe(log_id, index):
                return self._on_probe(link, log_id, index)
            case messages.Leaf():
                return self._on_leaf(link, message, now)
            case messages.Refuse(journal, author):
                remember(link.refused, (journal, author))
                return []

    def _on_names(self, link: Link, names: tuple[str, ...]) -> list[Effect]:
        first = link.theirs is None
        link.theirs = frozenset(names)
        link.names_owed = not link.may_look(link.rows + len(names))
        if link.names_owed:
            return []
        link.refused.clear()
        mine = self._sharing.names(link.peer, names)
        effects: list[Effect] = []
        if mine != link.mine or (not first and not link.names_answered):
            # The second half answers a peer whose message came again: perhaps ours was lost.
            link.names_answered = True
            link.mine = mine
            effects.append(self._sharing.send(link, messages.Names(mine)))
        return [
            *effects,
            self._sharing.send(link, messages.Digest(digest(self._sharing.rows(link)))),
        ]

    def _on_digest(self, link: Link, theirs: bytes, now: Moment) -> list[Effect]:
        if not link.may_look(link.rows):
            return []
        rows = self._sharing.rows(link)
        mine = digest(rows)
        if mine == theirs:
            for row in rows:
                link.note_size(row.log, row.size)
            # We are spared saying the same: quiet links cost one message a period.
            link.reconcile_s = self._next_reconcile(now)
            return []
        # One side speaks first, or each would send the whole vector.
        if self._me > link.peer:
            return [self._sharing.send(link, messages.Digest(mine))]
        return [self._sharing.send(link, have) for have in parts(rows)]

    def _on_have(self, link: Link, have: messages.Have, now: Moment) -> list[Effect]:
        if not link.may_look(len(have.rows)):
            return []
        effects: list[Effect] = []
        if have.bounds is not None:
            mine = self._sharing.rows_within(link, *have.bounds)
            link.looked += len(mine)
            told = tuple(to_tell(mine, have))
            if told:
                effects.append(self._sharing.send(link, messages.Have(told, None)))
        for row in have.rows:
            link.note_size(row.log, row.size)
            log = self._store.log(row.log)
            if log is None:
                # Even one of no entries: it was forked at the first, and there is a proof.
                self._wants.note(row.log, link.peer, max(row.size, 1))
            elif log.name.journal in link.shared:
                effects += self._compare(link, log, row, now)
        return effects + self._ask(now)

    def _compare(self, link: Link, log: Log, row: Row, now: Moment) -> list[Effect]:
        if row.size == log.size and row.tag == tag_of(log):
            return []
        effects: list[Effect] = []
        if log.frozen_at is not None:
            effects.append(self._sharing.tell_proof(link, log))
        common = min(row.size, log.size)
        if log.disputed or (row.size == log.size and log.frozen_at is None):
            probe = self._search.begin(link.peer, log, size=common, accuses=False, now_s=now.mono_s)
            if probe is not None:
                effects.append(self._sharing.send(link, probe))
        elif row.size > log.size and (log.frozen_at is None or log.size < log.frozen_at):
            self._wants.note(row.log, link.peer, row.size)
        return effects

    def _on_want(self, link: Link, want: messages.Want) -> list[Effect]:
        log = self._store.log(want.log)
        if log is None or not self._sharing.is_shared(link, log.name):
            return []
        if not link.may_serve(want.log, want.start):
            return []
        link.note_size(want.log, want.start)
        stretch = self._store.stretch(log, want.start)
        if stretch is None:
            return []
        vouched = self._sharing.vouch(link, log.name.author, again=want.needs_attestation)
        entries = messages.Entries(
            log.id, want.start, stretch.entries, stretch.checkpoint, stretch.proof, vouched
        )
        return [self._sharing.send(link, entries)]

    def _on_entries(self, link: Link, message: messages.Entries, now: Moment) -> list[Effect]:
        known = self._store.log(message.log)
        if known is not None and known.name.journal not in link.shared:
            return []
        link.note_size(message.log, message.end)
        admission, shared = self._sharing.admission, link.shared
        outcome = take(
            message, self._store, admission, shared=shared, network=self._network, now=now
        )
        match outcome:
            case Stored(log, times, _):
                self._clock.saw(*times, wall_ms=now.wall_ms)
                self._wants.arrived(log.id, _held(log))
                return self._stored(link, message, outcome, now) + self._ask(now)
            case NothingNew():
                if known is not None:
                    self._wants.arrived(known.id, _held(known))
            case Gap(size):
                self._wants.note(message.log, link.peer, size)
            case NotAdmitted(name, is_vouched_for):
                return self._not_admitted(link, message, name, is_vouched_for)
            case Parts(log, _):
                self._wants.failed(log.id, link.peer)
                probe = self._search.begin(
                    link.peer, log, size=log.size, accuses=True, now_s=now.mono_s
                )
                return [] if probe is None else [self._sharing.send(link, probe)]
            case Nonsense(why):
                return [Misbehaved(link.peer, why)]
        return self._ask(now)

    def _not_admitted(
        self, link: Link, message: messages.Entries, name: LogName, is_vouched_for: bool
    ) -> list[Effect]:
        self._wants.failed(message.log, link.peer)
        key = (name.journal, name.author)
        if not is_vouched_for and message.attestation is None and remember(link.asked, key):
            # Perhaps a node we trust vouches for this key, and its word was lost.
            return [self._sharing.send(link, messages.Want(message.log, 0, True))]
        if name.journal not in link.shared or not remember(link.told, key):
            return []
        return [self._sharing.send(link, messages.Refuse(*key))]

    def _stored(
        self, link: Link, message: messages.Entries, stored: Stored, now: Moment
    ) -> list[Effect]:
        log = stored.log
        effects: list[Effect] = [Grew(log.name.journal)] if stored.times else []
        if stored.proof is not None:
            return effects + self._sharing.fork_found(log, stored.proof.raw)
        if log.size < max(
            (held.known.get(log.id, 0) for held in self._sharing.links.values()), default=0
        ):
            return effects  # a catch-up: the others are told when it is over
        self._reconcile_soon(now, but=link.peer)
        return effects + self._sharing.spread(log, message, but=link.peer)

    # --- forks --------------------------------------------------------------------------------

    def _on_probe(self, link: Link, log_id: bytes, index: int) -> list[Effect]:
        log = self._store.log(log_id)
        if log is None or not self._sharing.is_shared(link, log.name) or not link.may_tell_leaf():
            return []
        leaf = leaf_at(self._store, log, index)
        return [] if leaf is None else [self._sharing.send(link, leaf)]

    def _on_leaf(self, link: Link, leaf: messages.Leaf, now: Moment) -> list[Effect]:
        try:
            outcome: Outcome = self._search.answer(link.peer, leaf, now.mono_s)
        except JournalDamaged:
            raise  # ours
        except (JournalError, IdentityError) as failure:
            return [Misbehaved(link.peer, str(failure))]
        match outcome:
            case messages.Probe():
                return [self._sharing.send(link, outcome)]
            case Lied():
                return [Misbehaved(link.peer, "its entries do not have the signed root")]
            case Found(proof):
                log = self._store.log(proof.log.id)
                assert log is not None
                rank = self._store.proof_rank(log)
                if rank is not None and rank <= proof.rank:
                    return []
                return self._sharing.fork_found(self._store.freeze(log, proof), proof.raw)
            case None:
                return []

    # --- requests -----------------------------------------------------------------------------

    def _ask(self, now: Moment) -> list[Effect]:
        effects: list[Effect] = []
        for peer, log_id in self._wants.asks(
            now.mono_s, lambda peer, _: peer in self._sharing.links
        ):
            log = self._store.log(log_id)
            start = 0 if log is None else log.size
            vouch = log is None
            effects.append(
                self._sharing.send(self._sharing.links[peer], messages.Want(log_id, start, vouch))
            )
        return effects


def _held(log: Log) -> int:
    """How much of a log we have, as far as requests go: of a frozen one no more is wanted."""
    is_whole = log.frozen_at is not None and log.size >= log.frozen_at
    return SIZE_MAX if is_whole else log.size
