"""A page of docs/howto as something that can be done: its files, and what is typed.

A block right below a line such as "`agent.py`:" is that file. A `console` block is a
conversation: `$ ` begins what is typed, the lines below it are what is printed. A command that ends
in ` &` stays in the background.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FENCE = re.compile(r"```(\w*)\n(.*?)^```$", re.S | re.M)
NAMED = re.compile(r"`([\w./-]+)`[^`\n]*:$")
PORT = re.compile(r"\b(?:127\.0\.0\.1|localhost):(\d+)\b")


@dataclass(frozen=True, slots=True)
class File:
    """What a reader would write into `name`."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and the lines that it prints."""

    typed: str
    printed: tuple[str, ...]

    @property
    def stays(self) -> bool:
        return self.typed.endswith(" &")


@dataclass(frozen=True, slots=True)
class Page:
    """One howto; `steps` are in the order in which a reader meets them."""

    name: str
    text: str
    steps: tuple[File | Step, ...]

    @classmethod
    def read(cls, path: Path) -> "Page":
        text = path.read_text(encoding="utf-8")
        return cls(path.stem, text, tuple(_steps(text)))

    @property
    def files(self) -> dict[str, str]:
        return {step.name: step.text for step in self.steps if isinstance(step, File)}

    @property
    def commands(self) -> list[Step]:
        return [step for step in self.steps if isinstance(step, Step)]

    @property
    def agent(self) -> str:
        return self.files["agent.py"]

    @property
    def config(self) -> dict[str, Any]:
        return tomllib.loads(self.files["runtime.toml"])

    @property
    def ports(self) -> set[str]:
        return set(PORT.findall(self.text))


def _steps(text: str) -> Iterator[File | Step]:
    for block in FENCE.finditer(text):
        language, inside = block.groups()
        before = text[: block.start()].rstrip("\n").rsplit("\n", 1)[-1]
        if language == "console":
            yield from _conversation(inside)
        elif named := NAMED.search(before):
            yield File(named[1], inside)


def _conversation(inside: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", inside, flags=re.M)[1:]:
        lines = part.rstrip("\n").split("\n")
        typed = lines.pop(0)
        while typed.endswith("\\"):
            typed = f"{typed[:-1].rstrip()} {lines.pop(0).strip()}"
        yield Step(typed, tuple(lines))
