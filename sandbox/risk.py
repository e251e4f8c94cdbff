"""How much could go wrong with a call: judged field by field, and never by what it claims.

A call has *fields*: dotted paths such as ``http_fetch.method.POST`` or
``mcp.arguments.amount``. The owner's table gives each a tier and a weight; a field that
no line covers is high. The tier of a call is the highest of its fields, its score is the
sum of their weights, at most 100. Both can be computed again from the audit record, which
names every field with its tier and weight.

    low       reads, local inference, journal reads
    medium    outbound HTTP, tasks for other agents, tools of MCP servers
    high      money, words to people, changes of systems, and whatever nobody has judged

The score never allows or denies anything; `[agents.approval]` looks at the tier.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from sandbox.errors import MalformedRiskTable

SCORE_MAX = 100
FIELDS_MAX = 24  # of one call; what has more is judged by one field that nobody has judged
FIELD_CHARS_MAX = 96
LINES_MAX = 4_096
_SEGMENT = re.compile(r"[A-Za-z0-9_*/-]+|\*")
_ODD = re.compile(r"[^A-Za-z0-9_./-]")


class Tier(StrEnum):
    """The three tiers of the owner's security model."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        return _RANK[self]


_RANK: Final = {Tier.LOW: 0, Tier.MEDIUM: 1, Tier.HIGH: 2}
WEIGHTS: Final = {Tier.LOW: 1, Tier.MEDIUM: 10, Tier.HIGH: 40}


@dataclass(frozen=True, slots=True)
class Judged:
    """One field of a call, with what the table says of it."""

    field: str
    tier: Tier
    weight: int

    def __str__(self) -> str:
        return f"{self.tier} {self.weight}"


@dataclass(frozen=True, slots=True)
class Risk:
    """What a call was judged to be. `fields` explain both numbers and nothing else does."""

    tier: Tier
    score: int
    fields: tuple[Judged, ...]

    @classmethod
    def of(cls, fields: Iterable[Judged]) -> Self:
        """Tier and score of these fields; of none, low and 0."""
        judged = tuple(fields)
        tier = max((field.tier for field in judged), key=_RANK.__getitem__, default=Tier.LOW)
        return cls(tier, min(SCORE_MAX, sum(field.weight for field in judged)), judged)

    def facts(self) -> tuple[tuple[str, str], ...]:
        """As an audit record keeps it; `recomputed` reads it back."""
        named = tuple((f"risk.{field.field}", str(field)) for field in self.fields)
        return (("tier", self.tier.value), ("score", str(self.score)), *named)


def recomputed(facts: Iterable[tuple[str, str]]) -> Risk:
    """The risk that the fields of an audit record add up to.

    Raises:
        MalformedRiskTable: a fact of a field that is not a tier and a weight.
    """
    fields: list[Judged] = []
    for name, value in facts:
        if name.startswith("risk."):
            tier, _, weight = value.partition(" ")
            if tier not in list(Tier) or not weight.isdecimal():
                raise MalformedRiskTable(name, why=f"{value!r} is no tier and weight")
            fields.append(Judged(name.removeprefix("risk."), Tier(tier), int(weight)))
    return Risk.of(fields)


