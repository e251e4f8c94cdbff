"""Read a file of this folder."""

import json
from pathlib import Path
from typing import Any


def vectors(name: str) -> dict[str, Any]:
    """The content of `name`.json; every file names its source and its licence."""
    text = (Path(__file__).parent / f"{name}.json").read_text()
    return dict(json.loads(text))
