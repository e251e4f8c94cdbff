"""A peer that may sync can waste its own bandwidth, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity import cbor
from sync import merkle
from sync.checkpoint import Checkpoint
from sync.journal import (
    BATCH_BYTES_MAX,
    BATCH_ENTRIES_MAX,
    EPOCHS_PER_AUTHOR_MAX,
    SIZE_MAX,
    Entry,
    LogName,
)
from sync.journal_errors import MalformedMessage
from sync.proto.journal_events import Misbehaved, Received, Send
from sync.proto.journal_link import LOOK_ROWS, LOOKED_MAX, PROBES_MAX
from sync.proto.journal_messages import (
    ATTESTATION_BYTES_MAX,
    SIGNED_BYTES_MAX,
    Digest,
    Entries,
    Have,
    Leaf,
    Message,
    Names,
    Probe,
    Row,
    encode,
    parse,
)
from sync.proto.journal_wants import ASKED_MAX
from tests.sync.journal_mesh import Mesh, Node


def linked() -> tuple[Mesh, Node, Node]:
    mesh = Mesh(2)
    one, two = mesh.nodes
    mesh.connect_all()
    mesh.write(one, "one")
    mesh.now_s += 0.01
    mesh.write(two, "two")
    mesh.settle(1)
    return mesh, one, two


def tell(mesh: Mesh, target: Node, source: Node, message: Message | bytes) -> list[Any]:
    body = message if type(message) is bytes else encode(message)
    return target.handle(Received(source.id, body), mesh.now)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_change_of_a_real_message_stores_nothing_false(data: st.DataObject) -> None:
    mesh, one, two = linked()
    mesh.write(one, "last")
    body = data.draw(st.sampled_from([body for source, _, body in mesh.sent if source == one.id]))
    at = data.draw(st.integers(0, len(body) - 1))
    changed = body[:at] + data.draw(st.binary(min_size=1, max_size=2)) + body[at + 1 :]
    mesh.queue.clear()
    tell(mesh, two, one, changed)
    assert set(two.texts(mesh.now)) <= {"one", "two", "last"}
    assert two.view.counts("notes")["frozen"] == 0
    two.effects.clear()
    mesh.settle(30)
    mesh.cut_all()
    mesh.connect_all()
    mesh.settle(30)
    mesh.assert_converged()


@given(st.binary(max_size=100))
def test_any_bytes_end_the_link_or_do_nothing(body: bytes) -> None:
    mesh, one, two = linked()
    before = two.database.image()
    effects = tell(mesh, two, one, body)
    assert two.database.image() == before
    assert all(isinstance(effect, Misbehaved | Send) for effect in effects)


def test_every_changed_field_of_entries_is_refused() -> None:
    mesh, one, two = linked()
    effects = one.write("new", mesh.now)
    (send,) = [effect for effect in effects if isinstance(effect, Send)]
    message = parse(send.body)
    assert isinstance(message, Entries)
    entry = Entry.parse(message.entries[0])
    stranger = LogName("notes", two.id, bytes(16)).id
    assert message.checkpoint is not None
    wrong: list[Message] = [
        replace(message, log=stranger),
        replace(message, entries=()),
        replace(message, entries=message.entries * 2),
        replace(message, start=0),
        replace(message, start=message.start + 1),
        replace(message, checkpoint=message.checkpoint[:-1] + b"\x00"),
        replace(message, checkpoint=b"\xa0"),
        replace(message, proof=message.checkpoint, checkpoint=None),
        replace(message, attestation=message.checkpoint),
    ]
    for field, value in {
        "time": 1,
        "nonce": bytes(16),
        "tag": "",
        "text": "",
        "originator": "",
    }.items():
        changed = replace(entry, **{field: value})  # type: ignore[arg-type]
        wrong.append(replace(message, entries=(changed.encode(),)))
    for case in wrong:
        tell(mesh, two, one, encode(case))
        assert two.texts(mesh.now) == ["one", "two"], case
    tell(mesh, two, one, send.body)
    assert two.texts(mesh.now) == ["one", "two", "new"]


def test_an_author_that_signs_nonsense_stops_only_its_own_log() -> None:
    mesh, one, two = linked()
    nonsense = cbor.dumps({1: "not an entry"})
    name = LogName("notes", one.id, b"\x01" * 16)
    leaf = merkle.leaf_hash(nonsense)
    signed = Checkpoint(name, 1, leaf).sealed(one.author, mesh.now)
    effects = tell(mesh, two, one, Entries(name.id, 0, (nonsense,), signed.raw, None, None))
    assert [type(effect) for effect in effects] == [Misbehaved]
    mesh.write(one, "still good")
    mesh.settle(1)
    assert two.texts(mesh.now) == ["one", "two", "still good"]


def test_sizes_that_nobody_has_cost_a_few_requests() -> None:
    mesh, one, two = linked()
    rows = tuple(Row(number.to_bytes(16), 1 << 40, bytes(8)) for number in range(1_000))
    effects = tell(mesh, two, one, Have(rows, None))
    assert len([effect for effect in effects if isinstance(effect, Send)]) == ASKED_MAX
    mesh.queue.clear()
    mesh.settle(30)
    mesh.write(one, "good")
    mesh.settle(1)
    assert "good" in two.texts(mesh.now)


def test_leaves_nobody_asked_for_are_ignored_and_probes_are_rationed() -> None:
    mesh, one, two = linked()
    log = next(log for log in two.view.logs("notes") if log.author == one.id)
    held = two.store.log(log.log)
    assert held is not None
    over = two.store.checkpoint_over(held, 0)
    assert over is not None
    assert tell(mesh, two, one, Leaf(over.raw, 0, bytes(32), ())) == []
    answers = [tell(mesh, two, one, Probe(log.log, 0)) for _ in range(PROBES_MAX + 20)]
    assert sum(map(len, answers)) == PROBES_MAX
    assert tell(mesh, two, one, Probe(log.log, 7)) == []


def test_an_answer_that_does_not_lead_to_its_root_ends_the_link() -> None:
    mesh, one, two = linked()
    log = next(log for log in two.view.logs("notes") if log.author == one.id)
    held = two.store.log(log.log)
    assert held is not None
    over = two.store.checkpoint_over(held, 0)
    assert over is not None
    row = Row(log.log, 1, b"\x00" * 8)
    (probe,) = [parse(effect.body) for effect in tell(mesh, two, one, Have((row,), None))]
    assert probe == Probe(log.log, 0)
    (effect,) = tell(mesh, two, one, Leaf(over.raw, 0, bytes(32), ()))
    assert isinstance(effect, Misbehaved)


def test_more_epochs_than_are_kept_are_not_kept() -> None:
    mesh, one, two = linked()
    with two.database.transaction():
        for number in range(EPOCHS_PER_AUTHOR_MAX):
            two.store.create(LogName("notes", one.id, number.to_bytes(16)), None, None)
    one.start(mesh.now)
    mesh.write(one, "one too many")
    mesh.settle(1)
    assert "one too many" not in two.texts(mesh.now)


def test_names_are_bounded_and_a_stranger_to_a_journal_learns_nothing() -> None:
    mesh, one, two = linked()
    two.policy.barred.add((one.id, "secret"))
    tell(mesh, two, one, Names(("notes", "secret")))
    mesh.perform(two, two.write("hidden", mesh.now, journal="secret"))
    assert not any(b"secret" in body for source, _, body in mesh.sent if source == two.id)
    many = cbor.dumps({0: 0, 1: [f"n{number}" for number in range(129)]})
    assert isinstance(tell(mesh, two, one, many)[0], Misbehaved)


@pytest.mark.parametrize(
    "message",
    [Digest(bytes(32)), Names(("notes",)), Have((), (bytes(16), b"\xff" * 16))],
    ids=["digest", "names", "have"],
)
def test_what_makes_us_look_at_everything_does_so_a_few_times(
    message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh, one, two = linked()
    looks = 0
    states = two.store.states

    def counted(*bounds: Any) -> Any:
        nonlocal looks
        looks += 1
        return states(*bounds)

    monkeypatch.setattr(two.store, "states", counted)
    answers = [tell(mesh, two, one, message) for _ in range(2_000)]
    most = LOOKED_MAX // LOOK_ROWS + 1
    assert looks <= most
    assert sum(map(bool, answers)) <= most
    mesh.write(one, "later")
    mesh.settle(30)
    mesh.assert_converged()
    assert tell(mesh, two, one, message), "heard again in the next period"


def test_names_beyond_the_budget_are_taken_up_later() -> None:
    mesh, one, two = linked()
    for _ in range(2_000):
        tell(mesh, two, one, Digest(bytes(32)))
    tell(mesh, two, one, Names(("diary", "notes")))
    two.write("private no more", mesh.now, journal="diary")
    mesh.settle(30)
    assert one.texts(mesh.now, "diary") == ["private no more"]


def test_a_log_we_do_not_know_is_not_taken_from_who_may_not_share_its_journal() -> None:
    mesh, one, two = linked()
    tell(mesh, two, one, Names(("notes",)))
    before = two.view.journals()
    tell(mesh, two, one, Names(()))
    effects = one.write("smuggled", mesh.now, journal="diary")
    bodies = [effect.body for effect in effects if isinstance(effect, Send)]
    log = one.store.own_log("diary", one.id, one.run)
    assert log is not None
    stretch = one.store.stretch(log, 0)
    assert stretch is not None
    entries = Entries(log.id, 0, stretch.entries, stretch.checkpoint, None, None)
    for body in (*bodies, encode(entries)):
        tell(mesh, two, one, body)
    assert two.view.journals() == before


def test_the_fullest_entries_with_proof_and_attestation_fit_one_message() -> None:
    """Else a peer's long attestation would be our own crash when we pass its entries on."""
    entry = BATCH_BYTES_MAX // BATCH_ENTRIES_MAX
    fullest = Entries(
        bytes(16),
        SIZE_MAX - BATCH_ENTRIES_MAX,
        tuple(bytes(entry) for _ in range(BATCH_ENTRIES_MAX)),
        None,
        bytes(SIGNED_BYTES_MAX),
        bytes(ATTESTATION_BYTES_MAX),
    )
    assert parse(encode(fullest)) == fullest


def test_a_longer_attestation_is_nonsense() -> None:
    longer = Entries(bytes(16), 0, (b"x",), b"c", None, bytes(ATTESTATION_BYTES_MAX + 1))
    with pytest.raises(MalformedMessage, match="2,048"):
        parse(encode(longer))
