"""Two nodes write, part, meet again, and have the same journal."""

from dataclasses import replace

import pytest

from identity.attestation import attest
from identity.cid import wasm_cid
from sync.author import Author
from sync.checkpoint import Previous
from sync.clock import Moment
from sync.journal import EPOCHS_PER_AUTHOR_MAX, Entry, LogName
from sync.journal_errors import (
    EntryTooLarge,
    MalformedEntry,
    MalformedJournalName,
    TooManyEpochs,
)
from sync.proto.have_vector import digest
from sync.proto.journal_events import LinkRoom, Misbehaved, PolicyChanged, Received, Send
from sync.proto.journal_link import SERVED_MAX
from sync.proto.journal_messages import Digest, Entries, Names, Row, Want, encode, parse
from sync.proto.journals import SOON_S
from tests.sync.journal_mesh import NETWORK, Mesh, Node


def test_an_entry_is_on_the_other_node_at_once() -> None:
    mesh = Mesh(2)
    mesh.connect_all()
    mesh.settle()
    mesh.write(mesh.nodes[0], "hello")
    mesh.settle()
    assert mesh.nodes[1].texts(mesh.now) == ["hello"]
    mesh.assert_converged()


def shown(node: Node, to: Node) -> list[Row]:
    """What `node` has in common with `to`."""
    sharing = node.engine._sharing
    return sharing.rows(sharing.links[to.id])


def test_names_that_come_again_start_no_endless_conversation() -> None:
    """Two equal nodes once answered each other's names for ever, half a core each."""
    mesh = Mesh(2)
    one, two = mesh.nodes
    mesh.connect_all()
    mesh.write(one, "something to be equal about")
    mesh.settle(1)
    mesh.sent.clear()
    names, same = Names(("notes",)), Digest(digest(shown(one, two)))
    mesh.queue += [(two.id, one.id, encode(message)) for message in (names, same, names)]
    mesh.settle()
    assert len(mesh.sent) < 20


def test_a_peer_that_is_always_equal_renews_no_budget() -> None:
    mesh = Mesh(2)
    one, two = mesh.nodes
    mesh.connect_all()
    mesh.write(one, "wanted")
    mesh.settle(1)
    mesh.sent.clear()
    (log,) = one.view.logs("notes")
    want = encode(Want(log.log, 0, False))
    same = encode(Digest(digest(shown(one, two))))
    for _ in range(3 * SERVED_MAX):
        for body in (want, same):
            mesh.perform(one, one.handle(Received(two.id, body), mesh.now))
    served = [body for _, _, body in mesh.sent if isinstance(parse(body), Entries)]
    assert len(served) <= SERVED_MAX


def test_two_nodes_append_while_parted_and_converge_when_they_meet() -> None:
    mesh = Mesh(2)
    one, two = mesh.nodes
    for number in range(400):
        mesh.now_s += 0.001
        mesh.write(one, f"one {number}")
        if number % 3 == 0:
            mesh.write(two, f"two {number}")
    mesh.connect_all()
    mesh.settle(1)
    mesh.assert_converged()
    assert len(one.texts(mesh.now)) == 400 + 134
    assert not any(isinstance(effect, Misbehaved) for node in mesh.nodes for effect in node.effects)


def test_a_restored_backup_opens_a_new_epoch_and_freezes_nobody() -> None:
    """What was written after the backup comes back from the peer."""
    mesh = Mesh(2)
    one, two = mesh.nodes
    mesh.connect_all()
    mesh.write(one, "before the backup")
    mesh.settle(1)
    backup = one.database.image()
    mesh.write(one, "after the backup")
    mesh.settle(1)
    mesh.cut_all()
    one.database.restore(backup)
    one.start(mesh.now)
    mesh.now_s += 1
    mesh.write(one, "after the restore")
    assert one.texts(mesh.now) == ["before the backup", "after the restore"]
    mesh.connect_all()
    mesh.settle(20)
    mesh.assert_converged()
    assert two.texts(mesh.now) == ["before the backup", "after the backup", "after the restore"]
    assert two.view.counts("notes")["frozen"] == 0
    assert len(two.view.logs("notes")) == 2


