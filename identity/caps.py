"""What somebody else's work may use here: capabilities, each whole or narrowed, and money a day.

    filesystem                  every shelf the agent itself may see
    filesystem:notes            that one
    http_fetch:GET api.example.com/v1
    a2a:did:key:z6Mk…/read*     agents of that node; `self/read*` are this node's own
    inference:llama*            models by name          mcp:files/read*   tools of a server
    journal  database  spend    have no narrower form

A scope never adds anything to what the agent may do: whoever works for somebody else needs both.
Spec: docs/spec/grants.md.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

from identity.did import Did
from identity.errors import MalformedCap, MalformedDid
from identity.rights import matches

CAPABILITIES: Final = (
    "a2a",
    "database",
    "filesystem",
    "http_fetch",
    "inference",
    "journal",
    "mcp",
    "spend",
)
SCOPE_CHARS_MAX: Final = 255
CAPS_MAX: Final = 64  # in one scope; each host call of somebody else's work walks them
MICRO_MAX: Final = (1 << 53) - 1  # nine thousand million; every JSON reader keeps it exact
SELF: Final = "self"
_MICRO_DIGITS: Final = 6
_GLOB: Final = re.compile(r"[A-Za-z0-9._*-]{1,255}")
_MODEL: Final = re.compile(r"[A-Za-z0-9._*:/@+-]{1,255}")
_AMOUNT: Final = re.compile(r"(\d{1,10})(?:\.(\d{1,6}))?([A-Z]{3,8})(?:/day)?", re.ASCII)
_ENDPOINT: Final = re.compile(
    r"(?:(?P<methods>[A-Z]{1,16}(?:,[A-Z]{1,16}){0,15}) )?"
    r"(?:(?P<scheme>https?)://)?"
    r"(?P<host>\[[0-9a-f:.]{2,45}\]|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>(?:/[A-Za-z0-9._~-]+)*/?)",
    re.ASCII,
)
_PORTS: Final = {"https": "443", "http": "80"}


class _Endpoint(NamedTuple):
    """The part of an endpoint rule that says what is narrower than what."""

    methods: frozenset[str]  # empty: as many as the rule's reader gives
    scheme: str
    host: str
    port: str
    path: tuple[str, ...]

    def covers(self, other: "_Endpoint") -> bool:
        if self.methods and not (other.methods and other.methods <= self.methods):
            return False
        if (self.scheme, self.port) != (other.scheme, other.port):
            return False
        if other.path[: len(self.path)] != self.path:
            return False
        if self.host.startswith("*."):
            return other.host == self.host or other.host.removeprefix("*.").endswith(self.host[1:])
        return other.host == self.host


@lru_cache(maxsize=1_024)
def _endpoint(text: str) -> _Endpoint | None:
    found = _ENDPOINT.fullmatch(text)
    if found is None:
        return None
    scheme = found["scheme"] or "https"
    path = tuple(part for part in found["path"].split("/") if part)
    if any(part in {".", ".."} for part in path):
        return None
    methods = frozenset(found["methods"].split(",")) if found["methods"] else frozenset()
    return _Endpoint(methods, scheme, found["host"], found["port"] or _PORTS[scheme], path)


@dataclass(frozen=True, slots=True)
class CapRight:
    """One capability, whole or narrowed to a scope.

    >>> whole, narrow = CapRight.parse("filesystem"), CapRight.parse("filesystem:notes")
    >>> whole.covers(narrow), narrow.covers(whole)
    (True, False)
    """

    capability: str
    scope: str | None = None  # None: all that the agent itself may

    def __post_init__(self) -> None:
        if self.capability not in CAPABILITIES:
            raise MalformedCap(str(self), why=f"want one of {', '.join(CAPABILITIES)}")
        if self.scope is None:
            return
        if len(self.scope) > SCOPE_CHARS_MAX:
            raise MalformedCap(str(self), why=f"at most {SCOPE_CHARS_MAX} characters")
        why = _why_no_scope(self.capability, self.scope)
        if why:
            raise MalformedCap(str(self), why=why)

    @classmethod
    def parse(cls, text: str) -> Self:
        capability, colon, scope = text.partition(":")
        return cls(capability, scope if colon else None)

    def __str__(self) -> str:
        return self.capability if self.scope is None else f"{self.capability}:{self.scope}"

    def covers(self, other: "CapRight") -> bool:
        """Whether `other` allows nothing that this does not. In doubt: False."""
        if self.capability != other.capability:
            return False
        if self.scope is None or self.scope == other.scope:
            return True
        return other.scope is not None and _is_within(self.capability, self.scope, other.scope)

    def as_said_by(self, node: str) -> "CapRight":
        """The same for readers elsewhere: `self` becomes the DID of `node`, who says it."""
        if self.capability == "a2a" and self.scope and self.scope.startswith(f"{SELF}/"):
            return CapRight(self.capability, node + self.scope[len(SELF) :])
        return self

    @property
    def is_absolute(self) -> bool:
        """Whether it means the same on every node."""
        return self.capability != "a2a" or not (self.scope or "").startswith(f"{SELF}/")


def _why_no_scope(capability: str, scope: str) -> str | None:
    """What is wrong with the scope, or None."""
    match capability:
        case "a2a":
            return _why_no_agents(scope)
        case "filesystem":
            return None if _GLOB.fullmatch(scope) else "want the name of a shelf after the colon"
        case "http_fetch":
            if scope.startswith(("private ", "redirects ")):
                return "'private' and 'redirects' are the agent's own; leave them out here"
            why = "want an endpoint such as api.example.com/v1 or GET,POST http://host:8080"
            return None if _endpoint(scope) else why
        case "inference":
            return None if _MODEL.fullmatch(scope) else "want the name of a model after the colon"
        case "mcp":
            parts = scope.split("/")
            fits = len(parts) <= 2 and all(map(_GLOB.fullmatch, parts))
            return None if fits else "want server or server/tool after the colon"
    return f"{capability} has no narrower form"


def _why_no_agents(scope: str) -> str | None:
    node, slash, agents = scope.partition("/")
    if not slash or not _GLOB.fullmatch(agents):
        return "want did:key:…/agent or self/agent after the colon"
    if node != SELF:
        try:
            Did.parse(node)
        except MalformedDid as malformed:
            return malformed.why
    return None


def _is_within(capability: str, scope: str, other: str) -> bool:
    """Whether `other` is inside `scope`. A `*` of `other` is matched as a sign like any other:
    only a `*` of `scope` takes it, so whatever it stands for is taken too.
    """
    match capability:
        case "a2a":
            node, _, agents = scope.partition("/")
            its_node, _, its_agents = other.partition("/")
            return node == its_node and matches(agents, its_agents)
        case "http_fetch":
            ours, theirs = _endpoint(scope), _endpoint(other)
            return ours is not None and theirs is not None and ours.covers(theirs)
        case "mcp":
            server, slash, tool = scope.partition("/")
            its_server, its_slash, its_tool = other.partition("/")
            if not matches(server, its_server):
                return False
            return not slash or (bool(its_slash) and matches(tool, its_tool))
        case _:
            return matches(scope, other)


@dataclass(frozen=True, slots=True)
class DailySpend:
    """Money that may be spent on behalf of one node in a day, in millionths.

    >>> str(DailySpend.parse("2EUR/day"))
    '2.00EUR/day'
    """

    micro: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.micro) is not int or not 0 < self.micro <= MICRO_MAX:
            raise MalformedCap(f"spend {self.micro}", why="want an amount above nothing")
        if not re.fullmatch(r"[A-Z]{3,8}", self.currency):
            raise MalformedCap(f"spend {self.currency}", why="want a currency such as EUR")

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _AMOUNT.fullmatch(text)
        if found is None:
            raise MalformedCap(f"spend {text}", why="want an amount such as 2.00EUR/day")
        whole, part, currency = found.groups()
        return cls(int(whole) * 10**_MICRO_DIGITS + int((part or "").ljust(6, "0")), currency)

    def __str__(self) -> str:
        whole, part = divmod(self.micro, 10**_MICRO_DIGITS)
        digits = f"{part:06d}".rstrip("0").ljust(2, "0")
        return f"{whole}.{digits}{self.currency}/day"

    def covers(self, other: "DailySpend") -> bool:
        return self.currency == other.currency and other.micro <= self.micro


@dataclass(frozen=True, slots=True)
class Scope:
    """All that one node's work may use of another: capabilities, and money if it may spend any.

    The empty scope allows functions that need no capability, and nothing else.
    """

    caps: frozenset[CapRight] = frozenset()
    spend: DailySpend | None = None

    def __post_init__(self) -> None:
        if len(self.caps) > CAPS_MAX:
            raise MalformedCap("caps", why=f"at most {CAPS_MAX} of them")
        if self.spend is not None and SPEND not in self.caps:
            raise MalformedCap(str(self.spend), why="an amount without the capability spend")

    @classmethod
    def of(cls, caps: Iterable[CapRight], spend: DailySpend | None = None) -> Self:
        """An amount implies the capability."""
        return cls(frozenset(caps) | ({SPEND} if spend else frozenset()), spend)

    def covers(self, other: "Scope") -> bool:
        """Whether `other` widens nothing, in no dimension."""
        if not all(any(mine.covers(theirs) for mine in self.caps) for theirs in other.caps):
            return False
        return other.spend is None or (self.spend is not None and self.spend.covers(other.spend))

    def meet(self, other: "Scope") -> "Scope":
        """What both allow; where two scopes only overlap in part, nothing of either."""
        caps = {
            narrower
            for mine in self.caps
            for theirs in other.caps
            for narrower in _narrower(mine, theirs)
        }
        spend = None
        if self.spend and other.spend and self.spend.currency == other.spend.currency:
            spend = min(self.spend, other.spend, key=lambda amount: amount.micro)
        # Pairs multiply, limits do not: what is left out can only narrow.
        kept = frozenset(sorted(caps - {SPEND}, key=str)[: CAPS_MAX - 1]) | (caps & {SPEND})
        return Scope(kept, spend)

    def join(self, other: "Scope") -> "Scope":
        """What either allows. Amounts are not added: the larger holds, or ours in another money."""
        spend = self.spend or other.spend
        if other.spend and spend and other.spend.covers(spend):
            spend = other.spend
        # At the limit something is left out, which can only narrow.
        kept = sorted((self.caps | other.caps) - {SPEND}, key=str)[: CAPS_MAX - 1]
        return Scope(frozenset(kept) | ((self.caps | other.caps) & {SPEND}), spend)

    def as_said_by(self, node: str) -> "Scope":
        """The same for readers elsewhere; see `CapRight.as_said_by`."""
        return Scope(frozenset(cap.as_said_by(node) for cap in self.caps), self.spend)

    def to_fields(self) -> dict[int, Any]:
        """As it stands in grants and tasks: {1: [cap, …] sorted, 2: [micro, currency]}."""
        fields: dict[int, Any] = {1: sorted(map(str, self.caps))}
        if self.spend is not None:
            fields[2] = [self.spend.micro, self.spend.currency]
        return fields

    @classmethod
    def from_fields(cls, fields: object) -> Self:
        """The inverse of `to_fields`, or MalformedCap; one spelling each, nothing relative."""
        if type(fields) is not dict or not {1} <= set(fields) <= {1, 2}:
            raise MalformedCap("scope", why="want a map of 1 and perhaps 2")
        texts = fields[1]
        if type(texts) is not list or len(texts) > CAPS_MAX:
            raise MalformedCap("scope", why=f"want an array of at most {CAPS_MAX} capabilities")
        if any(type(text) is not str for text in texts) or sorted(set(texts)) != texts:
            raise MalformedCap("scope", why="want capabilities as text, sorted, each once")
        caps = frozenset(map(CapRight.parse, texts))
        if not all(cap.is_absolute for cap in caps):
            raise MalformedCap("scope", why="self means another node to each reader")
        return cls(caps, _spend(fields) if 2 in fields else None)

    def __str__(self) -> str:
        parts = sorted(map(str, self.caps - ({SPEND} if self.spend else frozenset())))
        if self.spend is not None:
            parts.append(f"spend {self.spend}")
        return ", ".join(parts) or "nothing"


SPEND: Final = CapRight("spend")
NOTHING: Final = Scope()


def _narrower(one: CapRight, other: CapRight) -> tuple[CapRight, ...]:
    if one.covers(other):
        return (other,)
    return (one,) if other.covers(one) else ()


def _spend(fields: Mapping[int, Any]) -> DailySpend:
    pair = fields[2]
    if type(pair) is not list or len(pair) != 2 or type(pair[1]) is not str:
        raise MalformedCap("scope", why="want an amount as [millionths, currency]")
    return DailySpend(pair[0], pair[1])
