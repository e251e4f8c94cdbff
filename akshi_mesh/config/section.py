"""One table of the file, read key by key; what nobody asked for is a problem.

Every getter marks its key as known and returns the default where the value is missing or
wrong, so that one reading reports all problems of a file and not only the first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar

from akshi_mesh.config.errors import Problem
from akshi_mesh.config.lines import KeyPath

SHOWN_MAX = 40  # characters of a wrong value that are repeated to its author

WordT = TypeVar("WordT", bound=str)


@dataclass(slots=True)
class Report:
    """Where problems and notes are collected, and how they learn their line."""

    file: str
    lines: Mapping[KeyPath, int]
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def wrong(self, path: KeyPath, text: str) -> None:
        self.problems.append(self._at(path, text))

    def note(self, path: KeyPath, text: str) -> None:
        self.notes.append(self._at(path, text))

    def _at(self, path: KeyPath, text: str) -> Problem:
        while path and path not in self.lines:
            path = path[:-1]
        return Problem(self.file, self.lines.get(path), text)


class Section:
    """A table at `path`; finish with `close`, which names the keys that nobody knows."""

    def __init__(self, report: Report, path: KeyPath, values: Mapping[str, object]) -> None:
        self._report = report
        self._path = path
        self._values = values
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str, default: str) -> str:
        value = self._get(key)
        if value is None:
            return default
        if type(value) is not str:
            self.wrong(key, f"{key!r} wants text in quotes, not {_shown(value)}")
            return default
        return value

    def word(self, key: str, words: Sequence[WordT], default: WordT) -> WordT:
        value = self._get(key)
        for word in words:
            if value == word:
                return word
        if value is not None:
            wanted = " or ".join(f'"{word}"' for word in words)
            self.wrong(key, f"{key!r} wants {wanted}, not {_shown(value)}")
        return default

    def flag(self, key: str, *, default: bool = False) -> bool:
        value = self._get(key)
        if value is None:
            return default
        if type(value) is not bool:
            self.wrong(key, f"{key!r} wants true or false, not {_shown(value)}")
            return default
        return value

    def whole(self, key: str, default: int) -> int:
        value = self._get(key)
        if value is None:
            return default
        if type(value) is not int:
            self.wrong(key, f"{key!r} wants a whole number, not {_shown(value)}")
            return default
        return value

    def number(self, key: str, default: float) -> float:
        value = self._get(key)
        if value is None:
            return default
        if type(value) is int and abs(value) < 2**53:  # beyond that a float is another number
            return float(value)
        if type(value) is not float:
            self.wrong(key, f"{key!r} wants a number, not {_shown(value)}")
            return default
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._get(key)
        if value is None:
            return ()
        if type(value) is not list:
            self.wrong(key, f'{key!r} wants a list such as ["a", "b"], not {_shown(value)}')
            return ()
        for number, item in enumerate(value):
            if type(item) is not str:
                path = (*self._path, key, number)
                self._report.wrong(path, f"{key!r} holds {_shown(item)} where text belongs")
        return tuple(item for item in value if type(item) is str)

    def texts_or_tables(self, key: str) -> Iterator["str | Section"]:
        """The items of a list that may hold both."""
        value = self._get(key)
        if value is None:
            return
        if type(value) is not list:
            self.wrong(key, f'{key!r} wants a list such as ["a", "b"], not {_shown(value)}')
            return
        for number, item in enumerate(value):
            path = (*self._path, key, number)
            if type(item) is dict:
                yield Section(self._report, path, item)
            elif type(item) is str:
                yield item
            else:
                self._report.wrong(path, f"{key!r} holds {_shown(item)} where text belongs")

    def table(self, key: str) -> "Section | None":
        """The table under `key`, or None if there is none."""
        value = self._get(key)
        if value is None:
            return None
        if type(value) is not dict:
            self.wrong(key, f"{key!r} wants a table [{key}], not {_shown(value)}")
            return None
        return Section(self._report, (*self._path, key), value)

    def is_table(self, key: str) -> bool:
        """Whether a key that may hold a table or something simpler holds a table."""
        return type(self._values.get(key)) is dict

    def plain(self, key: str) -> Mapping[str, object]:
        """The table under `key` as TOML has it, for a reader with a form of its own."""
        value = self._get(key)
        if value is not None and type(value) is not dict:
            self.wrong(key, f"{key!r} wants a table [{key}], not {_shown(value)}")
        return value if type(value) is dict else {}

    def tables(self, key: str) -> Iterator["Section"]:
        """The tables of the array under `key`."""
        value = self._get(key)
        if value is None:
            return
        if type(value) is not list or any(type(item) is not dict for item in value):
            self.wrong(key, f"{key!r} wants tables [[{key}]], not {_shown(value)}")
            return
        for number, item in enumerate(value):
            yield Section(self._report, (*self._path, key, number), item)

    def later(self, key: str, text: str) -> None:
        """A key that we know and that does nothing yet: said, never silently ignored."""
        if self._get(key) is not None:
            self.note(key, text)

    def gone(self, key: str, instead: str) -> None:
        """A key that users of other releases may write; `instead` says what to do."""
        if key in self._values:
            self._known.append(key)
            self.wrong(key, f"{key!r} is not a key here; {instead}")

    def wrong(self, key: str | None, text: str) -> None:
        self._report.wrong(self._path if key is None else (*self._path, key), text)

    def wrong_below(self, keys: Sequence[str], text: str) -> None:
        """As `wrong`, for a value in a table below this one."""
        self._report.wrong((*self._path, *keys), text)

    def nothing(self, key: str) -> "Section":
        """An empty table, for reading defaults where the owner wrote none."""
        return Section(self._report, (*self._path, key), {})

    def note(self, key: str | None, text: str) -> None:
        self._report.note(self._path if key is None else (*self._path, key), text)

    def note_below(self, keys: Sequence[str], text: str) -> None:
        """As `note`, for a value in a table below this one."""
        self._report.note((*self._path, *keys), text)

    def close(self) -> None:
        for key in self._values:
            if key not in self._known:
                nearest = get_close_matches(key, self._known, n=1)
                advice = f" (did you mean {nearest[0]!r}?)" if nearest else ""
                shown = key if len(key) <= SHOWN_MAX else key[:SHOWN_MAX] + "…"
                self.wrong(key, f"unknown key {shown!r}{advice}")

    def _get(self, key: str) -> object:
        if key not in self._known:
            self._known.append(key)
        return self._values.get(key)


def _shown(value: object) -> str:
    """A wrong value as its author would recognise it, on one line and short."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            cut = value if len(value) <= SHOWN_MAX else value[:SHOWN_MAX] + "…"
            return f"text {cut!r}"
        case int():
            return "the whole number " + (str(value) if abs(value) < 10**SHOWN_MAX else "given")
        case float():
            return f"the number {value}"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"
