"""What is written down about each act of an agent, and how floods stay small.

One record says that something is about to happen, has happened or was refused.
Bodies never enter a record; their hash does. Equal events within a second fold
into one record with a count, so that a guest which knocks ten thousand times at
a closed door costs the log one line a second and the count is still right.

    docs/spec/audit.md, "A record", has the CBOR map, the events and their facts.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from identity import cbor
from identity.errors import IdentityError
from sandbox.errors import MalformedAuditRecord

DETAIL_CHARS_MAX = 256  # a target or a path; longer ones are cut, the hash has the rest
FACTS_MAX = 40  # 24 fields of a risk, and what else is told of a call
FACT_NAME_CHARS_MAX = 112  # `risk.http_fetch.headers.` and the longest header a guest may write
FACT_CHARS_MAX = 256  # of one value; longer ones are cut, as the detail is
RECORD_BYTES_MAX = 65_536  # 41 texts of 256 characters of 4 bytes, their names, with room
FOLD_MS = 1_000
FOLDS_MAX = 256  # kinds of event open at once per agent; beyond, the oldest is written early


class Event(StrEnum):
    """What a record says of what it is about. docs/spec/audit.md names the facts of each."""

    # A host call of a guest, and its worker.
    ALLOWED = "allowed"  # written before the act
    DONE = "done"  # after an act that could not be written with its record
    FAILED = "failed"  # the act was allowed and did not happen, or its end is a fault
    UNKNOWN = "unknown"  # an act outside was begun and how it ended is lost; never repeated
    REFUSED = "refused"
    VIOLATION = "violation"  # the worker broke its jail
    KILLED = "killed"  # the node ended the worker
    ADMITTED = "admitted"  # an agent was started with these capabilities
    # A person is asked. `facts` name the approval and the hash it is bound to.
    ASKED = "asked"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    CONSUMED = "consumed"  # an approval was used, once
    # Money.
    RESERVED = "reserved"
    SPENT = "spent"
    RELEASED = "released"  # what was reserved was not spent, provably
    SPEND_UNKNOWN = "spend-unknown"  # it may have been spent, and stays counted
    KILL_SWITCH = "kill-switch"  # code: `on` or `off`
    # What the owner changes. `code` says how: added, changed, removed, revoked, …
    TRUST = "trust"
    SECRET = "secret"  # noqa: S105 - a kind of event; also `redacted`: an answer echoed one
    AGENT = "agent"  # started, stopped, restarted, reloaded, quarantined by a person
    CONFIG = "config"  # the policy in force changed
    NODE = "node"  # code: `started` or `stopped`
    PRUNED = "pruned"  # payloads of old records were dropped; their leaves stay
    # Tasks between nodes.
    RECEIPT = "receipt"  # both sides have signed how a task ended
    UNCOUNTERSIGNED = "uncountersigned"  # the other side's signature did not come in time
    CONTRADICTED = "contradicted"  # the other side signed two things that exclude each other


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One line of the audit log.

    `number` is the call's, or -1 where there is none; `task_id` and `request_hash`
    are 32 bytes, or empty where there is none. `count` events folded into this
    record happened from `at_ms` to `until_ms`. `facts` are more names and values, in the
    order of the CBOR map; a record takes them in any order.
    """

    at_ms: int
    event: Event
    agent: str
    originator: str
    task_id: bytes
    number: int
    function: str
    code: str
    detail: str
    request_hash: bytes
    count: int = 1
    until_ms: int = 0
    facts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", _cut(self.detail, DETAIL_CHARS_MAX))
        if self.until_ms < self.at_ms:
            object.__setattr__(self, "until_ms", self.at_ms)
        if self.facts:
            object.__setattr__(self, "facts", _ordered(self.facts))

    def to_cbor(self) -> bytes:
        """The canonical bytes; equal records have equal bytes."""
        fields: dict[int, cbor.Value] = {
            1: self.at_ms,
            2: self.event.value,
            3: self.agent,
            4: self.originator,
            5: self.task_id,
            6: self.number,
            7: self.function,
            8: self.code,
            9: self.detail,
            10: self.request_hash,
            11: self.count,
            12: self.until_ms,
        }
        if self.facts:
            fields[13] = dict(self.facts)
        return cbor.dumps(fields)

    def fact(self, name: str) -> str:
        """The value of the fact `name`; empty if the record has none."""
        return dict(self.facts).get(name, "")

    @classmethod
    def from_cbor(cls, data: bytes) -> Self:
        """Read what `to_cbor` wrote.

        Raises:
            MalformedAuditRecord: anything else.
        """
        try:
            fields: Any = cbor.loads(data, size_max=RECORD_BYTES_MAX)
        except IdentityError as malformed:
            raise MalformedAuditRecord(why=str(malformed)) from malformed
        if type(fields) is not dict or list(fields) not in (_KEYS, [*_KEYS, 13]):
            raise MalformedAuditRecord(why="want the keys 1 to 12, and perhaps 13")
        facts: Any = _read_facts(fields.pop(13)) if 13 in fields else ()
        if any(type(v) is not kind for v, kind in zip(fields.values(), _TYPES, strict=True)):
            raise MalformedAuditRecord(why="a field has the wrong type")
        if fields[2] not in list(Event) or fields[11] < 1 or fields[12] < fields[1]:
            raise MalformedAuditRecord(why="a field has an impossible value")
        if len(fields[9]) > DETAIL_CHARS_MAX:
            raise MalformedAuditRecord(why="detail is too long")
        at_ms, event, *rest = [*fields.values(), facts]
        return cls(at_ms, Event(event), *rest)


