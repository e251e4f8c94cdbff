"""``python -m testnet``: `sim` runs a world without processes; the rest is `akshi-node testnet`."""

import sys

from testnet.world.command import main as sim


def main() -> int:
    """Run what was typed; the exit code."""
    if sys.argv[1:2] == ["sim"]:
        return sim(sys.argv[2:])
    from testnet.commands import app

    app(prog_name="testnet")
    return 0


if __name__ == "__main__":
    sys.exit(main())
