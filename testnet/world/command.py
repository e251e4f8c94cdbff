"""``python -m testnet sim``: run one world, or some, and say what happened."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

from testnet.world.oracle import Broken
from testnet.world.plan import Plan
from testnet.world.world import World

BAD_NEWS = 5
LINES = 60


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 if every promise was kept, 5 if not."""
    parser = argparse.ArgumentParser(prog="python -m testnet sim")
    parser.add_argument("--seed", type=int, default=0, help="decides everything")
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="run so many, from --seed on")
    parser.add_argument("--forked", action="store_true", help="one author signs two histories")
    parser.add_argument("--trace", type=int, default=0, metavar="N", help="print the last N lines")
    parser.add_argument("--about", default="", metavar="TEXT", help="only lines that hold TEXT")
    typed = parser.parse_args(arguments)
    for seed in range(typed.seed, typed.seed + typed.seeds):
        plan = Plan.of(seed)
        if typed.forked:
            plan = replace(plan, forked=True)
        world = World(seed, nodes=typed.nodes, plan=plan)
        began_s = time.perf_counter()
        try:
            report = world.run()
        except (Broken, AssertionError) as broken:
            print("\n".join(world.trace.last(typed.trace or LINES, about=typed.about)))
            print(f"broken: {broken}")
            print(f"replay: {replay(seed, typed.nodes, forked=typed.forked)}")
            return BAD_NEWS
        if typed.trace:
            print("\n".join(world.trace.last(typed.trace, about=typed.about)))
        facts = " ".join(f"{name}={value}" for name, value in asdict(report).items())
        print(f"kept: {facts} took={time.perf_counter() - began_s:.2f}s")
    return 0


def replay(seed: int, nodes: int, *, forked: bool = False) -> str:
    """The command that runs this world again."""
    return f"python -m testnet sim --seed {seed} --nodes {nodes}" + " --forked" * forked
