"""Store first, then speak: nothing is said of what did not commit, and strangers' words cost them.

Two engines with real keys and a real database each; a message is a call.
"""

import random

import pytest

from identity import envelope
from identity.envelope import Envelope, Kind
from identity.keys import SigningKey
from identity.revocation import seal_revocation
from sync.author import Author
from sync.clock import Moment
from sync.errors import StoreFull
from sync.mesh import Mesh
from sync.proto.journal_events import ForkFound
from sync.proto.journals import Journals
from sync.proto.messages import ENVELOPE, HELLO, SYNC, pack_hello
from sync.proto.task_events import StartAttempt
from sync.proto.task_messages import text_parts
from sync.proto.tasks import Tasks
from sync.proto.tasks_sending import Order
from sync.store.database import Database
from sync.store.journals import Journals as JournalTables
from sync.store.journals_schema import JOURNALS_SCHEMA
from sync.store.tasks import TaskTables
from sync.store.tasks_schema import SCHEMA

NETWORK = "test"
NOW = Moment(mono_s=100.0, wall_ms=1_800_000_000_000)
ALICE, BOB = (SigningKey.from_seed(letter * 32) for letter in (b"a", b"b"))


class Everything:
    """A policy that allows."""

    def may_task(self, peer: bytes, agent: str) -> str | None:
        return None

    def slots(self, agent: str) -> int:
        return 1

    def mesh_journals(self) -> tuple[str, ...]:
        return ("notes",)

    def may_sync(self, peer: bytes, journal: str) -> bool:
        return True

    def author_admitted(self, journal: str, node: bytes) -> bool:
        return True


