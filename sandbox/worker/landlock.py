"""An empty landlock ruleset: no file may be opened, no TCP port used, nobody else signalled.

Source: the kernel's Documentation/userspace-api/landlock.rst. Rights that the running
kernel does not know are left out; seccomp refuses the calls behind them anyway.
"""

import os
import struct

from sandbox.worker import libc

# The same numbers on every architecture.
SYS_CREATE_RULESET = 444
SYS_RESTRICT_SELF = 446
CREATE_RULESET_VERSION = 1

# Highest right of the file system by ABI: 13 of the first, then REFER, TRUNCATE, IOCTL_DEV.
_FS_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NET_BIND_AND_CONNECT_TCP = 0b11  # ABI 4
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11  # ABI 6


def abi() -> int:
    """The version of landlock in this kernel; 0 where there is none."""
    if not libc.LINUX:
        return 0
    try:
        return libc.syscall(SYS_CREATE_RULESET, None, 0, CREATE_RULESET_VERSION)
    except OSError:  # not built in, or switched off at boot
        return 0


def ruleset(version: int) -> bytes:
    """The kernel's `struct landlock_ruleset_attr` that handles all and allows nothing."""
    rights = (1 << _FS_RIGHTS_BY_ABI[min(version, max(_FS_RIGHTS_BY_ABI))]) - 1
    fields = [rights]
    if version >= 4:
        fields.append(_NET_BIND_AND_CONNECT_TCP)
    if version >= 6:
        fields.append(_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS)
    return struct.pack(f"={len(fields)}Q", *fields)


def restrict(version: int) -> None:
    """Shut this process in for good. Needs no_new_privs. Raises OSError."""
    attributes = ruleset(version)
    descriptor = libc.syscall(SYS_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        libc.syscall(SYS_RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)
