"""Each write of an act fails once: nothing is said, the act is repeated, and fsck is content."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from akshi_mesh.fsck import check_store
from akshi_mesh.ground import SCHEMAS
from identity.keys import SigningKey
from sync.author import Author
from sync.clock import Moment
from sync.errors import StoreFull
from sync.mesh import Mesh
from sync.proto.journals import Journals
from sync.proto.messages import ENVELOPE
from sync.proto.task_events import AgentReady, AttemptEnded
from sync.proto.task_messages import text_parts
from sync.proto.task_states import Completed
from sync.proto.tasks import Tasks
from sync.proto.tasks_sending import Order
from sync.store.database import Database, Rows
from sync.store.journals import Journals as JournalTables
from sync.store.journals_view import View
from sync.store.tasks import TaskTables
from tests.sync.test_mesh import Everything, Heard

NETWORK = "test"
NOW = Moment(mono_s=100.0, wall_ms=1_800_000_000_000)
ALICE, BOB = (SigningKey.from_seed(letter * 32) for letter in (b"a", b"b"))
WRITES_MAX = 200
_WRITES = ("INSERT", "UPDATE", "DELETE", "COMMIT", "RELEASE")


class FailingDatabase(Database):
    """Refuses one write; `undoes`: as SQLite when it takes back the whole transaction with it."""

    writes_left: float = float("inf")
    undoes = False
    is_full = False  # then every write is refused

    def execute(self, sql: str, params: Any = ()) -> Rows:
        if sql.lstrip().startswith(_WRITES):
            self.writes_left -= 1
            if self.writes_left == 0 or self.is_full:
                self.failures += 1
                if self.undoes and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._failure = StoreFull(self.path, "database or disk is full")
                raise self._failure
        return super().execute(sql, params)


class Node:
    """A node without links or agents, on a disk that fails when it is told to."""

    def __init__(self, path: Path, key: SigningKey) -> None:
        self.path, self.key, self.heard = path, key, Heard()
        self.database = FailingDatabase.open(str(path), schemas=SCHEMAS)
        dice = random.Random(path.name)
        author = Author(key, network=NETWORK, nonce=lambda: dice.randbytes(16))
        policy = Everything()
        tasks = Tasks(store=TaskTables(self.database), author=author, policy=policy, random=dice)
        with self.database.transaction():
            journals = Journals(
                JournalTables(self.database, network=NETWORK),
                me=key.public_key,
                network=NETWORK,
                run=dice.randbytes(16),
                policy=policy,
                authors={key.public_key: author}.get,
                random=dice,
                now=NOW,
            )
        self.mesh = Mesh(
            me=key.public_key,
            network=NETWORK,
            epoch=dice.randbytes(16),
            database=self.database,
            tasks=tasks,
            journals=journals,
            voice=self.heard,
            clock=lambda: NOW,
        )
        self.mesh.tell_tasks(AgentReady("echo"))

    def fails(self, act: Callable[[Self], None], write: int, *, undoes: bool) -> bool:
        """Whether `act` has that many writes; the last of them failed then."""
        self.database.writes_left, self.database.undoes = write, undoes
        try:
            act(self)
        except StoreFull:
            return True
        finally:
            self.database.writes_left = float("inf")
        return False

    def somebody_else_commits(self) -> None:
        """A handshake stamp, an audit record: transactions that are not the mesh's."""
        with self.database.transaction():
            self.database.touch()

    def texts(self) -> list[str]:
        seen = View(self.database).read("notes", after="", limit=1_000, now_ms=NOW.wall_ms)
        return [one.entry.text for one in seen]

    def append(self) -> None:
        mesh = self.mesh
        with mesh.transaction():
            mesh.journals.append("notes", mesh.me, tag="", text="entry", originator="me", now=NOW)
            mesh.say(mesh.journals.flush(NOW))


