"""With whom we share which logs, and what is sent to all of them."""

from collections.abc import Iterable
from typing import Final

from sync.journal import LogName
from sync.proto import journal_messages as messages
from sync.proto.have_vector import FIRST_LOG, LAST_LOG, row_of
from sync.proto.journal_events import Effect, ForkFound, Policy, Send
from sync.proto.journal_intake import Admission
from sync.proto.journal_link import Link, names_for
from sync.proto.journal_messages import Message, Row
from sync.proto.journal_store import JournalStore, Log

PUSH_MAX: Final = 12  # peers that get a new entry directly; beyond them reconciliation does


class Sharing:
    """The live links, and which logs may pass over each."""

    def __init__(self, store: JournalStore, policy: Policy, *, me: bytes, network: str) -> None:
        self._store = store
        self._policy = policy
        self.admission = Admission(store, policy, me=me, network=network)
        self.links: dict[bytes, Link] = {}

    def names(self, peer: bytes, also: Iterable[str] = ()) -> tuple[str, ...]:
        candidates = {*self._policy.mesh_journals(), *self._store.journals(), *also}
        return names_for({name for name in candidates if self._policy.may_sync(peer, name)})

    def send(self, link: Link, message: Message) -> Send:
        return Send(link.peer, messages.encode(message))

    def rows(self, link: Link) -> list[Row]:
        """All that passes over the link, in order of log."""
        rows = self.rows_within(link, FIRST_LOG, LAST_LOG)
        link.rows = len(rows)
        return rows

    def rows_within(self, link: Link, first: bytes, last: bytes) -> list[Row]:
        """The same between two log ids, both inclusive."""
        admitted: dict[tuple[str, bytes], bool] = {}
        rows = []
        for state in self._store.states(link.shared, first, last):
            key = (state.journal, state.author)
            if key not in admitted:
                admitted[key] = key not in link.refused and self.admission.admits(*key)
            if admitted[key]:
                rows.append(row_of(state))
        return rows

    def is_shared(self, link: Link, name: LogName) -> bool:
        key = (name.journal, name.author)
        return (
            name.journal in link.shared and key not in link.refused and self.admission.admits(*key)
        )

    def tell_proof(self, link: Link, log: Log) -> Effect:
        proof = self._store.proof(log)
        assert proof is not None, "a frozen log has one"
        return self.send(link, self.proof_message(link, log, proof))

    def proof_message(self, link: Link, log: Log, proof: bytes) -> messages.Entries:
        assert log.frozen_at is not None
        vouched = self.vouch(link, log.name.author)
        return messages.Entries(log.id, log.frozen_at, (), None, proof, vouched)

    def vouch(self, link: Link, author: bytes, *, again: bool = False) -> bytes | None:
        """The attestation of this author, unless the peer has had it."""
        if author in link.attested and not again:
            return None
        found = self._store.attestation(author)
        if found is not None and len(link.attested) < messages.ROWS_MAX:
            link.attested[author] = None
        return found

    def fork_found(self, log: Log, proof: bytes) -> list[Effect]:
        assert log.frozen_at is not None
        effects: list[Effect] = [
            ForkFound(log.name.author, log.name.journal, log.name.epoch, log.frozen_at)
        ]
        for link in self.links.values():
            if self.is_shared(link, log.name):
                effects.append(self.send(link, self.proof_message(link, log, proof)))
        return effects

    def spread(
        self, log: Log, message: messages.Entries, *, but: bytes | None = None
    ) -> list[Effect]:
        """Pass new entries on to those who, as far as we know, have not got them."""
        effects: list[Effect] = []
        for link in self.links.values():
            if len(effects) >= PUSH_MAX:
                break
            if link.peer == but or link.known.get(log.id, 0) >= message.end:
                continue
            if self.is_shared(link, log.name):
                vouched = self.vouch(link, log.name.author)
                fresh = messages.Entries(
                    log.id,
                    message.start,
                    message.entries,
                    message.checkpoint,
                    message.proof,
                    vouched,
                )
                link.note_size(log.id, message.end)
                effects.append(self.send(link, fresh))
        return effects
