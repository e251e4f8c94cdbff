"""One broken rule, and how it is brought into a test run."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`rule` is the sentence that is not true any more once `old` reads `new` in `file`."""

    rule: str
    file: str
    old: str
    new: str

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").replace("/", ".")

    def source(self) -> str:
        """The broken text.

        Raises:
            ValueError: `old` is not there, or not once: the code has moved on.
        """
        text = (ROOT / self.file).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has it {text.count(self.old)} times: {self.old!r}")
        return text.replace(self.old, self.new)


class Breaker(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Loads the mutant in the place of its module; nothing on the disk changes."""

    def __init__(self, mutant: Mutant) -> None:
        assert mutant.module not in sys.modules, "too late: the sound module is loaded already"
        self._mutant = mutant

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> Any:
        if name != self._mutant.module:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=str(ROOT / self._mutant.file))

    def get_source(self, fullname: str) -> str:
        return self._mutant.source()

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._mutant.source(), str(ROOT / self._mutant.file), "exec")