def test_two_copies_of_a_home_write_side_by_side_without_a_fork() -> None:
    mesh = Mesh(3)
    one, two, _ = mesh.nodes
    mesh.write(one, "common")
    two.become(one.key, one.database.image(), two.random.randbytes(16), mesh.now)
    one.start(mesh.now)
    mesh.write(one, "original")
    mesh.write(two, "copy", author=one.id)
    mesh.connect_all()
    mesh.settle(20)
    mesh.assert_converged()
    assert sorted(mesh.nodes[2].texts(mesh.now)) == ["common", "copy", "original"]
    assert mesh.nodes[2].view.counts("notes")["frozen"] == 0


def test_a_new_log_names_the_head_of_the_one_before() -> None:
    mesh = Mesh(1)
    (one,) = mesh.nodes
    mesh.write(one, "first run")
    first = one.view.logs("notes")[0]
    one.start(mesh.now)
    mesh.now_s += 1
    mesh.write(one, "second run")
    second = one.store.own_log("notes", one.id, one.run)
    assert second is not None
    assert second.previous == Previous(first.epoch, 1, first.root)


def test_what_was_appended_before_a_crash_is_signed_by_the_next_run() -> None:
    mesh = Mesh(1)
    (one,) = mesh.nodes
    with one.database.transaction():
        one.engine.append("notes", one.id, tag="", text="cut off", originator="me", now=mesh.now)
    assert one.texts(mesh.now) == []
    one.start(mesh.now)
    with one.database.transaction():
        one.engine.flush(mesh.now)
    assert one.texts(mesh.now) == ["cut off"]


def test_an_author_we_do_not_admit_is_refused_and_then_not_spoken_of() -> None:
    """The two sides agree on what they share, so their digests are equal again."""
    mesh = Mesh(3)
    one, two, three = mesh.nodes
    two.policy.strangers.add(three.id)
    mesh.write(three, "from three")
    mesh.connect(one, three)
    mesh.settle(1)
    mesh.connect(one, two)
    mesh.write(one, "from one")
    mesh.settle(30)
    assert one.texts(mesh.now) == ["from three", "from one"]
    assert two.texts(mesh.now) == ["from one"]
    mesh.sent.clear()
    mesh.settle(13)
    assert (
        sum(len(body) for source, target, body in mesh.sent if {source, target} == {one.id, two.id})
        <= 100
    )
    two.policy.strangers.clear()
    mesh.perform(two, two.handle(PolicyChanged(), mesh.now))
    mesh.settle(30)
    assert two.texts(mesh.now) == ["from three", "from one"]


def test_a_journal_that_is_not_shared_is_neither_named_nor_sent() -> None:
    mesh = Mesh(2)
    one, two = mesh.nodes
    one.policy.barred.add((two.id, "secret"))
    mesh.perform(one, one.write("hidden", mesh.now, journal="secret"))
    mesh.connect_all()
    mesh.write(one, "open")
    mesh.settle(20)
    assert two.view.journals() == ["notes"]
    assert not any(b"secret" in body for _, _, body in mesh.sent)


def test_nothing_differs_and_one_new_entry_cost_what_is_promised() -> None:
    mesh = Mesh(2)
    mesh.connect_all()
    mesh.write(mesh.nodes[0], "x")
    mesh.settle(30)
    mesh.sent.clear()
    mesh.settle(13)
    assert 0 < sum(len(body) for *_, body in mesh.sent) <= 100
    mesh.sent.clear()
    mesh.write(mesh.nodes[0], "x" * 100)
    mesh.settle(0)
    entry = mesh.nodes[0].view.read("notes", now_ms=mesh.now.wall_ms)[-1].entry
    assert sum(len(body) for *_, body in mesh.sent) <= 400 + len(entry.encode())


