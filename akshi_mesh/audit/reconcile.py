"""What two nodes tell each other to compare their receipts, and what the comparison says.

A question asks for a page of rows about tasks between the two, or for one receipt. An answer is
signed by who gives it: a lie about a task is a signed lie. Spec: docs/spec/audit.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from akshi_mesh.audit.errors import MalformedReconcile
from akshi_mesh.audit.receipts import AGREED, LATE, OPEN, Held
from identity import cbor
from identity.errors import MalformedCbor

PAGE_ROWS: Final = 128
TASK_ID_BYTES: Final = 32
STATE_CHARS_MAX: Final = 32
BODY_BYTES_MAX: Final = 58_000
_STANDINGS: Final = ("open", "agreed", "late", "contradicted")
AGREES, ONE_SIDED, CONTRADICTS = "agreed", "one-sided", "contradictory"


@dataclass(frozen=True, slots=True)
class Question:
    """Rows behind `after`; or, if `receipt_of` is given, the asker's receipt about that task."""

    after: bytes = b""
    receipt_of: bytes = b""

    def to_cbor(self) -> bytes:
        return cbor.dumps({2: self.receipt_of} if self.receipt_of else {1: self.after})

    @classmethod
    def from_cbor(cls, data: bytes) -> Self:
        """Raises: MalformedReconcile."""
        fields = _map(data)
        if list(fields) not in ([1], [2]):
            raise MalformedReconcile("want a cursor or a task")
        after, task = fields.get(1, b""), fields.get(2, b"")
        lengths = {0, TASK_ID_BYTES} if 1 in fields else {TASK_ID_BYTES}
        if type(after) is not bytes or type(task) is not bytes:
            raise MalformedReconcile("a task id is bytes")
        if len(after if 1 in fields else task) not in lengths:
            raise MalformedReconcile("a task id is 32 bytes")
        return cls(after, task)


