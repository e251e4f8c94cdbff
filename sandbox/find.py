"""What a guest may ask of its journal: words, meaning, or both.

{"query": "…", "mode": "keyword | vector | hybrid", "limit": 10}
"""

from dataclasses import dataclass
from typing import Final, Literal, cast

from sandbox import guest_json
from sandbox.errors import MalformedRequest

Mode = Literal["keyword", "vector", "hybrid"]
MODES: Final[tuple[Mode, ...]] = ("keyword", "vector", "hybrid")
QUERY_CHARS_MAX: Final = 1_024
HITS_MAX: Final = 100
HITS_DEFAULT: Final = 10
_KEYS = frozenset({"query", "mode", "limit"})


@dataclass(frozen=True, slots=True)
class FindEntries:
    """The best entries for a query. Hybrid, unless the guest wants otherwise."""

    query: str
    mode: Mode = "hybrid"
    limit: int = HITS_DEFAULT


def read_find(text: str) -> FindEntries:
    """Read the request of `journal.find`.

    Raises:
        MalformedRequest, MalformedJson: with the reason for the guest.
    """
    table = guest_json.read(text)
    if not isinstance(table, dict):
        raise _wrong("want an object with query")
    for key in table.keys() - _KEYS:
        raise _wrong(f"unknown key {key[:40]!r}")
    query, mode, limit = table.get("query"), table.get("mode"), table.get("limit")
    if not isinstance(query, str) or not query.strip() or len(query) > QUERY_CHARS_MAX:
        raise _wrong(f"query is a text of 1 to {QUERY_CHARS_MAX} characters")
    if mode is not None and mode not in MODES:
        raise _wrong(f"mode is one of {', '.join(MODES)}")
    if limit is not None and not (type(limit) is int and 1 <= limit <= HITS_MAX):
        raise _wrong(f"limit is a whole number from 1 to {HITS_MAX}")
    return FindEntries(query, cast(Mode, mode or "hybrid"), limit or HITS_DEFAULT)


def _wrong(why: str) -> MalformedRequest:
    return MalformedRequest("journal.find", why=why)