def test_entries_ahead_of_our_clock_wait_outside_the_view() -> None:
    mesh = Mesh(2)
    one, two = mesh.nodes
    mesh.connect_all()
    mesh.settle(1)
    early = Moment(mesh.now_s, mesh.now.wall_ms + 10 * 60 * 1000)
    mesh.perform(one, one.write("from the future", early))
    mesh.settle(1)
    assert two.texts(mesh.now) == []
    mesh.write(two, "now")
    assert two.texts(mesh.now) == ["now"]
    later = Moment(0.0, early.wall_ms - 5 * 60 * 1000)
    assert two.texts(later) == ["now", "from the future"]


def test_an_agent_is_admitted_by_the_word_of_its_node() -> None:
    mesh = Mesh(3)
    one, two, three = mesh.nodes
    agent = one.key.derive_agent("scribe", 0)
    one.keys[agent.public_key] = Author(
        agent, network=NETWORK, nonce=lambda: one.random.randbytes(16)
    )
    for node in (two, three):
        node.policy.strangers.add(agent.public_key)
    attestation = attest(
        one.key,
        agent.public_key,
        name="scribe",
        wasm_cid=wasm_cid(bytes(32)),
        capabilities=["journal"],
        network=NETWORK,
        nonce=bytes(16),
        issued_ms=mesh.now.wall_ms,
        until_ms=mesh.now.wall_ms + 3_600_000,
    )
    with one.database.transaction():
        one.engine.introduce(agent.public_key, node=one.id, attestation=attestation)
    mesh.perform(one, one.write("by an agent", mesh.now, author=agent.public_key))
    mesh.connect(one, two)
    mesh.connect(two, three)
    mesh.settle(30)
    assert three.texts(mesh.now) == ["by an agent"]
    mesh.assert_converged()
    assert three.store.vouched_by(agent.public_key) == one.id


def test_an_agent_nobody_vouches_for_is_refused() -> None:
    mesh = Mesh(2)
    one, two = mesh.nodes
    agent = one.key.derive_agent("scribe", 0)
    one.keys[agent.public_key] = Author(agent, network=NETWORK, nonce=lambda: bytes(16))
    two.policy.strangers.add(agent.public_key)
    mesh.perform(one, one.write("by an agent", mesh.now, author=agent.public_key))
    mesh.connect_all()
    mesh.settle(30)
    assert two.texts(mesh.now) == []


def test_staged_entries_are_seen_by_their_task_only_and_committed_once() -> None:
    mesh = Mesh(1)
    (one,) = mesh.nodes
    task = bytes(32)

    def stage(text: str, number: int) -> str:
        return one.engine.stage(
            "notes",
            one.id,
            task_id=task,
            number=number,
            tag="",
            text=text,
            originator="me",
            now=mesh.now,
        )

    with one.database.transaction():
        first = stage("a", 1)
        assert stage("changed", 1) == first
        stage("b", 2)
    assert [staged.text for staged in one.engine.staged(task)] == ["a", "b"]
    assert one.view.staged("notes", task) == one.engine.staged(task)
    assert one.view.staged("other", task) == []
    assert one.texts(mesh.now) == []
    with one.database.transaction():
        assert one.engine.commit_staged(task, mesh.now)[0] == first
        assert one.engine.commit_staged(task, mesh.now) == []
        one.engine.flush(mesh.now)
    assert one.texts(mesh.now) == ["a", "b"]
    with one.database.transaction():
        stage("c", 3)
        one.engine.drop_staged(task)
    assert one.engine.staged(task) == []