class RiskTable:
    """Lines such as ``http_fetch.method.GET = "medium"``; the longest that covers wins.

    A key ends in ``.*`` to cover everything below it. An exact key beats every ``.*``.
    """

    __slots__ = ("_exact", "_known", "_lines", "_prefixes")

    def __init__(self, lines: Mapping[str, tuple[Tier, int]]) -> None:
        """`lines` are checked by `read`."""
        self._lines = dict(lines)
        self._exact = {key: line for key, line in lines.items() if not key.endswith("*")}
        self._prefixes = {key[:-1]: line for key, line in lines.items() if key.endswith("*")}
        self._known: dict[str, Judged] = {}

    @classmethod
    def read(cls, values: Mapping[str, object], *, over: "RiskTable | None" = None) -> Self:
        """The table of a parsed TOML table, laid over another.

        A value is a tier, or a table ``{ tier = "high", weight = 60 }``. Nested tables and
        dotted keys are the same thing.

        Raises:
            MalformedRiskTable: a key or a value that means nothing.
        """
        lines = dict(over._lines) if over else {}
        lines.update(_lines(values))
        if len(lines) > LINES_MAX:
            raise MalformedRiskTable("risk", why=f"more than {LINES_MAX} lines")
        return cls(lines)

    def items(self) -> list[tuple[str, Tier, int]]:
        """Every line, by key."""
        return [(key, *self._lines[key]) for key in sorted(self._lines)]

    def judge(self, field: str) -> Judged:
        """What this table says of one field; high where it says nothing."""
        found = self._known.get(field)
        if found is None:
            found = Judged(field, *self._line(field))
            if len(self._known) < LINES_MAX:  # guests choose names: never more than this
                self._known[field] = found
        return found

    def assess(self, fields: Sequence[str]) -> Risk:
        """The risk of a call with these fields. Cost: under 1 µs a field."""
        names = tuple(dict.fromkeys(map(legible, fields)))
        if len(names) > FIELDS_MAX:
            capability = names[0].partition(".")[0]
            kept = sorted(map(self.judge, names), key=_worst_first)[: FIELDS_MAX - 1]
            return Risk.of((*kept, self.judge(f"{capability}.too-many-fields")))
        return Risk.of(map(self.judge, names))

    def _line(self, field: str) -> tuple[Tier, int]:
        exact = self._exact.get(field)
        if exact is not None:
            return exact
        end = len(field)
        while (end := field.rfind(".", 0, end)) >= 0:
            covering = self._prefixes.get(field[: end + 1])
            if covering is not None:
                return covering
        return Tier.HIGH, WEIGHTS[Tier.HIGH]


def legible(field: str) -> str:
    """`field` as table, record and terminal can hold it; what is cut or odd stays unknown."""
    if len(field) > FIELD_CHARS_MAX:
        field = field[: FIELD_CHARS_MAX - 1] + "~"
    return _ODD.sub("~", field)


def _worst_first(judged: Judged) -> tuple[int, str]:
    return (-judged.tier.rank * 1_000 - judged.weight, judged.field)


def _lines(values: Mapping[str, object], above: str = "") -> dict[str, tuple[Tier, int]]:
    lines: dict[str, tuple[Tier, int]] = {}
    for key, value in values.items():
        path = f"{above}{key}"
        if isinstance(value, dict) and "tier" not in value:
            lines.update(_lines(value, f"{path}."))
            continue
        _check_key(path)
        lines[path] = _value(path, value)
    return lines


def _check_key(path: str) -> None:
    segments = path.split(".")
    if len(path) > FIELD_CHARS_MAX or not all(map(_SEGMENT.fullmatch, segments)):
        raise MalformedRiskTable(path, why="want words joined by dots")
    if any("*" in segment for segment in segments[:-1]) or segments[-1].count("*") > (
        segments[-1] == "*"
    ):
        raise MalformedRiskTable(path, why="* stands alone, at the end")
    if path == "*":
        raise MalformedRiskTable(path, why="a line for everything would hide what nobody judged")


def _value(path: str, value: object) -> tuple[Tier, int]:
    weight: object = None
    if isinstance(value, dict):
        if unknown := set(value) - {"tier", "weight"}:
            raise MalformedRiskTable(path, why=f"unknown key {min(unknown)!r}")
        weight, value = value.get("weight"), value["tier"]
    if not isinstance(value, str) or value not in list(Tier):
        raise MalformedRiskTable(path, why='want "low", "medium" or "high"')
    tier = Tier(value)
    if weight is None:
        return tier, WEIGHTS[tier]
    if type(weight) is not int or not 0 <= weight <= SCORE_MAX:
        raise MalformedRiskTable(path, why=f"want a weight from 0 to {SCORE_MAX}")
    return tier, weight
