"""While the disk takes nothing: results are kept, links are owed, trust comes into force later."""

from pathlib import Path

import pytest
import trio
import trio.testing

from akshi_mesh.attempts import Attempts
from akshi_mesh.stamps import Stamps, StampUnsaved
from akshi_mesh.traces import Traces
from akshi_mesh.trust_book import TrustBook
from identity.files import create_node_key
from sandbox import ports
from sandbox.host.databases import Databases
from sync.errors import StoreFull
from sync.proto.messages import ENVELOPE
from sync.proto.task_events import StartAttempt
from tests.faults.test_each_write import ALICE, BOB, NOW, Node, offer

FINISHED = "SELECT count(*) FROM tasks_received WHERE finished_ms IS NOT NULL"


class OneAgent:
    """A supervisor whose agent answers, or fails as long as the disk does."""

    def __init__(self, node: Node, *, fails_with_the_disk: bool = False) -> None:
        self._node = node
        self._fails = fails_with_the_disk
        self.runs = 0

    async def run_task(self, task: ports.TaskRun) -> ports.Outcome:
        self.runs += 1
        await trio.sleep(0.1)
        if self._fails:
            try:
                self._node.mesh.touch()
            except StoreFull:
                return ports.Failed("guest-error", "unavailable")
        return ports.Completed('[{"text":"done"}]')

    def cancel(self, task_id: bytes) -> bool:
        return False


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path / "node.db", BOB)
    node.mesh.link_up(ALICE.public_key)
    node.mesh.message(ALICE.public_key, ENVELOPE, offer())
    return node


def attempt_of(node: Node) -> StartAttempt:
    (task_id,) = node.heard.started
    return StartAttempt(task_id, "echo", ALICE.public_key, (), "{}", NOW.wall_ms + 60_000)


@pytest.mark.parametrize("fails_with_the_disk", [False, True])
async def test_a_finished_attempt_is_kept_until_the_disk_takes_it(
    node: Node,
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    fails_with_the_disk: bool,
) -> None:
    agent = OneAgent(node, fails_with_the_disk=fails_with_the_disk)
    databases, traces = Databases(tmp_path / "agents"), Traces(node.database, are_kept=False)
    attempts = Attempts(node.mesh, agent, databases, traces, lambda: NOW)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        await nursery.start(attempts.run)
        node.database.is_full = True
        attempts.start(attempt_of(node))
        attempts.start(attempt_of(node))  # as an engine does that begins it again
        await trio.sleep(10.0)
        assert node.database.value(FINISHED) == 0
        node.database.is_full = False
        await trio.sleep(3.0)
        assert node.database.value(FINISHED) == 1
        nursery.cancel_scope.cancel()
    assert agent.runs == (2 if fails_with_the_disk else 1)
    node.database.close()


def test_no_stamp_leaves_and_none_is_accepted_unsaved(node: Node) -> None:
    stamps = Stamps(node.database, clock_us=lambda: 1_000)
    node.database.is_full = True
    with pytest.raises(StampUnsaved) as unsaved:
        stamps.next_stamp(ALICE.public_key, above=0)
    assert unsaved.value.hint == StoreFull.hint
    assert not stamps.accept(ALICE.public_key, 5)
    node.database.is_full = False
    assert stamps.next_stamp(ALICE.public_key, above=0) == 1_000
    assert stamps.accept(ALICE.public_key, 5)
    node.database.close()


def test_trust_that_cannot_be_written_does_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_node_key(tmp_path / "home")
    book = TrustBook(tmp_path / "home", now_ms=lambda: NOW.wall_ms)
    heard: list[object] = []
    book.listen(lambda before, after: heard.append(after))

    def full(home: Path, store: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("akshi_mesh.trust_book.save_trust", full)
    with pytest.raises(StoreFull, match="no space left"):
        book.replace(book.store.add(ALICE.public_key))
    assert book.lookup(ALICE.public_key) is None
    assert heard == []
