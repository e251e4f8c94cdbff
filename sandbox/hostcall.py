"""The frames between a worker process and the node, whatever the worker holds.

    worker                          node
      READY ───────────────────────▶         once, when the component is loaded and the jail shut
            ◀─────────────────────── RUN     one task
      CALL ────────────────────────▶         as often as the guest calls out:
            ◀─────────────────────── ANSWER  the next thing a worker hears after a CALL
      DONE or FAULT ───────────────▶         then the next RUN

A compile child sends CHUNK … CHUNK DONE, or FAULT. One frame is a little-endian u32
length, one byte of type, the body. Frames carry no authority: they say what a guest
wants, and the node knows whose guest it is.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from sandbox.errors import MalformedFrame
from sandbox.fault import Fault, FaultCode

TEXT_BYTES_MAX: Final = 1 << 20  # DESIGN §8: a host call is 1 MiB at most
# Fixed fields of any frame: type, numbers, and the lengths of up to three texts.
FRAME_BYTES_MAX: Final = TEXT_BYTES_MAX + 64
WHY_BYTES_MAX: Final = 2_000  # a reason is for a log line

_LENGTH = struct.Struct("<I")
_RUN = struct.Struct("<QIHHHI")
_CALL = struct.Struct("<IB")
_ANSWER = struct.Struct("<IB")
_DONE = struct.Struct("<BQ")
_CODES: Final = tuple(FaultCode)

# Every function an agent can call, with its parameters: "s" text, "u" u32. The position
# is the number on the wire, so the order is fixed: new functions go to the end.
FUNCTIONS: Final[dict[str, str]] = {
    "inference.prompt": "s",
    "journal.append": "ss",
    "journal.read": "su",
    "journal.search": "su",
    "database.query": "ss",
    "database.execute": "ss",
    "http-fetch.fetch": "s",
    "a2a.send": "ss",
    "a2a.wait": "su",
    "a2a.cancel": "s",
    "mcp.list-tools": "s",
    "mcp.call-tool": "sss",
    "filesystem.list-files": "ssu",
    "filesystem.read-file": "s",
    "spend.balance": "",
    "spend.quote": "s",
    "spend.charge": "s",
    "task.progress": "s",
    "task.is-cancelled": "",
    "task.log": "ss",
    "task.now": "",
    "task.random": "u",
    "journal.find": "s",
}
_NAMES: Final = tuple(FUNCTIONS)
_NUMBERS: Final = {name: number for number, name in enumerate(_NAMES)}


class Kind(IntEnum):
    """The type byte."""

    READY = 1
    RUN = 2
    CALL = 3
    ANSWER = 4
    DONE = 5
    FAULT = 6
    CHUNK = 7


FROM_WORKER: Final = frozenset({Kind.READY, Kind.CALL, Kind.DONE, Kind.FAULT})
FROM_COMPILER: Final = frozenset({Kind.CHUNK, Kind.DONE, Kind.FAULT})
FROM_NODE: Final = frozenset({Kind.RUN, Kind.ANSWER})


class FaultKind(StrEnum):
    """How an attempt ended badly. All but `worker` are the guest's doing."""

    TRAP = "trap"
    OUT_OF_FUEL = "out-of-fuel"
    STACK_OVERFLOW = "stack-overflow"
    MALFORMED_TEXT = "malformed-text"  # bytes that are no UTF-8 where text was due
    TOO_LONG = "too-long"  # an answer over TEXT_BYTES_MAX
    REFUSED = "refused"  # the component may not be loaded; `why` names the import
    WORKER = "worker"  # our own bug; the worker ends after saying so


_FAULT_KINDS: Final = tuple(FaultKind)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one attempt may use. `memory_bytes` is per memory: the bound is the product."""

    fuel: int
    memory_bytes: int = 16 << 20
    # Measured: the smallest that run QuickJS (3 memories, 13 instances) and Python (38, 8,192).
    memories: int = 3
    instances: int = 64
    tables: int = 64
    table_elements: int = 20_000


@dataclass(frozen=True, slots=True)
class Ready:
    """The component is loaded; `jailed` if the whole jail is shut behind it."""

    jailed: bool


@dataclass(frozen=True, slots=True)
class Run:
    """Run the guest's `run` on this task in a fresh store."""

    limits: Limits
    task: str


@dataclass(frozen=True, slots=True)
class Call:
    """The guest's call `number` of this attempt, counted from 0."""

    number: int
    function: str
    arguments: tuple[str | int, ...]

    @property
    def request(self) -> bytes:
        """Function and arguments as bytes, without the number: what a memory of calls hashes."""
        return _call_body(self.function, self.arguments)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the call `number` gave: text, or a fault."""

    number: int
    result: str | Fault


@dataclass(frozen=True, slots=True)
class Done:
    """The guest returned: `ok`, or its own error text."""

    ok: bool
    text: str
    fuel_used: int


@dataclass(frozen=True, slots=True)
class Faulted:
    """The attempt ended without an answer."""

    kind: FaultKind
    why: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next bytes of a compiled component."""

    data: bytes


Frame = Ready | Run | Call | Answer | Done | Faulted | Chunk


