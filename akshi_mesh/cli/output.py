"""Answers go to stdout, everything else to stderr; strangers' words are inert in both."""

import json
import shlex
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from akshi_mesh.inert import inert

PROGRAM = "akshi-node"
# What begins so is for a person at another machine, whose home is not ours to name.
_ELSEWHERE = ("there:", "on the other machine:")
_here: list[str] = []  # the options that name this command's node: one command a process


def say(text: str) -> None:
    """One line, or several, of the answer."""
    print(inert(text, lines=True), flush=True)


def say_json(value: Mapping[str, Any]) -> None:
    """One object on one line; pure ASCII, so that it is inert as it is."""
    print(json.dumps(value), flush=True)


def say_table(rows: Iterable[Sequence[str]], *, indent: str = "") -> None:
    """Columns as wide as their widest cell; the last one is not padded."""
    cells = [[inert(cell) for cell in row] for row in rows]
    if not cells:
        return
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print(indent + "  ".join([*padded, row[-1]]).rstrip(), flush=True)


def note(text: str) -> None:
    """Something to know that is not the answer."""
    _tell("note", for_this_node(text))


def hint(text: str) -> None:
    """The command that helps, for the node that was meant."""
    _tell("hint", for_this_node(text))


def remember_node(*, home: Path | None, config: Path | None) -> None:
    """What was typed to say which node is meant: a hint that is typed must reach that one."""
    _here.clear()
    for option, value in (("--home", home), ("-c", config)):
        if value is not None:
            _here.extend((option, shlex.quote(str(value))))


def for_this_node(text: str) -> str:
    """Every command in `text` with the options that name this node."""
    if not _here or text.startswith(_ELSEWHERE):
        return text
    if f"{PROGRAM} --home " in text:  # somebody named a node already, maybe another one
        return text
    return text.replace(f"{PROGRAM} ", f"{PROGRAM} {' '.join(_here)} ")


def error(text: str) -> None:
    _tell("error", text)


def _tell(kind: str, text: str) -> None:
    print(f"{PROGRAM}: {kind}: {inert(text)}", file=sys.stderr, flush=True)


def when(at_ms: int) -> str:
    """A time as people read it and as `--until` takes it, in this machine's zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))


def lasted(seconds: float) -> str:
    """A duration with its two leading units."""
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    rest = int(seconds)
    for name, size in units:
        if rest >= size and len(parts) < 2:
            parts.append(f"{rest // size} {name}")
            rest %= size
    return " ".join(parts) or f"{seconds:.2f} s"


def plural(count: int, noun: str) -> str:
    """``1 agent``, ``2 agents``."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"
