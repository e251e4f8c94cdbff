"""A clock that is an hour off and back: both sides learn why, and nothing is lost or done twice."""

import sys
from pathlib import Path

from testnet.agents import agent, mesh_journal
from tests.testnet.pair import Pair, conserved, wait_until

SHIFTED = Path(__file__).with_name("shifted_clock.py")
SCRIBE = mesh_journal("scribe") + agent("scribe", capabilities=["journal"])
HOUR_S = 3_600
LIMIT_S = 40.0
MANY = 1_000


def test_a_sender_an_hour_ahead_learns_why_and_is_heard_once_its_clock_is_right(
    tmp_path: Path,
) -> None:
    pair, offset = _pair_with_a_shifted(tmp_path)
    with pair.running():
        _be_off(offset, HOUR_S)
        a, b = pair.a.node.client, pair.b.node.client
        task = a.task_send("b/scribe", "from the future")["id"]
        wait_until(lambda: any("clock" in why for why in a.status()["refusals"]), LIMIT_S, "word")
        assert any("60 min ahead" in why for why in a.status()["refusals"])
        assert any("60 min ahead" in why for why in b.status()["refusals"])
        told = a.why(task)
        assert any("60 min ahead" in line for line in told["story"])
        assert "clocks" in told["hint"]
        assert conserved(a.status()["tasks"])
        assert a.status()["tasks"]["queued"] == 1

        _be_off(offset, 0)
        again = pair.a.node.client.task_send("b/scribe", "in time")["id"]
        wait_until(lambda: a.task_get(again)["final"], LIMIT_S, "end of a task in time")
        assert a.task_get(again)["state"] == "TASK_STATE_COMPLETED"
        assert conserved(a.status()["tasks"])


def test_a_receiver_an_hour_off_and_back_does_each_task_once(tmp_path: Path) -> None:
    pair, offset = _pair_with_a_shifted(tmp_path, shifted_hosts=True)
    with pair.running():
        a, b = pair.a.node.client, pair.b.node.client
        ids: list[str] = []
        for shift in (0, HOUR_S, 0, -HOUR_S, 0):
            _be_off(offset, shift)
            ids.append(b.task_send("a/scribe", f"task {len(ids)}")["id"])
            if shift >= 0:  # for a clock that is behind, the task is not there yet
                wait_until(lambda: _stored(pair) == len(ids), LIMIT_S, "entry")
        # The result that is dated ahead comes when its time has come; both sides know why.
        in_time = [id_ for number, id_ in enumerate(ids) if number != 1]
        wait_until(lambda: all(b.task_get(id_)["final"] for id_ in in_time), LIMIT_S, "results")
        assert {b.task_get(id_)["state"] for id_ in in_time} == {"TASK_STATE_COMPLETED"}
        wait_until(lambda: any("clock" in why for why in a.status()["refusals"]), LIMIT_S, "word")
        assert any("60 min ahead" in why for why in b.status()["refusals"])
        assert conserved(b.status()["tasks"])
        # Likewise the entry that was written then is stored, and out of the view until then.
        assert _stored(pair) == len(ids)
        shown = {e["task_id"] for e in a.journal_read("scribe", limit=MANY)["entries"]}
        assert shown == set(in_time)
        assert a.fsck()["ok"]


def _stored(pair: Pair) -> int:
    return sum(journal["entries"] for journal in pair.a.node.client.journals())


def _pair_with_a_shifted(tmp_path: Path, *, shifted_hosts: bool = False) -> tuple[Pair, Path]:
    offset = tmp_path / "offset"
    _be_off(offset, 0)
    pair = Pair.create(tmp_path, of_a=SCRIBE if shifted_hosts else "", of_b=SCRIBE)
    pair.a.node.command = (sys.executable, str(SHIFTED), str(offset))
    return pair, offset


def _be_off(offset: Path, seconds: int) -> None:
    """Move the clock of node A, which may be running."""
    beside = offset.with_suffix(".new")
    beside.write_text(str(seconds))
    beside.replace(offset)
