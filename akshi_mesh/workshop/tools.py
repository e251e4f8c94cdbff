"""The tools of each language's chain: where they are, and what installs one that is not.

A tool is looked for beside the Python that runs this, in the project's own `.venv` and
`node_modules`, and on PATH. Versions are those that were tested; another one may do.
"""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from akshi_mesh.workshop.errors import BuildFailed, ToolMissing

BUILD_S_MAX: Final = 600.0  # the slowest chain takes 10 s; a cold cache on a slow disk longer
WORDS_LINES_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Tool:
    """One program; any of `names` is it. `install` is typed by a person."""

    names: tuple[str, ...]
    install: str

    def find(self, project: Path) -> str:
        """Its path.

        Raises:
            ToolMissing: it is not here.
        """
        places = (
            Path(sysconfig.get_path("scripts")),
            Path(sys.executable).parent,
            project / ".venv" / "bin",
            project / "node_modules" / ".bin",
        )
        for name in self.names:
            for place in places:
                found = shutil.which(name, path=str(place))
                if found:
                    return found
            found = shutil.which(name)
            if found:
                return found
        raise ToolMissing(self.names[0], install=self.install)


COMPONENTIZE_PY: Final = Tool(("componentize-py",), "pip install componentize-py==0.25.1")


def run(command: Sequence[str], directory: Path) -> None:
    """Run one step in `directory`; what it says is kept only if it fails.

    Raises:
        BuildFailed: it did, or was not done in ten minutes.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=BUILD_S_MAX,
        )
    except subprocess.TimeoutExpired as late:
        raise BuildFailed(f"{name} was not done in {BUILD_S_MAX:.0f} s") from late
    if done.returncode:
        said = tuple(f"{name}: {line}" for line in done.stdout.splitlines()[-WORDS_LINES_MAX:])
        raise BuildFailed(f"{name} failed with exit code {done.returncode}", words=said)
