"""What is written down about each act of an agent, and how floods stay small.

One record says that something is about to happen, has happened or was refused.
Bodies never enter a record; their hash does. Equal events within a second fold
into one record with a count, so that a guest which knocks ten thousand times at
a closed door costs the log one line a second and the count is still right.

    docs/spec/agent-abi.md, "Audit records", has the CBOR map.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from identity import cbor
from identity.errors import IdentityError
from sandbox.errors import MalformedAuditRecord

DETAIL_CHARS_MAX = 256  # a target or a path; longer ones are cut, the hash has the rest
RECORD_BYTES_MAX = 4_096  # 256 characters of 4 bytes, names and numbers, with room
FOLD_MS = 1_000
FOLDS_MAX = 256  # kinds of event open at once per agent; beyond, the oldest is written early


class Event(StrEnum):
    """What a record says of the call it is about."""

    ALLOWED = "allowed"  # written before the act
    DONE = "done"  # after an act that could not be written with its record
    FAILED = "failed"  # the act was allowed and did not happen, or its end is a fault
    REFUSED = "refused"
    VIOLATION = "violation"  # the worker broke its jail
    KILLED = "killed"  # the node ended the worker
    ADMITTED = "admitted"  # an agent was started with these capabilities


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One line of the audit log.

    `number` is the call's, or -1 where there is none; `task_id` and `request_hash`
    are 32 bytes, or empty where there is none. `count` events folded into this
    record happened from `at_ms` to `until_ms`.
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

    def __post_init__(self) -> None:
        if len(self.detail) > DETAIL_CHARS_MAX:
            object.__setattr__(self, "detail", self.detail[: DETAIL_CHARS_MAX - 1] + "…")
        if self.until_ms < self.at_ms:
            object.__setattr__(self, "until_ms", self.at_ms)

    def to_cbor(self) -> bytes:
        """The canonical bytes; equal records have equal bytes."""
        return cbor.dumps(
            {
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
        )

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
        if type(fields) is not dict or list(fields) != list(range(1, 13)):
            raise MalformedAuditRecord(why="want the keys 1 to 12")
        types = (int, str, str, str, bytes, int, str, str, str, bytes, int, int)
        if any(type(value) is not kind for value, kind in zip(fields.values(), types, strict=True)):
            raise MalformedAuditRecord(why="a field has the wrong type")
        if fields[2] not in list(Event) or fields[11] < 1 or fields[12] < fields[1]:
            raise MalformedAuditRecord(why="a field has an impossible value")
        if len(fields[9]) > DETAIL_CHARS_MAX:
            raise MalformedAuditRecord(why="detail is too long")
        at_ms, event, *rest = fields.values()
        return cls(at_ms, Event(event), *rest)


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


class Folding:
    """Equal events of one agent within a second become one record with a count.

    The first of a kind passes at once. Its repeats are counted, and come out as one
    record when the second is over. `due` must be asked about once a second and at the
    end of the agent; what it yields is then forgotten here.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[str, ...], _Fold] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, record: AuditRecord) -> list[AuditRecord]:
        """The records to write now: none while `record` repeats an open one."""
        kind = (record.event, record.function, record.code, record.detail, record.originator)
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

    def _close(self, kind: tuple[str, ...]) -> list[AuditRecord]:
        return self._open.pop(kind).folded()
