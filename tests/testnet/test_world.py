"""Whatever the network, the power and the clocks do, the promises are kept: seed by seed."""

import pytest

from testnet.world.command import replay
from testnet.world.oracle import Broken
from testnet.world.world import World

NODES = 5
SEEDS = range(24)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_is_kept(seed: int) -> None:
    """Nothing lost, nothing twice, honest nodes agree, nobody frozen: `testnet.world.oracle`."""
    world = World(seed, nodes=NODES)
    try:
        world.run()
    except Broken as broken:
        last = "\n".join(world.trace.last(20))
        pytest.fail(f"{broken}\n{last}\nreplay: {replay(seed, NODES)}")
