"""A few journal engines in one process, joined by a network that loses, doubles and reorders."""

import random
from collections.abc import Collection
from dataclasses import dataclass, field

from identity.keys import SigningKey
from sync.author import Author
from sync.clock import Moment
from sync.proto.journal_events import Effect, Event, LinkDown, LinkUp, Received, Send
from sync.proto.journals import Journals
from sync.store.database import Database
from sync.store.journals import Journals as Store
from sync.store.journals_schema import JOURNALS_SCHEMA
from sync.store.journals_view import View

NETWORK = "test"
START_MS = 1_700_000_000_000


@dataclass
class OpenPolicy:
    """Everybody may have everything, but for what is listed."""

    names: set[str] = field(default_factory=lambda: {"notes"})
    strangers: set[bytes] = field(default_factory=set)
    barred: set[tuple[bytes, str]] = field(default_factory=set)

    def mesh_journals(self) -> Collection[str]:
        return self.names

    def may_sync(self, peer: bytes, journal: str) -> bool:
        return (peer, journal) not in self.barred

    def author_admitted(self, journal: str, node: bytes) -> bool:
        return node not in self.strangers


class Node:
    """An engine on a store in memory; `crash` keeps only what was committed."""

    def __init__(self, number: int) -> None:
        self.random = random.Random(number)
        self.key = SigningKey.from_seed(bytes([number]) * 32)
        self.author = Author(self.key, network=NETWORK, nonce=lambda: self.random.randbytes(16))
        self.policy = OpenPolicy()
        self.database = Database.open(":memory:", schemas=JOURNALS_SCHEMA)
        self.keys = {self.key.public_key: self.author}
        self.effects: list[Effect] = []
        self.start(Moment(0.0, START_MS))

    @property
    def id(self) -> bytes:
        return self.key.public_key

    @property
    def view(self) -> View:
        return View(self.database)

    def start(self, now: Moment, *, run: bytes | None = None) -> None:
        """A new run of the process."""
        self.run = self.random.randbytes(16) if run is None else run
        self.store = Store(self.database, network=NETWORK)
        self.engine = Journals(
            self.store,
            me=self.id,
            network=NETWORK,
            run=self.run,
            policy=self.policy,
            authors=self.keys.get,
            random=self.random,
            now=now,
        )

    def become(self, author: SigningKey, image: bytes, run: bytes, now: Moment) -> None:
        """Go on as `author` where `image` stood, under the same epoch: the malicious case."""
        self.database.restore(image)
        self.keys[author.public_key] = Author(
            author, network=NETWORK, nonce=lambda: self.random.randbytes(16)
        )
        self.start(now, run=run)

    def write(
        self, text: str, now: Moment, *, journal: str = "notes", author: bytes | None = None
    ) -> list[Effect]:
        with self.database.transaction():
            self.engine.append(
                journal, author or self.id, tag="t", text=text, originator="me", now=now
            )
            return self._done(self.engine.flush(now))

    def handle(self, event: Event, now: Moment) -> list[Effect]:
        with self.database.transaction():
            return self._done(self.engine.handle(event, now))

    def wake(self, now: Moment) -> list[Effect]:
        with self.database.transaction():
            effects = self._done(self.engine.wake(now))
        assert self.engine.deadline > now.mono_s
        return effects

    def texts(self, now: Moment, journal: str = "notes") -> list[str]:
        return [seen.entry.text for seen in self.view.read(journal, limit=1000, now_ms=now.wall_ms)]

    def _done(self, effects: list[Effect]) -> list[Effect]:
        self.effects += [effect for effect in effects if not isinstance(effect, Send)]
        return effects


class Mesh:
    """Nodes and links, in virtual time; messages arrive one by one."""

    def __init__(
        self, count: int, *, seed: int = 0, loss: float = 0.0, chaos: bool = False
    ) -> None:
        self.nodes = [Node(number) for number in range(1, count + 1)]
        self.by_id = {node.id: node for node in self.nodes}
        self.up: set[tuple[bytes, bytes]] = set()
        self.queue: list[tuple[bytes, bytes, bytes]] = []
        self.random = random.Random(seed)
        self.loss, self.chaos = loss, chaos
        self.now_s = 0.0
        self.sent: list[tuple[bytes, bytes, bytes]] = []

    @property
    def now(self) -> Moment:
        return Moment(self.now_s, START_MS + int(self.now_s * 1000))

    def connect(self, one: Node, two: Node) -> None:
        if (one.id, two.id) not in self.up:
            self.up |= {(one.id, two.id), (two.id, one.id)}
            self.perform(one, one.handle(LinkUp(two.id), self.now))
            self.perform(two, two.handle(LinkUp(one.id), self.now))

    def connect_all(self) -> None:
        for number, one in enumerate(self.nodes):
            for two in self.nodes[number + 1 :]:
                self.connect(one, two)

    def cut(self, one: Node, two: Node) -> None:
        if (one.id, two.id) in self.up:
            self.up -= {(one.id, two.id), (two.id, one.id)}
            self.queue = [m for m in self.queue if {m[0], m[1]} != {one.id, two.id}]
            self.perform(one, one.handle(LinkDown(two.id), self.now))
            self.perform(two, two.handle(LinkDown(one.id), self.now))

    def cut_all(self) -> None:
        for one in self.nodes:
            for two in self.nodes:
                self.cut(one, two)

    def write(self, node: Node, text: str, *, author: bytes | None = None) -> None:
        self.perform(node, node.write(text, self.now, author=author))

    def perform(self, node: Node, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send) and (node.id, effect.peer) in self.up:
                self.sent.append((node.id, effect.peer, effect.body))
                for _ in range(self._copies()):
                    self.queue.append((node.id, effect.peer, effect.body))

    def _copies(self) -> int:
        if self.random.random() < self.loss:
            return 0
        return 2 if self.chaos and self.random.random() < 0.1 else 1

    def settle(self, seconds: float = 0.0) -> None:
        """Deliver everything, and let so much time pass."""
        until = self.now_s + seconds
        while True:
            self._deliver()
            due = min((node.engine.deadline for node in self.nodes), default=until)
            if due > until:
                break
            self.now_s = max(self.now_s, due)
            for node in self.nodes:
                if node.engine.deadline <= self.now_s:
                    self.perform(node, node.wake(self.now))
        self.now_s = until

    def _deliver(self) -> None:
        budget = 100_000
        while self.queue:
            budget -= 1
            assert budget, "the mesh talks without end"
            at = self.random.randrange(min(len(self.queue), 8)) if self.chaos else 0
            source, target, body = self.queue.pop(at)
            node = self.by_id[target]
            self.perform(node, node.handle(Received(source, body), self.now))

    def assert_converged(self) -> None:
        first, *rest = self.nodes
        for node in rest:
            for journal in {*first.view.journals(), *node.view.journals()}:
                assert node.texts(self.now, journal) == first.texts(self.now, journal)
                mine = [
                    (log.log, log.size, log.visible, log.root, log.frozen_at)
                    for log in node.view.logs(journal)
                ]
                theirs = [
                    (log.log, log.size, log.visible, log.root, log.frozen_at)
                    for log in first.view.logs(journal)
                ]
                assert mine == theirs