class Heard:
    """A voice that only remembers."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, int, bytes]] = []
        self.misdeeds: list[tuple[bytes, bool]] = []
        self.refusals: list[str] = []
        self.revocations: list[bytes] = []
        self.for_people_heard: list[tuple[bytes, bytes]] = []
        self.started: list[bytes] = []
        self.takes = True

    def send(self, peer: bytes, message_type: int, body: bytes) -> bool:
        if self.takes:
            self.sent.append((peer, message_type, body))
        return self.takes

    def start(self, attempt: StartAttempt) -> None:
        self.started.append(attempt.task_id)

    def cancel(self, task_id: bytes) -> None: ...

    def changed(self, task_id: bytes) -> None: ...

    def grew(self, journal: str) -> None: ...

    def misbehaved(self, peer: bytes, why: str, *, forged: bool) -> None:
        self.misdeeds.append((peer, forged))

    def refused(self, peer: bytes, why: str) -> None:
        self.refusals.append(why)

    def fork_found(self, fork: ForkFound) -> None: ...

    def revoked(self, author: bytes, revocation: bytes) -> None:
        self.revocations.append(author)

    def for_people(self, peer: bytes, opened: Envelope) -> None:
        self.for_people_heard.append((peer, opened.body))

    def flush_soon(self) -> None: ...


class Node:
    def __init__(self, key: SigningKey) -> None:
        dice = random.Random(key.seed)
        self.database = Database.open(":memory:", schemas=[*SCHEMA, *JOURNALS_SCHEMA])
        author = Author(key, network=NETWORK, nonce=lambda: dice.randbytes(16))
        policy = Everything()
        self.heard = Heard()
        self.mesh = Mesh(
            me=key.public_key,
            network=NETWORK,
            epoch=dice.randbytes(16),
            database=self.database,
            tasks=Tasks(store=TaskTables(self.database), author=author, policy=policy, random=dice),
            journals=Journals(
                JournalTables(self.database, network=NETWORK),
                me=key.public_key,
                network=NETWORK,
                run=dice.randbytes(16),
                policy=policy,
                authors={key.public_key: author}.get,
                random=dice,
                now=NOW,
            ),
            voice=self.heard,
            clock=lambda: NOW,
        )

    def submit(self, peer: SigningKey) -> bytes:
        with self.mesh.transaction():
            order = Order(peer=peer.public_key, agent="echo", parts=text_parts("hello"))
            task_id, effects = self.mesh.tasks.submit(order, NOW)
            self.mesh.say(effects)
        return task_id

    def submit_on_a_full_disk(self, peer: SigningKey) -> None:
        with self.mesh.transaction():
            self.submit(peer)
            raise StoreFull("node.db", "disk full")


@pytest.fixture
def alice() -> Node:
    node = Node(ALICE)
    node.mesh.link_up(BOB.public_key)
    node.heard.sent.clear()
    return node


def sealed(
    kind: Kind, *, key: SigningKey = BOB, network: str = NETWORK, audience: SigningKey = ALICE
) -> bytes:
    return envelope.seal(
        key,
        kind=kind,
        body=b"\xa0",
        network=network,
        nonce=bytes(16),
        issued_ms=NOW.wall_ms,
        expires_ms=NOW.wall_ms + 1_000,
        audience=audience.public_key,
        in_reply_to=None if kind in (Kind.TASK, Kind.RECEIPT) else bytes(32),
    )


def test_a_link_begins_with_hello() -> None:
    node = Node(ALICE)
    node.mesh.link_up(BOB.public_key)
    assert node.heard.sent[0][:2] == (BOB.public_key, HELLO)


def test_what_is_submitted_is_stored_and_then_sent(alice: Node) -> None:
    task_id = alice.submit(BOB)
    assert alice.mesh.tasks.get(task_id).id == task_id
    assert [kind for _, kind, _ in alice.heard.sent] == [ENVELOPE]


def test_a_transaction_that_fails_says_nothing_and_leaves_nothing(alice: Node) -> None:
    """Promise 3: what a crash or a full disk takes back was never said."""
    with pytest.raises(StoreFull):
        alice.submit_on_a_full_disk(BOB)
    assert alice.heard.sent == []
    assert alice.mesh.tasks.ledger(BOB.public_key).sent == 0


def test_after_a_failed_transaction_the_next_one_works(alice: Node) -> None:
    with pytest.raises(StoreFull), alice.mesh.transaction():
        raise StoreFull("node.db", "disk full")
    alice.submit(BOB)
    assert [kind for _, kind, _ in alice.heard.sent] == [ENVELOPE]


def test_a_nested_failure_takes_back_only_its_own_words(alice: Node) -> None:
    with alice.mesh.transaction():
        order = Order(peer=BOB.public_key, agent="echo", parts=text_parts("kept"))
        alice.mesh.say(alice.mesh.tasks.submit(order, NOW)[1])
        with pytest.raises(StoreFull):
            alice.submit_on_a_full_disk(BOB)
    assert len(alice.heard.sent) == 1
    assert alice.mesh.tasks.ledger(BOB.public_key).sent == 1


def test_a_task_crosses_and_comes_back_answered(alice: Node) -> None:
    from sync.proto.task_events import AgentReady, AttemptEnded
    from sync.proto.task_states import Completed

    bob = Node(BOB)
    bob.mesh.tell_tasks(AgentReady("echo"))
    bob.mesh.link_up(ALICE.public_key)
    task_id = alice.submit(BOB)
    for _, kind, body in alice.heard.sent:
        bob.mesh.message(ALICE.public_key, kind, body)
    assert bob.heard.started == [task_id]
    bob.mesh.tell_tasks(AttemptEnded(task_id, Completed(text_parts("world"))))
    bob.mesh.flush()
    for _, kind, body in bob.heard.sent:
        if kind == ENVELOPE:
            alice.mesh.message(BOB.public_key, kind, body)
    assert alice.mesh.tasks.get(task_id).is_ended


@pytest.mark.parametrize("body", [b"", b"\x00", b"\xd2\x84", bytes(100)])
def test_nonsense_is_held_against_the_peer(alice: Node, body: bytes) -> None:
    for kind in (ENVELOPE, SYNC, HELLO):
        alice.heard.misdeeds.clear()
        alice.mesh.message(BOB.public_key, kind, body)
        assert alice.heard.misdeeds == [(BOB.public_key, False)]


def test_a_type_of_a_newer_node_is_passed_over(alice: Node) -> None:
    alice.mesh.message(BOB.public_key, 0x2F, b"whatever")
    assert alice.heard.misdeeds == []


def test_a_forged_signature_is_told_from_nonsense(alice: Node) -> None:
    alice.mesh.message(BOB.public_key, ENVELOPE, sealed(Kind.TASK, network="other"))
    assert alice.heard.misdeeds == [(BOB.public_key, True)]


@pytest.mark.parametrize("kind", [Kind.TASK, Kind.RECEIPT, Kind.PROGRESS, Kind.RESULT, Kind.CANCEL])
def test_what_somebody_else_wrote_is_not_taken_from_a_peer(alice: Node, kind: Kind) -> None:
    """A trusted peer cannot hand us another's task, result or receipt."""
    mallory = SigningKey.from_seed(b"x" * 32)
    alice.mesh.message(BOB.public_key, ENVELOPE, sealed(kind, key=mallory))
    assert alice.heard.misdeeds == [(BOB.public_key, False)]


