"""The life of a child of the zygote, from its fork to its end. No function here returns."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from sandbox.hostcall import Chunk, Done, Faulted, FaultKind, Ready, Run
from sandbox.worker import jail, libc, seccomp
from sandbox.worker.channel import Channel, NodeGone
from sandbox.worker.contract import Refused

CHUNK_BYTES = 1 << 20
EXIT_NODE_GONE = 0
EXIT_REFUSED = 65
EXIT_BUG = 70
_READ_BYTES = 1 << 30  # the kernel gives 2 GiB at most; one piece is not copied again


class Guest(Protocol):
    """What a worker runs."""

    def run(self, order: Run) -> Done | Faulted: ...


Load = Callable[[bytes, Channel], Guest]
Compile = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Birth:
    """What a child gets from the zygote."""

    channel: int
    payload: int
    parent_pid: int
    data_bytes: int
    lock: seccomp.Table | None


def work(birth: Birth, load: Load) -> NoReturn:
    """Be a worker: load the component in the jail, then run task after task."""

    def life(channel: Channel, compiled: bytes) -> None:
        guest = load(compiled, channel)
        jail.shut_off_new_code(birth.lock)
        channel.send(Ready(jailed=birth.lock is not None))
        while True:
            order = channel.receive()
            assert isinstance(order, Run), "the node speaks out of turn"
            channel.send(guest.run(order))

    _live(birth, life)


def compile_component(birth: Birth, compile_: Compile) -> NoReturn:
    """Be a compile child: send machine code in chunks, then end."""

    def life(channel: Channel, wasm: bytes) -> None:
        code = memoryview(compile_(wasm))
        for at in range(0, len(code), CHUNK_BYTES):
            channel.send(Chunk(bytes(code[at : at + CHUNK_BYTES])))
        channel.send(Done(ok=True, text="", fuel_used=0))

    _live(birth, life)


def _live(birth: Birth, life: Callable[[Channel, bytes], None]) -> NoReturn:
    """Lock the door, live, and end without the interpreter's farewell."""
    code = EXIT_BUG
    channel = Channel(birth.channel)
    try:
        libc.close_all_but({birth.channel, birth.payload})
        payload = _read_whole(birth.payload)
        os.close(birth.payload)
        jail.leave_privileges()
        jail.die_with(birth.parent_pid)
        jail.shut(birth.lock, data_bytes=birth.data_bytes + 2 * len(payload))
        life(channel, payload)
        code = 0
    except (NodeGone, jail.ParentGone):
        code = EXIT_NODE_GONE
    except Refused as refused:
        code = EXIT_REFUSED
        _say(channel, Faulted(FaultKind.REFUSED, str(refused)))
    except BaseException as bug:  # said in one frame, then the process ends
        _say(channel, Faulted(FaultKind.WORKER, f"{type(bug).__name__}: {bug}"))
    finally:
        os._exit(code)


def _say(channel: Channel, fault: Faulted) -> None:
    try:
        channel.send(fault)
    except NodeGone:
        os._exit(EXIT_NODE_GONE)


def _read_whole(descriptor: int) -> bytes:
    """All bytes of a sealed memfd. Its offset is shared with other workers, so it is not used."""
    size = os.fstat(descriptor).st_size
    parts: list[bytes] = []
    at = 0
    while at < size:
        part = os.pread(descriptor, _READ_BYTES, at)
        assert part, "a sealed file does not shrink"
        parts.append(part)
        at += len(part)
    return b"".join(parts)
