"""Promise 3 at every place: whatever a death cuts off, the task is done, and done once."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import apsw
import pytest

from akshi_mesh.api.errors import Unavailable
from testnet.agents import agent, mesh_journal
from tests.testnet.pair import GONE_S, Pair, Site, wait_until

CALLER = Path(__file__).parent.parent / "agents" / "caller.wasm"
DIES_AT = Path(__file__).with_name("dies_at.py")
DONE_S = 30.0
# A task has some 60 on a quick machine, and more where the sender asks more often before it is
# done: each question is a place of its own. Beyond this the last one never comes.
PLACES_MAX = 400
PLACES_MIN = {"a": 10, "b": 25}  # fewer means that the places are no longer where they were
ALL = 1_000


@dataclass(frozen=True, slots=True)
class Order:
    """The file that names the places of earlier deaths, and the one that tells the next."""

    path: Path

    @property
    def died(self) -> Path:
        return self.path.with_suffix(".died")

    def give(self, places: list[str]) -> None:
        self.died.unlink(missing_ok=True)
        self.path.write_text("".join(f"{place}\n" for place in places))

    def withdraw(self) -> str | None:
        """Nobody dies any more; where the node did, or None."""
        self.path.unlink(missing_ok=True)
        return self.died.read_text() if self.died.exists() else None


@pytest.mark.parametrize("victim", ["a", "b"])
def test_a_death_at_any_place_of_a_task_changes_nothing(victim: str, tmp_path: Path) -> None:
    """Each task dies with its node at another place, until one gets through unharmed."""
    scribe = mesh_journal("scribe") + agent("scribe", capabilities=["journal"])
    pair = Pair.create(tmp_path, of_a="", of_b=scribe)
    site = pair.a if victim == "a" else pair.b
    order = Order(tmp_path / "order")
    site.node.command = (sys.executable, str(DIES_AT), str(order.path))
    places: list[str] = []
    with pair.running():
        while (place := _die(places, order, pair, _is_done)) is not None:
            places.append(place)
            assert len(places) < PLACES_MAX
        print(f"died at {len(places)} places:", *places, sep="\n  ")

        entries = pair.b.node.client.journal_read("scribe", limit=ALL)["entries"]
        assert [entry["text"] for entry in entries] == [_text(n) for n in range(len(places) + 1)]
        assert len({entry["task_id"] for entry in entries}) == len(entries)
        tasks = pair.a.node.client.status()["tasks"]
        assert tasks["acknowledged"] == tasks["sent"] == len(entries)
        assert pair.a.node.client.fsck()["ok"]
        assert pair.b.node.client.fsck()["ok"]
    assert len(places) >= PLACES_MIN[victim]
    wait_until(lambda: not pair.survivors(), GONE_S, "end of the orphans")


def test_a_death_at_any_place_changes_a_database_once(tmp_path: Path) -> None:
    """Two files commit, one after the other, and the row in between tells a new start."""
    ledger = (
        f'[[agents]]\nname = "ledger"\nwasm_path = "{CALLER}"\n'
        "[agents.capabilities]\ndatabase = true\njournal = true\n"
    )
    pair = Pair.create(tmp_path, of_a="", of_b=mesh_journal("ledger") + ledger)
    order = Order(tmp_path / "order")
    pair.b.node.command = (sys.executable, str(DIES_AT), str(order.path))
    places: list[str] = []
    with pair.running():
        is_done = partial(_is_done, to="b/ledger", say=_calls)
        while (place := _die(places, order, pair, is_done)) is not None:
            places.append(place)
            assert len(places) < PLACES_MAX
        print(f"died at {len(places)} places:", *places, sep="\n  ")

        texts = [_text(n) for n in range(len(places) + 1)]
        entries = pair.b.node.client.journal_read("ledger", limit=ALL)["entries"]
        assert [entry["text"] for entry in entries] == texts
    database = apsw.Connection(str(pair.b.node.home.databases_path / "ledger.db"))
    found = [text for (text,) in database.execute("SELECT text FROM t ORDER BY rowid")]
    left = database.execute("SELECT count(*) FROM akshi_ended").fetchall()
    database.close()
    assert found == texts
    assert left == [(0,)]
    assert any("Databases.commit" in place for place in places)
    assert any(place.startswith("COMMIT") and "Databases.commit" in place for place in places)
    assert any("GuestSql.forget" in place for place in places)


def _calls(text: str) -> str:
    """What the agent is to do: a row, an entry, and a look at both."""
    return json.dumps(
        [
            ["database.execute", "CREATE TABLE IF NOT EXISTS t (text TEXT)", ""],
            ["database.execute", "INSERT INTO t VALUES (?)", json.dumps([text])],
            ["journal.append", "t", text],
            ["database.query", "SELECT count(*) FROM t WHERE text = ?", json.dumps([text])],
        ]
    )


def _die(
    places: list[str], order: Order, pair: Pair, is_done: Callable[[Site, int], bool]
) -> str | None:
    """Where the next task was cut off, which is done after all; None if there was no new place."""
    number = len(places)
    order.give(places)
    wait_until(lambda: order.died.exists() or is_done(pair.a, number), DONE_S, "death")
    place = order.withdraw()
    if place is not None:
        wait_until(lambda: is_done(pair.a, number), DONE_S, f"end after a death at {place}")
    return place


def _is_done(
    site: Site, number: int, *, to: str = "b/scribe", say: Callable[[str], str] = str
) -> bool:
    """Send the task, or ask for it: the same message id is the same task."""
    text = _text(number)
    try:
        task = site.node.client.task_send(to, say(text), message_id=text)
    except Unavailable:
        return False
    assert task["state"] in {"TASK_STATE_SUBMITTED", "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"}
    return task["final"]


def _text(number: int) -> str:
    return f"task {number}"