def test_wrong_entries_under_a_good_signature_name_the_peer_and_store_nothing() -> None:
    mesh = Mesh(2)
    one, two = mesh.nodes
    mesh.connect_all()
    mesh.settle(1)
    for known in ("", "first"):
        if known:
            mesh.write(one, known)
            mesh.settle(0)
        mesh.perform(one, [])
        effects = one.write("second", mesh.now)
        (send,) = [effect for effect in effects if isinstance(effect, Send)]
        message = parse(send.body)
        assert isinstance(message, Entries)
        other = Entry(1, bytes(16), "o", "t", "forged").encode()
        forged = encode(replace(message, entries=(other,)))
        before = two.texts(mesh.now)
        mesh.perform(two, two.handle(Received(one.id, forged), mesh.now))
        mesh.settle(0)
        assert two.texts(mesh.now) == before
        mesh.perform(two, two.handle(Received(one.id, send.body), mesh.now))
        mesh.settle(0)
        assert two.texts(mesh.now)[-1] == "second"
        assert [e for e in two.effects if isinstance(e, Misbehaved)]
        two.effects.clear()


def test_wanting_the_same_again_and_again_is_not_served() -> None:
    mesh = Mesh(2)
    one, two = mesh.nodes
    mesh.connect_all()
    mesh.write(one, "x")
    mesh.settle(1)
    log = one.view.logs("notes")[0].log
    answers = [
        one.handle(Received(two.id, encode(Want(log, 0, False))), mesh.now) for _ in range(20)
    ]
    assert 0 < sum(map(len, answers)) <= SERVED_MAX


def test_the_view_is_read_page_by_page() -> None:
    mesh = Mesh(2)
    one, two = mesh.nodes
    for number in range(25):
        mesh.now_s += 0.001 * (number % 3)
        mesh.write(mesh.nodes[number % 2], str(number))
    mesh.connect_all()
    mesh.settle(5)
    now_ms = mesh.now.wall_ms
    whole = one.view.read("notes", now_ms=now_ms)
    pages: list[str] = []
    after = ""
    while page := two.view.read("notes", after=after, limit=4, now_ms=now_ms):
        pages += [seen.entry.id for seen in page]
        after = str(page[-1].cursor)
    assert pages == [seen.entry.id for seen in whole]
    assert len(pages) == 25
    assert (
        two.view.last("notes", limit=3, now_ms=now_ms) == two.view.read("notes", now_ms=now_ms)[-3:]
    )
    gone = str(replace(whole[3].cursor, log=bytes(16)))
    later = two.view.read("notes", after=gone, now_ms=now_ms)
    assert {seen.entry.id for seen in whole[4:]} <= {seen.entry.id for seen in later}


def test_a_node_that_was_told_there_is_room_again_makes_up_for_what_was_refused() -> None:
    mesh = Mesh(2)
    one, two = mesh.nodes
    mesh.connect_all()
    mesh.settle(1)
    one.write("lost on the way", mesh.now)
    assert one.engine.deadline > mesh.now_s + SOON_S * 2
    one.handle(LinkRoom(two.id), mesh.now)
    mesh.settle(SOON_S * 2)
    assert two.texts(mesh.now) == ["lost on the way"]


def test_an_epoch_beyond_the_limit_is_refused_with_a_reason() -> None:
    mesh = Mesh(1)
    (one,) = mesh.nodes
    with one.database.transaction():
        for number in range(EPOCHS_PER_AUTHOR_MAX):
            one.store.create(LogName("notes", one.id, number.to_bytes(16)), None, None)
    with pytest.raises(TooManyEpochs), one.database.transaction():
        one.engine.append("notes", one.id, tag="", text="", originator="", now=mesh.now)


def test_what_is_too_large_or_misnamed_is_refused_at_once() -> None:
    mesh = Mesh(1)
    (one,) = mesh.nodes
    with one.database.transaction():
        for journal, text, error in (
            ("notes", "x" * 16_384, EntryTooLarge),
            ("no/slash", "x", MalformedJournalName),
            ("notes", "\ud800", MalformedEntry),
        ):
            with pytest.raises(error):
                one.engine.append(journal, one.id, tag="", text=text, originator="", now=mesh.now)
