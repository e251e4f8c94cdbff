"""What a server says its tools are, read as words of a stranger.

A definition is a text in one form, and its hash is what a person approves: the name, the
description and the schemas are what a model reads before it decides, so a change in any of
them is a change of the tool.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.mcp_server import TOOL_NAME

TOOLS_MAX = 512  # of one server; what comes after is not looked at
DEFINITION_BYTES_MAX = 64 * 1024
# The fields that are shown to guests, so the ones that are pinned. Icons and `_meta` are not.
_FIELDS = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
_SEPARATORS = str.maketrans("-./", "___")
# Characters that many typefaces show alike; case is folded after this.
_LOOK_ALIKES = str.maketrans("I1O0-./", "llOO___")


@dataclass(frozen=True, slots=True)
class Definition:
    """One tool: its name, and all that is pinned of it as JSON in one form."""

    name: str
    text: str

    @property
    def pin(self) -> bytes:
        """What an approval of this definition is bound to."""
        return pin_of(self.text)

    def to_json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Listing:
    """The tools of one server: those with a good name of their own, and why the others are not."""

    tools: Mapping[str, Definition]
    refused: Mapping[str, str]


def pin_of(text: str) -> bytes:
    """The hash of a definition's text."""
    return hashlib.sha256(b"akshi-mesh/mcp-tool/1\0" + text.encode()).digest()


def read_listing(tools: Iterable[Mapping[str, Any]]) -> Listing:
    """Read what a server listed.

    A tool is refused if its name is not one the specification allows, or is one of several
    that are the same, or the same to a careless eye: then all of them are.
    """
    found: dict[str, Definition] = {}
    refused: dict[str, str] = {}
    seen: dict[str, list[str]] = {}
    for number, tool in enumerate(tools):
        name = tool.get("name")
        if not isinstance(name, str):
            continue
        if number == TOOLS_MAX:
            refused[name[:128]] = f"more than {TOOLS_MAX} tools: this one and all after it"
            break
        if not TOOL_NAME.fullmatch(name):
            refused[name[:128]] = "a name that no tool may have"
            continue
        for key in _keys(name):
            seen.setdefault(key, []).append(name)
        definition = _definition(name, tool)
        if definition is None:
            refused[name] = f"a definition over {DEFINITION_BYTES_MAX} bytes, or no text"
        else:
            found[name] = definition
    for names in seen.values():
        if len(names) > 1:
            for name in names:
                found.pop(name, None)
                refused[name] = "another tool of this server has this name, or one that looks so"
    return Listing(found, refused)


def _definition(name: str, tool: Mapping[str, Any]) -> Definition | None:
    kept = {field: tool[field] for field in _FIELDS if tool.get(field) is not None}
    try:
        text = json.dumps(
            kept, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
        )
        too_long = len(text.encode()) > DEFINITION_BYTES_MAX
    except ValueError:  # half a surrogate pair, or a number that is none
        return None
    return None if too_long else Definition(name, text)


def _keys(name: str) -> set[str]:
    """What `name` is to a careless eye: by letters, and by shapes."""
    return {
        "letters " + name.casefold().translate(_SEPARATORS),
        "shapes " + name.translate(_LOOK_ALIKES).casefold(),
    }
