"""A node whose wall clock is off by the seconds in a file: `shifted_clock.py FILE run …`."""

import sys
import time
from pathlib import Path

from akshi_mesh.cli.main import main

if __name__ == "__main__":
    offset = Path(sys.argv.pop(1))
    true_ns = time.time_ns
    time.time_ns = lambda: true_ns() + int(offset.read_text()) * 1_000_000_000
    sys.exit(main())
