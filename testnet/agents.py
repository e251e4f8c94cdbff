"""Where the example agents are, and what a node that hosts them is configured with."""

import json
from collections.abc import Sequence
from pathlib import Path

_HERE = Path(__file__).parent


def agents_directory() -> Path:
    """The components: beside this package when installed, in examples/ in the repository."""
    installed = _HERE / "components"
    return installed if installed.is_dir() else _HERE.parent / "examples" / "agents"


def agent(
    name: str,
    *,
    capabilities: Sequence[str] = (),
    peers: Sequence[str] = (),
    files: Sequence[str] = (),
    wall_clock_s: float | None = None,
) -> str:
    """One `[[agents]]` entry of a runtime.toml, for the example agent `name`."""
    lines = ["[[agents]]", f"name = {_quoted(name)}"]
    lines.append(f"wasm_path = {_quoted(str(agents_directory() / f'{name}.wasm'))}")
    if capabilities:
        lines += ["[agents.capabilities]", *(f"{capability} = true" for capability in capabilities)]
    if peers:
        lines += ["[agents.peers]", f"allowed = [{', '.join(map(_quoted, peers))}]"]
    if files:
        lines += ["[agents.filesystem]", f"allowed = [{', '.join(map(_quoted, files))}]"]
    if wall_clock_s is not None:
        lines += ["[agents.limits]", f"wall_clock_s = {wall_clock_s}"]
    return "\n".join(lines) + "\n"


def mesh_journal(name: str) -> str:
    """A `[[journals]]` entry: this journal is shared with peers."""
    return f'[[journals]]\nname = {_quoted(name)}\nscope = "mesh"\n'


def _quoted(text: str) -> str:
    return json.dumps(text)  # a JSON string without control characters is a TOML basic string
