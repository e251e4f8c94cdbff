"""From a project to its component: the same steps for everybody, in a directory of their own.

The sources are copied to a new temporary directory first, so no path of this machine gets into
the bytes and nothing half built is left among them.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from akshi_mesh.workshop import tools
from akshi_mesh.workshop.errors import BuildFailed
from akshi_mesh.workshop.project import Project
from sandbox.component import COMPONENT_BYTES_MAX

# What is made, or is not ours: never copied.
_LEFT_BEHIND: Final = shutil.ignore_patterns(
    "*.wasm", "__pycache__", "node_modules", "target", ".venv", ".git", "test_agent"
)
_COMPONENT: Final = "component.wasm"
Recipe = Callable[[Project, Path], None]


def build(project: Project) -> bytes:
    """The component of `project`; nothing is written into it.

    Raises:
        ToolMissing: before anything is done.
        BuildFailed: a tool refused the source, or made more than a node takes.
        OSError: the sources cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="akshi-build-") as place:
        work = Path(place, "agent")
        shutil.copytree(project.directory, work, ignore=_LEFT_BEHIND)
        _RECIPES[project.language.name](project, work)
        component = (work / _COMPONENT).read_bytes()
    if len(component) > COMPONENT_BYTES_MAX:
        raise BuildFailed(
            f"the component has {len(component)} bytes, a node takes {COMPONENT_BYTES_MAX}"
        )
    return component


def _python(project: Project, work: Path) -> None:
    tool = tools.COMPONENTIZE_PY.find(project.directory)
    tools.run(
        (
            tool,
            *("-d", "wit", "-w", "agent", "componentize", "--stub-wasi"),
            *("-p", ".", "-p", "sdk", Path(project.language.main).stem, "-o", _COMPONENT),
        ),
        work,
    )


_RECIPES: Final[dict[str, Recipe]] = {"python": _python}