@dataclass(frozen=True, slots=True)
class Row:
    """What the speaker holds of one task. `asked`: the speaker asked the listener for it."""

    task_id: bytes
    asked: bool
    state: str
    request: bytes
    answer: bytes
    result_id: bytes
    receipt_id: bytes
    at_ms: int
    standing: str

    @classmethod
    def of(cls, held: Held) -> Self:
        return cls(
            held.task_id,
            held.asked,
            held.state,
            held.request,
            held.answer,
            held.result_id,
            held.receipt_id,
            held.at_ms,
            held.standing,
        )

    def to_list(self) -> list[cbor.Value]:
        return [
            *(self.task_id, int(self.asked), self.state, self.request, self.answer),
            *(self.result_id, self.receipt_id, self.at_ms, _STANDINGS.index(self.standing)),
        ]

    @classmethod
    def from_list(cls, value: object) -> Self:
        """Raises: MalformedReconcile."""
        kinds = (bytes, int, str, bytes, bytes, bytes, bytes, int, int)
        if type(value) is not list or [type(field) for field in value] != list(kinds):
            raise MalformedReconcile("a row has nine fields")
        task_id, asked, state, request, answer, result, receipt, at_ms, standing = value
        hashes = (request, answer, result, receipt)
        if len(task_id) != TASK_ID_BYTES or asked not in {0, 1} or at_ms < 0:
            raise MalformedReconcile("a row has an impossible value")
        if any(len(one) not in {0, TASK_ID_BYTES} for one in hashes):
            raise MalformedReconcile("a hash is 32 bytes")
        if not 0 <= standing < len(_STANDINGS) or not 0 < len(state) <= STATE_CHARS_MAX:
            raise MalformedReconcile("a row has an impossible value")
        said = _STANDINGS[standing]
        return cls(task_id, bool(asked), state, request, answer, result, receipt, at_ms, said)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of their tasks, and where the next page begins (empty: no more)."""

    rows: tuple[Row, ...] = ()
    next: bytes = b""
    receipt: bytes | None = None  # the answer to `receipt_of`; empty if there is none
    busy: bool = False  # ask again later

    def to_cbor(self) -> bytes:
        if self.busy:
            return cbor.dumps({4: True})
        if self.receipt is not None:
            return cbor.dumps({3: self.receipt})
        rows: list[cbor.Value] = [row.to_list() for row in self.rows]
        return cbor.dumps({1: rows, 2: self.next})

    @classmethod
    def from_cbor(cls, data: bytes, *, after: bytes = b"") -> Self:
        """Read the page behind `after`.

        Raises:
            MalformedReconcile: no page, out of order, or not behind `after`.
        """
        fields = _map(data)
        if list(fields) == [4] and fields[4] is True:
            return cls(busy=True)
        if list(fields) == [3]:
            receipt = fields[3]
            if type(receipt) is not bytes:
                raise MalformedReconcile("a receipt is bytes")
            return cls(receipt=receipt)
        values, following = fields.get(1), fields.get(2)
        if list(fields) != [1, 2] or type(values) is not list or type(following) is not bytes:
            raise MalformedReconcile("no page")
        if len(values) > PAGE_ROWS:
            raise MalformedReconcile("too many rows")
        rows = tuple(Row.from_list(value) for value in values)
        last = after
        for row in rows:
            if row.task_id <= last:
                raise MalformedReconcile("rows out of order")
            last = row.task_id
        if following and (not rows or following != last):
            raise MalformedReconcile("a page that leads nowhere")
        return cls(rows, following)


@dataclass(frozen=True, slots=True)
class Finding:
    """What the comparison says of one task. `claims_receipt`: to be shown, ours is another."""

    task_id: bytes
    verdict: str
    why: str
    at_ms: int
    claims_receipt: bool = False


def compare(ours: Held | None, theirs: Row | None) -> Finding:
    """Judge one task, of which at least one side holds something."""
    if theirs is None:
        assert ours is not None, "somebody holds it"
        return Finding(ours.task_id, ONE_SIDED, "only this node holds it", ours.at_ms)
    if ours is None:
        return Finding(theirs.task_id, ONE_SIDED, "only the other node holds it", theirs.at_ms)
    why = _difference(ours, theirs)
    if why:
        return Finding(ours.task_id, CONTRADICTS, why, ours.at_ms)
    if ours.standing in {OPEN, LATE}:
        return Finding(ours.task_id, ONE_SIDED, _lacks(ours), ours.at_ms)
    if theirs.standing in {OPEN, LATE}:
        return Finding(ours.task_id, ONE_SIDED, "the other node lacks a signature", ours.at_ms)
    if ours.standing != AGREED:
        return Finding(ours.task_id, CONTRADICTS, "it signed two different results", ours.at_ms)
    # Who asked signs the receipt; of the other's claim to have one, it knows what it signed.
    claims = ours.asked and theirs.receipt_id != ours.receipt_id
    return Finding(ours.task_id, AGREES, "", ours.at_ms, claims)


def _difference(ours: Held, theirs: Row) -> str:
    if ours.asked == theirs.asked:
        return "both say that they asked" if ours.asked else "both say that the other asked"
    if ours.request != theirs.request:
        return "the request is another"
    if not ours.answer or not theirs.answer:
        return ""  # one of the two has no result: a signature lacks, nothing contradicts
    if ours.answer != theirs.answer:
        return "the result is another"
    return "" if ours.state == theirs.state else "it ended in another way"


def _lacks(ours: Held) -> str:
    if not ours.result:
        return "no result came"
    return "no receipt was sent" if ours.asked else "no receipt came"


def pairs(ours: Iterable[Held], theirs: Iterable[Row]) -> list[tuple[Held | None, Row | None]]:
    """Both sides' rows of the same tasks, in order."""
    mine = {held.task_id: held for held in ours}
    others = {row.task_id: row for row in theirs}
    return [(mine.get(key), others.get(key)) for key in sorted(mine.keys() | others.keys())]


def _map(data: bytes) -> dict[object, object]:
    try:
        fields = cbor.loads(data, size_max=BODY_BYTES_MAX)
    except MalformedCbor as failure:
        raise MalformedReconcile(failure.why) from failure
    if type(fields) is not dict:
        raise MalformedReconcile("no map")
    return dict(fields)