def offer() -> bytes:
    """The envelope of a task that Alice sends to Bob."""
    database = Database.open(":memory:", schemas=SCHEMAS)
    dice = random.Random(1)
    author = Author(ALICE, network=NETWORK, nonce=lambda: dice.randbytes(16))
    tasks = Tasks(store=TaskTables(database), author=author, policy=Everything(), random=dice)
    with database.transaction():
        tasks.load(NOW)
        order = Order(peer=BOB.public_key, agent="echo", parts=text_parts("hello"))
        tasks.submit(order, NOW)
        (row,) = database.rows("SELECT data FROM tasks_outbox")
    database.close()
    data: bytes = row[0]
    return data


@pytest.mark.parametrize("undoes", [False, True])
def test_each_write_of_an_append(tmp_path: Path, undoes: bool) -> None:
    for write in range(1, WRITES_MAX):
        node = Node(tmp_path / f"{write}.db", BOB)
        failed = node.fails(Node.append, write, undoes=undoes)
        assert node.texts() == ([] if failed else ["entry"])
        node.somebody_else_commits()
        if failed:
            node.append()
        _restarts_well(node, ["entry"])
        if not failed:
            assert write > 3, "an entry, a log, a checkpoint"
            return
    raise AssertionError("an append has an end")


@pytest.mark.parametrize("undoes", [False, True])
def test_each_write_of_accepting_a_task(tmp_path: Path, undoes: bool) -> None:
    """What failed was not acknowledged; the copy that follows is accepted, begun and told of."""
    envelope = offer()

    def take_in(node: Node) -> None:
        node.mesh.message(ALICE.public_key, ENVELOPE, envelope)
        node.mesh.flush()

    for write in range(1, WRITES_MAX):
        node = Node(tmp_path / f"{write}.db", BOB)
        node.mesh.link_up(ALICE.public_key)
        node.heard.sent.clear()
        failed = node.fails(take_in, write, undoes=undoes)
        if failed and not node.heard.started:
            assert node.heard.sent == [], "nothing is said of what did not commit"
        node.somebody_else_commits()
        take_in(node)
        assert len(node.heard.started) == 1, "begun, and once"
        assert node.database.value("SELECT count(*) FROM tasks_received") == 1
        _restarts_well(node, [])
        if not failed:
            assert write > 2, "a row and an account"
            return
    raise AssertionError("an acceptance has an end")


@pytest.mark.parametrize("undoes", [False, True])
def test_each_write_of_a_tasks_end(tmp_path: Path, undoes: bool) -> None:
    """Result and entries are kept together or not at all, and tried again."""
    envelope = offer()

    def end(node: Node) -> None:
        mesh = node.mesh
        (task_id,) = node.heard.started
        with mesh.transaction():
            mesh.journals.commit_staged(task_id, NOW)
            mesh.say(mesh.journals.flush(NOW))
            outcome = Completed(text_parts("done"))
            mesh.say(mesh.tasks.handle(AttemptEnded(task_id, outcome), NOW))

    for write in range(1, WRITES_MAX):
        node = Node(tmp_path / f"{write}.db", BOB)
        node.mesh.link_up(ALICE.public_key)
        node.mesh.message(ALICE.public_key, ENVELOPE, envelope)
        (task_id,) = node.heard.started
        with node.mesh.transaction():
            node.mesh.journals.stage(
                "notes", BOB.public_key, task_id=task_id, number=0, tag="", text="staged",
                originator="me", now=NOW,
            )  # fmt: skip
        failed = node.fails(end, write, undoes=undoes)
        finished = "SELECT count(*) FROM tasks_received WHERE finished_ms IS NOT NULL"
        assert node.database.value(finished) == (0 if failed else 1)
        assert node.texts() == ([] if failed else ["staged"])
        if failed:
            node.somebody_else_commits()
            end(node)
            # The engine has begun it again meanwhile; whoever runs attempts knows better.
            assert set(node.heard.started) == {task_id}
        assert node.database.value(finished) == 1
        _restarts_well(node, ["staged"])
        if not failed:
            return
    raise AssertionError("an end has an end")


def _restarts_well(node: Node, texts: list[str]) -> None:
    node.database.close()
    report = check_store(node.path, network=NETWORK)
    assert report["ok"], report
    again = Node(node.path, node.key)
    assert again.texts() == texts
    again.database.close()