def encode(frame: Frame) -> bytes:
    """One frame as bytes. Text over TEXT_BYTES_MAX is the caller's bug; a `why` is cut."""
    match frame:
        case Ready(jailed):
            kind, body = Kind.READY, bytes([jailed])
        case Run(limits, task):
            fixed = _RUN.pack(
                limits.fuel,
                limits.memory_bytes,
                limits.memories,
                limits.instances,
                limits.tables,
                limits.table_elements,
            )
            kind, body = Kind.RUN, fixed + task.encode()
        case Call(number, function, arguments):
            kind, body = Kind.CALL, number.to_bytes(4, "little") + _call_body(function, arguments)
        case Answer(number, Fault(code, why)):
            kind, body = Kind.ANSWER, _ANSWER.pack(number, 1 + _CODES.index(code)) + _cut(why)
        case Answer(number, str() as text):
            kind, body = Kind.ANSWER, _ANSWER.pack(number, 0) + text.encode()
        case Done(ok, text, fuel_used):
            kind, body = Kind.DONE, _DONE.pack(ok, fuel_used) + text.encode()
        case Faulted(fault_kind, why):
            kind, body = Kind.FAULT, bytes([_FAULT_KINDS.index(fault_kind)]) + _cut(why)
        case Chunk(data):
            kind, body = Kind.CHUNK, data
        case _:
            raise AssertionError("no such frame")
    assert len(body) < FRAME_BYTES_MAX, "a text too long for one frame"
    return _LENGTH.pack(1 + len(body)) + bytes([kind]) + body


def _cut(why: str) -> bytes:
    return why.encode("utf-8", "replace")[:WHY_BYTES_MAX].decode("utf-8", "ignore").encode()


def _call_body(function: str, arguments: tuple[str | int, ...]) -> bytes:
    kinds = FUNCTIONS[function]
    assert len(kinds) == len(arguments), "a call with too few or too many arguments"
    parts = [bytes([_NUMBERS[function]])]
    for argument in arguments:
        if isinstance(argument, int):
            parts.append(_LENGTH.pack(argument))
        else:
            text = argument.encode()
            parts += (_LENGTH.pack(len(text)), text)
    return b"".join(parts)


def decode(payload: bytes) -> Frame:
    """The frame in `payload` (type byte and body, without the length).

    Raises:
        MalformedFrame: these bytes are no frame. What is one has no second form.
    """
    if not payload:
        raise MalformedFrame(why="empty")
    body = payload[1:]
    try:
        match payload[0]:
            case Kind.READY:
                frame: Frame = Ready(_flag(body, exact=True))
            case Kind.RUN:
                limits = Limits(*_RUN.unpack_from(body))
                frame = Run(limits, _text(body[_RUN.size :]))
            case Kind.CALL:
                frame = _decode_call(body)
            case Kind.ANSWER:
                number, code = _ANSWER.unpack_from(body)
                text = _text(body[_ANSWER.size :], bytes_max=WHY_BYTES_MAX if code else None)
                frame = Answer(number, Fault(_CODES[code - 1], text) if code else text)
            case Kind.DONE:
                _, fuel_used = _DONE.unpack_from(body)
                frame = Done(_flag(body), _text(body[_DONE.size :]), fuel_used)
            case Kind.FAULT:
                frame = Faulted(_FAULT_KINDS[body[0]], _text(body[1:], bytes_max=WHY_BYTES_MAX))
            case Kind.CHUNK:
                frame = Chunk(body)
            case unknown:
                raise MalformedFrame(why=f"unknown type {unknown}")
    except (struct.error, IndexError) as malformed:
        raise MalformedFrame(why="too short, or a number without a meaning") from malformed
    return frame


def _flag(body: bytes, *, exact: bool = False) -> bool:
    if body[0] > 1 or (exact and len(body) != 1):
        raise MalformedFrame(why="a flag that is neither 0 nor 1")
    return bool(body[0])


def _text(data: bytes, *, bytes_max: int | None = None) -> str:
    if len(data) > (bytes_max or TEXT_BYTES_MAX):
        raise MalformedFrame(why="text over its limit")
    try:
        return data.decode()
    except UnicodeDecodeError as malformed:
        raise MalformedFrame(why="text that is not UTF-8") from malformed


def _decode_call(body: bytes) -> Call:
    number, function_number = _CALL.unpack_from(body)
    function = _NAMES[function_number]
    arguments: list[str | int] = []
    at = _CALL.size
    for kind in FUNCTIONS[function]:
        (value,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if kind == "u":
            arguments.append(value)
            continue
        text = body[at : at + value]
        if len(text) != value:
            raise MalformedFrame(why="an argument longer than its frame")
        arguments.append(_text(text))
        at += value
    if at != len(body):
        raise MalformedFrame(why="bytes after the last argument")
    return Call(number, function, tuple(arguments))


class Parser:
    """Cut a stream into frames of the `accepted` kinds; holds at most one frame in memory."""

    def __init__(self, accepted: frozenset[Kind]) -> None:
        self._accepted = accepted
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes as they came. Read all of `frames` before the next."""
        self._buffer += data

    def frames(self) -> Iterator[Frame]:
        """The complete frames so far.

        Raises:
            MalformedFrame: and the stream is beyond repair: no border is known any more.
        """
        while (frame := self.next()) is not None:
            yield frame

    def next(self) -> Frame | None:
        """The next complete frame, or None until more bytes are fed. Raises as `frames`."""
        buffer = self._buffer
        if len(buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(buffer)
        if not 0 < length <= FRAME_BYTES_MAX:
            raise MalformedFrame(why=f"length {length}")
        # Refused at the first byte: a hostile worker cannot make us buffer what we will not read.
        if len(buffer) > _LENGTH.size and buffer[_LENGTH.size] not in self._accepted:
            raise MalformedFrame(why=f"type {buffer[_LENGTH.size]} from this side")
        end = _LENGTH.size + length
        if len(buffer) < end:
            return None
        payload = bytes(buffer[_LENGTH.size : end])
        del buffer[:end]
        return decode(payload)
