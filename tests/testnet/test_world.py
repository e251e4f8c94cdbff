"""Whatever the network, the power and the clocks do, the promises are kept: seed by seed."""

from dataclasses import replace

import pytest

from testnet.world.command import BAD_NEWS, main, replay
from testnet.world.oracle import Oracle
from testnet.world.plan import Plan
from testnet.world.world import Report, World

NODES = 5
SEEDS = range(20)
FORKED_SEEDS = range(20, 24)


def live(seed: int, *, forked: bool = False) -> Report:
    world = World(seed, nodes=NODES, plan=replace(Plan.of(seed), forked=forked))
    try:
        return world.run()
    except AssertionError as broken:
        last = "\n".join(world.trace.last(20))
        pytest.fail(f"{broken}\n{last}\nreplay: {replay(seed, NODES, forked=forked)}")


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_is_kept(seed: int) -> None:
    """Nothing lost, nothing twice, honest nodes agree, nobody frozen: `testnet.world.oracle`."""
    report = live(seed)
    assert report.works > 0
    assert report.crashes > 0


@pytest.mark.parametrize("seed", FORKED_SEEDS)
def test_a_forked_author_is_frozen_by_all_and_still_a_peer(seed: int) -> None:
    """With proof, at the same entry on every honest node; links and tasks go on."""
    live(seed, forked=True)


def test_a_seed_is_a_world() -> None:
    """The same number, the same events to the last; another number, other events."""
    one, same, other = World(3, nodes=2).run(), World(3, nodes=2).run(), World(9, nodes=2).run()
    assert one == same
    assert one.digest != other.digest


def test_a_kept_world_is_good_news(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "6", "--nodes", "2"]) == 0
    assert capsys.readouterr().out.startswith("kept: seed=6 nodes=2 plan=crashes ")


def test_a_broken_world_prints_its_last_events_and_how_to_replay_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Oracle, "unsettled", lambda self: "somebody waits")
    assert main(["--seed", "6", "--nodes", "2"]) == BAD_NEWS
    *trace, broken, again = capsys.readouterr().out.splitlines()
    assert any("node-1" in line for line in trace)
    assert broken == "broken: does not come to rest: somebody waits"
    assert again == "replay: python -m testnet sim --seed 6 --nodes 2"
