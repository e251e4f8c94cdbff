"""The few kernel calls that Python has no function for."""

import ctypes
import os
import sys

LINUX = sys.platform == "linux"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.restype = ctypes.c_int

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

# The same number on every architecture: newer than the unified table.
SYS_CLOSE_RANGE = 436


def syscall(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | bytes | None) -> int:
    """One system call; numbers are passed as 64-bit values. Raises OSError."""
    plain = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *plain))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, value: int, third: int = 0) -> None:
    """Change something about this process. Raises OSError."""
    arguments = [ctypes.c_ulong(word) for word in (value, third, 0, 0)]
    if _libc.prctl(ctypes.c_int(option), *arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def close_all_but(keep: set[int]) -> None:
    """Close every file descriptor of this process that is not in `keep`."""
    first = 0
    for descriptor in [*sorted(keep), 1 << 31]:
        if first < descriptor:
            syscall(SYS_CLOSE_RANGE, first, descriptor - 1, 0)
        first = descriptor + 1
