"""What differs from run to run, by name: the page shows one that could be.

`…` stands for any characters, on a line of its own for any lines. An id of a page stands for the
id that was printed where it first occurs, and for no other one from there on.
"""

import re
from collections.abc import Mapping, Sequence

# How it looks in a page, and what it stands for. Ids are bound, the others are not.
ANY = {
    "time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "day": r"\d{4}-\d\d-\d\d",
    "seconds": r"\d+\.\d+ s\b",
    "left": r"(?:\d+ min )?\d+ s left",
}
IDS = {
    "approval": (r"apr-[0-9a-f]{16}", r"apr-[0-9a-f]{16}"),
    "digits": (r"\b[0-9a-f]{8}…", r"[0-9a-f]{8}"),
}
_TOKEN = re.compile(
    "|".join(
        [f"(?P<{name}>{shape})" for name, (shape, _) in IDS.items()]
        + [f"(?P<{name}>{shape})" for name, shape in ANY.items()]
        + ["(?P<any>…)"]
    )
)


class Elision:
    """The ids of one page, and what they turned out to be."""

    def __init__(self, known: Mapping[str, str] = {}) -> None:
        self._meant = dict(known)

    def typed(self, command: str) -> str:
        """The command with the ids that there are."""
        for shown, meant in self._meant.items():
            command = command.replace(shown, meant)
        return command

    def fits(self, shown: Sequence[str], printed: str) -> bool:
        """Whether `printed` is what the page shows; then its new ids are known."""
        new: dict[str, str] = {}
        pattern = "".join(self._line(line, new) for line in shown)
        found = re.fullmatch(
            pattern, "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
        )
        if found is None:
            return False
        self._meant |= {shown: found[group] for shown, group in new.items()}
        return True

    def _line(self, line: str, new: dict[str, str]) -> str:
        if line == "…":
            return r"(?:.*\n)*"
        pattern, end = "", 0
        for token in _TOKEN.finditer(line):
            pattern += re.escape(line[end : token.start()]) + self._token(token, new)
            end = token.end()
        return pattern + re.escape(line[end:].rstrip()) + r"\n"

    def _token(self, token: re.Match[str], new: dict[str, str]) -> str:
        name = token.lastgroup
        assert name is not None, "every alternative has a name"
        if name not in IDS:
            return ANY.get(name, r".*")
        shown = token[0].rstrip("…")
        rest = r"[0-9a-f]*" if token[0].endswith("…") else ""
        if shown in self._meant:
            return re.escape(self._meant[shown]) + rest
        if shown in new:
            return f"(?P={new[shown]}){rest}"
        new[shown] = f"id{len(new)}"
        return f"(?P<{new[shown]}>{IDS[name][1]}){rest}"