_KEYS = list(range(1, 13))
_TYPES = (int, str, str, str, bytes, int, str, str, str, bytes, int, int)


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def _ordered(facts: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """As the CBOR map has them: by length of the name, then by its bytes.

    Raises:
        MalformedAuditRecord: one name twice, or a name that is empty or too long.
    """
    names = {name for name, _ in facts}
    if len(names) < len(facts) or not all(0 < len(n) <= FACT_NAME_CHARS_MAX for n in names):
        raise MalformedAuditRecord(why="a fact is given twice, or its name is too long")
    if len(facts) > FACTS_MAX:
        left_out = len(facts) - FACTS_MAX + 1
        facts = (*facts[: FACTS_MAX - 1], ("more", f"{left_out} facts left out"))
    cut = [(name, _cut(value, FACT_CHARS_MAX)) for name, value in facts]
    return tuple(sorted(cut, key=lambda fact: (len(name := fact[0].encode()), name)))


def _read_facts(value: object) -> tuple[tuple[str, str], ...]:
    if type(value) is not dict or not 0 < len(value) <= FACTS_MAX:
        raise MalformedAuditRecord(why="the facts are not a map of 1 to 40")
    if any(type(name) is not str or type(fact) is not str for name, fact in value.items()):
        raise MalformedAuditRecord(why="a fact is not text")
    if any(len(fact) > FACT_CHARS_MAX for fact in value.values()):
        raise MalformedAuditRecord(why="a fact is too long")
    return _ordered(tuple(value.items()))


@dataclass(slots=True)
class _Fold:
    """What repeated since `opened_ms`: nothing yet while `count` is 0."""

    opened_ms: int
    record: AuditRecord
    count: int = 0
    until_ms: int = 0

    def add(self, record: AuditRecord) -> None:
        if not self.count:
            self.record = record
        self.count += record.count
        self.until_ms = record.until_ms

    def folded(self) -> list[AuditRecord]:
        if not self.count:
            return []
        return [replace(self.record, count=self.count, until_ms=self.until_ms)]


_Kind = tuple[str, str, str, str, str, tuple[tuple[str, str], ...]]


class Folding:
    """Equal events of one agent within a second become one record with a count.

    The first of a kind passes at once. Its repeats are counted, and come out as one
    record when the second is over. `due` must be asked about once a second and at the
    end of the agent; what it yields is then forgotten here.
    """

    def __init__(self) -> None:
        self._open: dict[_Kind, _Fold] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, record: AuditRecord) -> list[AuditRecord]:
        """The records to write now: none while `record` repeats an open one."""
        kind: _Kind = (
            *(record.event, record.function, record.code, record.detail, record.originator),
            record.facts,
        )
        fold = self._open.get(kind)
        if fold is not None and record.at_ms - fold.opened_ms < FOLD_MS:
            fold.add(record)
            return []
        written = self._close(kind) if fold is not None else []
        if len(self._open) >= FOLDS_MAX:
            # An agent that invents new refusals loses folding, not counts: each is
            # then written, and pays from the agent's audit budget.
            written += self._close(next(iter(self._open)))
        self._open[kind] = _Fold(record.at_ms, record)
        return [*written, record]

    def due(self, now_ms: int) -> list[AuditRecord]:
        """The folded records whose second is over at `now_ms`."""
        over = [k for k, fold in self._open.items() if now_ms - fold.opened_ms >= FOLD_MS]
        return [record for kind in over for record in self._close(kind)]

    def drain(self) -> list[AuditRecord]:
        """All that is folded, over or not: the agent ends."""
        return [record for kind in list(self._open) for record in self._close(kind)]

    def _close(self, kind: _Kind) -> list[AuditRecord]:
        return self._open.pop(kind).folded()
