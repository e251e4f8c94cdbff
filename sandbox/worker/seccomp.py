"""The system calls a worker may make; any other ends the process with SIGSYS.

Filters are classic BPF, assembled by hand: no library to trust, and each line can be
read. Sources: the kernel's Documentation/userspace-api/seccomp_filter.rst,
include/uapi/linux/{seccomp,filter,audit}.h and the system call tables of 6.18.
"""

import ctypes
import platform
import struct
from dataclasses import dataclass
from typing import Final

from sandbox.worker import libc

LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS: the word at offset k of struct seccomp_data
IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
IF_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K

ALLOW: Final = 0x7FFF_0000
KILL_PROCESS: Final = 0x8000_0000

_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_BIT = 0x4000_0000
_PROT_EXEC = 4
_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2

Program = list[tuple[int, int, int, int]]


@dataclass(frozen=True, slots=True)
class Table:
    """One architecture: its audit number, and system calls by name."""

    audit: int
    numbers: dict[str, int]
    has_x32: bool


X86_64: Final = Table(
    0xC000_003E,
    {
        "read": 0,
        "write": 1,
        "close": 3,
        "mmap": 9,
        "mprotect": 10,
        "munmap": 11,
        "brk": 12,
        "rt_sigaction": 13,
        "rt_sigprocmask": 14,
        "rt_sigreturn": 15,
        "sched_yield": 24,
        "mremap": 25,
        "madvise": 28,
        "getpid": 39,
        "sendto": 44,
        "recvfrom": 45,
        "exit": 60,
        "gettimeofday": 96,
        "sigaltstack": 131,
        "gettid": 186,
        "time": 201,
        "futex": 202,
        "clock_gettime": 228,
        "clock_getres": 229,
        "exit_group": 231,
        "tgkill": 234,
        "set_robust_list": 273,
        "seccomp": 317,
        "getrandom": 318,
        "membarrier": 324,
        "rseq": 334,
    },
    has_x32=True,
)
AARCH64: Final = Table(
    0xC000_00B7,
    {
        "read": 63,
        "write": 64,
        "close": 57,
        "mmap": 222,
        "mprotect": 226,
        "munmap": 215,
        "brk": 214,
        "rt_sigaction": 134,
        "rt_sigprocmask": 135,
        "rt_sigreturn": 139,
        "sched_yield": 124,
        "mremap": 216,
        "madvise": 233,
        "getpid": 172,
        "sendto": 206,
        "recvfrom": 207,
        "exit": 93,
        "gettimeofday": 169,
        "sigaltstack": 132,
        "gettid": 178,
        "futex": 98,
        "clock_gettime": 113,
        "clock_getres": 114,
        "exit_group": 94,
        "tgkill": 131,
        "set_robust_list": 99,
        "seccomp": 277,
        "getrandom": 278,
        "membarrier": 283,
        "rseq": 293,
    },
    has_x32=False,
)
TABLES: Final = {"x86_64": X86_64, "aarch64": AARCH64}

# Allowed only with the arguments that `allowlist` checks.
_CHECKED = frozenset({"sendto", "recvfrom", "tgkill", "seccomp"})


def table() -> Table | None:
    """The table of this machine, or None: then there is no jail here."""
    return TABLES.get(platform.machine()) if libc.LINUX else None


def available() -> bool:
    """Whether this kernel kills a process for a system call, and we know its numbers."""
    found = table()
    if found is None:
        return False
    action = struct.pack("=I", KILL_PROCESS)
    try:
        libc.syscall(found.numbers["seccomp"], _GET_ACTION_AVAIL, 0, action)
    except OSError:
        return False
    return True


def allowlist(of: Table, *, own_pid: int) -> Program:
    """The filter of a worker before its component is loaded.

    `seccomp` itself is allowed in the one form that adds a filter: filters only narrow.
    """
    program = preamble(of)
    for name, number in of.numbers.items():
        if name not in _CHECKED:
            program += [(IF_EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    for name in ("sendto", "recvfrom"):
        # The address (fifth argument) is a null pointer: only the connected peer is reached.
        program += only_if(of.numbers[name], {low(4): 0, high(4): 0})
    program += only_if(of.numbers["tgkill"], {low(0): own_pid})
    program += only_if(of.numbers["seccomp"], {low(0): _SET_MODE_FILTER, low(1): 0})
    return [*program, (RETURN, 0, 0, KILL_PROCESS)]


def no_new_code(of: Table) -> Program:
    """The filter on top, once the component is loaded: no page becomes executable any more."""
    program = preamble(of)
    for name in ("mmap", "mprotect"):
        program += [
            (IF_EQUAL, 0, 4, of.numbers[name]),
            (LOAD, 0, 0, low(2)),
            (IF_ANY_BIT, 0, 1, _PROT_EXEC),
            (RETURN, 0, 0, KILL_PROCESS),
            (RETURN, 0, 0, ALLOW),
        ]
    program += [(IF_EQUAL, 0, 1, of.numbers["seccomp"]), (RETURN, 0, 0, KILL_PROCESS)]
    return [*program, (RETURN, 0, 0, ALLOW)]


def preamble(of: Table) -> Program:
    """The start of each filter: another architecture is killed, the number is loaded."""
    # The architecture first: the same number means another call in another one.
    program: Program = [
        (LOAD, 0, 0, _ARCHITECTURE_AT),
        (IF_EQUAL, 1, 0, of.audit),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, _NUMBER_AT),
    ]
    if of.has_x32:
        program += [(IF_AT_LEAST, 0, 1, _X32_BIT), (RETURN, 0, 0, KILL_PROCESS)]
    return program


def only_if(number: int, words: dict[int, int]) -> Program:
    """Allow `number` if each word at an offset has its value, else kill."""
    block: Program = []
    for offset, value in words.items():
        block += [(LOAD, 0, 0, offset), (IF_EQUAL, 1, 0, value), (RETURN, 0, 0, KILL_PROCESS)]
    block.append((RETURN, 0, 0, ALLOW))
    return [(IF_EQUAL, 0, len(block), number), *block]


def low(argument: int) -> int:
    """Offset of the low half of an argument; both architectures are little-endian."""
    return _ARGUMENTS_AT + 8 * argument


def high(argument: int) -> int:
    """Offset of the high half of an argument."""
    return low(argument) + 4


def install(of: Table, program: Program) -> None:
    """Put `program` on this process for good. Needs no_new_privs. Raises OSError."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    # struct sock_fprog: a u16 count, padding, a pointer.
    head = struct.pack("@HP", len(program), ctypes.addressof(code))
    libc.syscall(of.numbers["seccomp"], _SET_MODE_FILTER, 0, head)