def test_a_checkpoint_outside_a_session_is_refused(alice: Node) -> None:
    data = envelope.seal(
        BOB,
        kind=Kind.CHECKPOINT,
        body=b"\xa0",
        network=NETWORK,
        nonce=bytes(16),
        issued_ms=NOW.wall_ms,
    )
    alice.mesh.message(BOB.public_key, ENVELOPE, data)
    assert alice.heard.misdeeds == [(BOB.public_key, False)]


def test_a_revocation_may_be_passed_on_by_anybody(alice: Node) -> None:
    lost = SigningKey.from_seed(b"l" * 32)
    data = seal_revocation(lost, network=NETWORK, nonce=bytes(16), issued_ms=1)
    alice.mesh.message(BOB.public_key, ENVELOPE, data)
    assert alice.heard.revocations == [lost.public_key]


@pytest.mark.parametrize("kind", [Kind.APPROVAL_REQUEST, Kind.APPROVAL])
def test_what_is_for_people_is_handed_on_once_it_is_proven(alice: Node, kind: Kind) -> None:
    good = sealed(kind)
    alice.mesh.message(BOB.public_key, ENVELOPE, good)
    assert alice.heard.for_people_heard == [(BOB.public_key, b"\xa0")]
    carol = SigningKey.from_seed(b"c" * 32)
    alice.mesh.message(carol.public_key, ENVELOPE, good)
    alice.mesh.message(BOB.public_key, ENVELOPE, good[:-1] + bytes([good[-1] ^ 1]))
    alice.mesh.message(BOB.public_key, ENVELOPE, sealed(kind, audience=carol))
    assert len(alice.heard.for_people_heard) == 1
    assert alice.heard.misdeeds == [(carol.public_key, False), (BOB.public_key, True)]
    assert len(alice.heard.refusals) == 1


def test_an_expired_envelope_is_refused_and_the_link_kept(alice: Node) -> None:
    data = envelope.seal(
        BOB,
        kind=Kind.TASK,
        body=b"\xa0",
        network=NETWORK,
        nonce=bytes(16),
        issued_ms=NOW.wall_ms - 2_000,
        expires_ms=NOW.wall_ms - 1_000,
        audience=ALICE.public_key,
    )
    alice.mesh.message(BOB.public_key, ENVELOPE, data)
    assert (alice.heard.misdeeds, len(alice.heard.refusals)) == ([], 1)


def test_a_full_link_is_tried_again(alice: Node) -> None:
    alice.heard.takes = False
    alice.submit(BOB)
    alice.heard.takes = True
    alice.mesh.link_room(BOB.public_key)
    assert any(kind == ENVELOPE for _, kind, _ in alice.heard.sent)


def test_hello_with_more_fields_is_from_a_newer_node(alice: Node) -> None:
    from identity import cbor

    body = cbor.dumps({1: bytes(16), 2: "newer"})
    alice.mesh.message(BOB.public_key, HELLO, body)
    alice.mesh.message(BOB.public_key, HELLO, pack_hello(b"e" * 16))
    assert alice.heard.misdeeds == []


def test_behind_what_no_correct_peer_sends_nothing_is_acted_on(alice: Node) -> None:
    """Promise 4: a peer that is banned gets nothing more done, not even from the same record."""
    bob = Node(BOB)
    bob.mesh.link_up(ALICE.public_key)
    bob.submit(ALICE)
    *_, (_, _, task) = bob.heard.sent
    alice.mesh.messages(BOB.public_key, [(HELLO, b"\xa0"), (ENVELOPE, task)])
    assert alice.heard.misdeeds == [(BOB.public_key, False)]
    assert alice.database.value("SELECT count(*) FROM tasks_received") == 0


def test_behind_a_malformed_sync_message_none_is_heard(alice: Node) -> None:
    alice.mesh.messages(BOB.public_key, [(SYNC, b"\xff"), (SYNC, b"\xff")])
    assert alice.heard.misdeeds == [(BOB.public_key, False)]
