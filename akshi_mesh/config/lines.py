"""On which line a key stands: the one thing no TOML library tells.

A scan of text that `tomllib` has already accepted, so it may believe the syntax and only
needs to know where strings, arrays and inline tables end.
"""

import re
import tomllib
from bisect import bisect_right

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n]*")
# Longest first: three quotes are not an empty string and one quote.
_STRING = re.compile(
    r'"""(?:\\.|(?!""").)*"""(?:"{0,2})'
    r"|'''(?:(?!''').)*'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    r"""The line, counted from 1, where each key, table and array element first appears.

    >>> key_lines('[[agents]]\nname = "a"\n')
    {('agents',): 1, ('agents', 0): 1, ('agents', 0, 'name'): 2}

    Args:
        text: TOML that `tomllib.loads` accepts; for other text the answer means nothing.
    """
    return _Scan(text).run()


class _Scan:
    """One pass over the text; `_at` only ever moves forward."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0] + [match.end() for match in re.finditer("\n", text)]
        self._found: dict[KeyPath, int] = {}
        self._tables_in: dict[KeyPath, int] = {}  # arrays of tables, and how many so far

    def run(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._found

    def _header(self) -> KeyPath:
        """``[a.b]`` or ``[[a.b]]``; gives the path of the table it opens."""
        opening = self._at
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        parts = self._key()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for part in parts[:-1]:
            path = self._enter((*path, part), opening)
        path = (*path, parts[-1])
        if is_array:
            self._note(path, opening)
            number = self._tables_in.get(path, 0)
            self._tables_in[path] = number + 1
            path = (*path, number)
        else:
            path = self._enter(path, opening)
        self._note(path, opening)
        return path

    def _enter(self, path: KeyPath, at: int) -> KeyPath:
        """`path`, or its newest table where it names an array of tables."""
        self._note(path, at)
        number = self._tables_in.get(path)
        return path if number is None else (*path, number - 1)

    def _pair(self, table: KeyPath) -> None:
        opening = self._at
        path = table
        for part in self._key():
            path = (*path, part)
            self._note(path, opening)
        self._at += 1  # the "="
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        """A dotted key, and the blanks after it."""
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            if self._text[self._at] in "\"'":
                quoted = self._take(_STRING)
                parts.append(str(tomllib.loads(f"key = {quoted}")["key"]))
            else:
                parts.append(self._take(_BARE_KEY))
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        first = self._text[self._at]
        if first in "\"'":
            self._take(_STRING)
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            self._take(_BARE_VALUE)

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        number = 0
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == "]":
                self._at += 1
                return
            self._note((*path, number), self._at)
            self._value((*path, number))
            number += 1
            self._skip(_BLANK)
            if self._text[self._at] == ",":
                self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == "}":
                self._at += 1
                return
            self._pair(path)
            self._skip(_BLANK)
            if self._text[self._at] == ",":
                self._at += 1

    def _note(self, path: KeyPath, at: int) -> None:
        self._found.setdefault(path, bisect_right(self._starts, at))

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        assert match is not None, "the pattern matches the empty text"
        self._at = match.end()

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None, "tomllib accepted this text"
        self._at = match.end()
        return match.group()
