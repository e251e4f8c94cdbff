"""A landlock ruleset: no file may be opened, no TCP port used, nobody else signalled.

A worker gets it empty; a native program gets the few paths it needs.

Source: the kernel's Documentation/userspace-api/landlock.rst. Rights that the running
kernel does not know are left out; seccomp refuses the calls behind them anyway.
"""

import os
import stat
import struct
from collections.abc import Iterable

from sandbox.worker import libc

# The same numbers on every architecture.
SYS_CREATE_RULESET = 444
SYS_ADD_RULE = 445
SYS_RESTRICT_SELF = 446
CREATE_RULESET_VERSION = 1

# Highest right of the file system by ABI: 13 of the first, then REFER, TRUNCATE, IOCTL_DEV.
_FS_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NET_BIND_AND_CONNECT_TCP = 0b11  # ABI 4
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11  # ABI 6
_RULE_PATH_BENEATH = 1

# Bits of LANDLOCK_ACCESS_FS_*.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_MAKE_SYM, _REFER, _TRUNCATE, _IOCTL_DEV = 1 << 12, 1 << 13, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

READ = _READ_FILE | _READ_DIR
RUN = READ | _EXECUTE
# No sockets, fifos or devices, and nothing that was written is executed.
CHANGE = (
    READ
    | _WRITE_FILE
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REG
    | _MAKE_SYM
    | _REFER
    | _TRUNCATE
)


def abi() -> int:
    """The version of landlock in this kernel; 0 where there is none."""
    if not libc.LINUX:
        return 0
    try:
        return libc.syscall(SYS_CREATE_RULESET, None, 0, CREATE_RULESET_VERSION)
    except OSError:  # not built in, or switched off at boot
        return 0


def ruleset(version: int, *, network: bool = False) -> bytes:
    """The kernel's `struct landlock_ruleset_attr` that handles all and allows nothing.

    With `network`, TCP is not handled: then it is for others to say what may be reached.
    """
    fields = [_rights_known(version)]
    if version >= 4:
        fields.append(0 if network else _NET_BIND_AND_CONNECT_TCP)
    if version >= 6:
        fields.append(_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS)
    return struct.pack(f"={len(fields)}Q", *fields)


def restrict(
    version: int, allowed: Iterable[tuple[str, int]] = (), *, network: bool = False
) -> None:
    """Shut this process in for good, but for the paths in `allowed` with their rights.

    Needs no_new_privs. Raises OSError: a path that cannot be opened among them.
    """
    attributes = ruleset(version, network=network)
    descriptor = libc.syscall(SYS_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path, rights in allowed:
            _allow(descriptor, path, rights & _rights_known(version))
        libc.syscall(SYS_RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)


def _allow(ruleset_descriptor: int, path: str, rights: int) -> None:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            rights &= _OF_FILES  # the kernel refuses the others for a file
        beneath = struct.pack("=Qi", rights, opened)
        libc.syscall(SYS_ADD_RULE, ruleset_descriptor, _RULE_PATH_BENEATH, beneath, 0)
    finally:
        os.close(opened)


def _rights_known(version: int) -> int:
    return (1 << _FS_RIGHTS_BY_ABI[min(version, max(_FS_RIGHTS_BY_ABI))]) - 1
