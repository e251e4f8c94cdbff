"""``python -m akshi_mesh`` is ``akshi-node``."""

import sys

from akshi_mesh.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
