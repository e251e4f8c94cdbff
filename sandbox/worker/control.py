"""What the node and its zygote say to each other: fixed-size messages over a stream socket."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

_ORDER = struct.Struct("<IIQ")
_REPORT = struct.Struct("<IIi")
ORDER_BYTES = _ORDER.size
REPORT_BYTES = _REPORT.size


class Purpose(IntEnum):
    """What a child is for."""

    WORK = 1
    COMPILE = 2


@dataclass(frozen=True, slots=True)
class Order:
    """Node to zygote: fork a child. One descriptor comes along: what it loads or compiles."""

    purpose: Purpose
    number: int  # the node's name for the child
    data_bytes: int

    def pack(self) -> bytes:
        return _ORDER.pack(self.purpose, self.number, self.data_bytes)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        purpose, number, data_bytes = _ORDER.unpack(data)
        return cls(Purpose(purpose), number, data_bytes)


class Event(IntEnum):
    """What happened in the zygote."""

    STARTED = 1  # value: 1 if children will be jailed
    SPAWNED = 2  # value: the pid; descriptors come along: channel, pidfd
    REFUSED = 3  # value: errno of the fork
    EXITED = 4  # value: exit code, or minus the signal


@dataclass(frozen=True, slots=True)
class Report:
    """Zygote to node: what became of a child."""

    event: Event
    number: int
    value: int

    def pack(self) -> bytes:
        return _REPORT.pack(self.event, self.number, self.value)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        event, number, value = _REPORT.unpack(data)
        return cls(Event(event), number, value)
