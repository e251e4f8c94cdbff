"""Lock a process that runs guest code into nothing but its channel.

Order matters: privileges first (a change of user clears the parent-death signal and the
dumpable flag), what needs files next, system calls last. The seccomp allowlist is the
wall; landlock is a second one behind it where the kernel has it; rlimits are the third.
"""

import ctypes
import os
import signal
import struct

from sandbox.worker import landlock, libc, rlimits, seccomp

# "nobody" of Debian, Fedora and Alpine; mapped in every container.
UNPRIVILEGED_ID = 65_534
_CAPABILITY_VERSION_3 = 0x2008_0522
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}


class ParentGone(Exception):
    """The zygote ended while we were being born."""


def find() -> seccomp.Table | None:
    """The lock that fits this host, or None: then `shut` only lowers limits."""
    return seccomp.table() if seccomp.available() else None


def leave_privileges() -> None:
    """Stop being root, if we are: uid 0 is exempt from RLIMIT_NPROC and owns the machine."""
    if os.geteuid() == 0 or os.getuid() == 0:
        os.setgroups([])
        os.setgid(UNPRIVILEGED_ID)
        os.setuid(UNPRIVILEGED_ID)


def die_with(parent_pid: int) -> None:
    """Have the kernel kill us when the zygote ends, by whatever cause.

    Raises:
        ParentGone: it ended before the request took effect.
    """
    if libc.LINUX:
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        raise ParentGone


def shut(lock: seccomp.Table | None, *, data_bytes: int) -> None:
    """Lock this process in, but for making the code of its component executable.

    Args:
        lock: what `find` found, before this process was locked in.
        data_bytes: memory it may use on top of what it uses now.

    Raises:
        OSError: a lock did not close. The process must end.
    """
    rlimits.restrict(data_bytes=data_bytes)
    if lock is None:
        return
    libc.prctl(libc.PR_SET_DUMPABLE, 0)
    libc.prctl(libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_CLEAR_ALL)
    drop_capabilities()
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    version = landlock.abi()
    if version:
        landlock.restrict(version)
    rlimits.no_more_files()
    seccomp.install(lock, seccomp.allowlist(lock, own_pid=os.getpid()))


def shut_off_new_code(lock: seccomp.Table | None) -> None:
    """From here on no page becomes executable. Call when the component is loaded."""
    if lock is not None:
        seccomp.install(lock, seccomp.no_new_code(lock))


def drop_capabilities() -> None:
    """Give up what root of this user namespace may do. Raises OSError."""
    head = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    nothing = ctypes.create_string_buffer(24)  # two sets of three empty words
    libc.syscall(_SYS_CAPSET[os.uname().machine], head, nothing)
