"""The program that the node executes for each jailed program: `python -I -S launch.py …`.

Without `site`, which takes longer than all the rest; so it finds its own package.
"""

import os
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from sandbox.jail.life import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
