"""A view of the machine in which there is nothing but what was granted.

Where the kernel lets us: namespaces of our own for users, mounts, processes, IPC, names and
the network, and a root directory made of the granted paths. The mounts are made in a mount
namespace of our own; nothing outside sees them.
"""

import os
import struct
from typing import Final

from sandbox.jail import calls
from sandbox.jail.grants import Grant, is_covered
from sandbox.worker import jail, libc
from sandbox.worker.seccomp import Table

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x2_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000
_NEWUSER, _NEWPID, _NEWNET = 0x1000_0000, 0x2000_0000, 0x4000_0000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_BIND, _MS_REC, _MS_PRIVATE = 4_096, 16_384, 1 << 18
_MNT_DETACH = 2
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_AT_FDCWD, _AT_RECURSIVE = -100 & 0xFFFF_FFFF_FFFF_FFFF, 0x8000

# Where the new root is put together: a directory that every Linux has and nobody is granted.
_STAGE: Final = "/proc"
_ROOT_BYTES: Final = "size=1m,mode=755"  # directories and empty files to mount on
_TMP_BYTES: Final = "size=64m,mode=1777"


def enter(of: Table, granted: list[Grant], *, network: bool) -> None:
    """Move this process into namespaces of its own, and away from root.

    Its next child is the first process of the new process namespace.

    Raises:
        OSError: this host does not allow it. The process is then in an unknown place.
    """
    os.umask(0o022)
    flags = _NEWNS | _NEWPID | _NEWIPC | _NEWUTS | _NEWCGROUP | (0 if network else _NEWNET)
    own = os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.geteuid() == 0:
            _unshare(of, flags)
            _make_root(of, granted)
            jail.leave_privileges()
            _unshare(of, _NEWUSER)  # it counts the processes of each program for itself
            _map_ids(own)
        else:
            _unshare(of, _NEWUSER | flags)
            _map_ids(own)
            _make_root(of, granted)
    finally:
        os.close(own)


def _unshare(of: Table, flags: int) -> None:
    libc.syscall(calls.number_of("unshare", of), flags)


def _map_ids(own: int) -> None:
    # A change of user made our own /proc files root's; this makes them ours again.
    libc.prctl(libc.PR_SET_DUMPABLE, 1)
    # The kernel wants setgroups given up before a group is mapped.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{os.getuid()} {os.getuid()} 1"),
        ("gid_map", f"{os.getgid()} {os.getgid()} 1"),
    ):
        descriptor = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=own)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def _make_root(of: Table, granted: list[Grant]) -> None:
    mount = calls.number_of("mount", of)
    libc.syscall(mount, None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    fresh = _MS_NOSUID | _MS_NODEV
    libc.syscall(mount, b"tmpfs", _STAGE.encode(), b"tmpfs", fresh, _ROOT_BYTES.encode())
    temporary = f"{_STAGE}/tmp"  # noqa: S108 - inside of the new root, empty
    os.mkdir(temporary)
    libc.syscall(
        mount, b"tmpfs", temporary.encode(), b"tmpfs", fresh | _MS_NOEXEC, _TMP_BYTES.encode()
    )
    shown: list[Grant] = []
    for grant in granted:
        if not is_covered(grant, shown):
            _show(of, grant)
            shown.append(grant)
    for grant in granted:
        for link in grant.links:
            _link(link, grant.path)
    old = f"{_STAGE}/.old"
    os.mkdir(old)
    libc.syscall(calls.number_of("pivot_root", of), _STAGE.encode(), old.encode())
    os.chdir("/")
    libc.syscall(calls.number_of("umount2", of), b"/.old", _MNT_DETACH)
    os.rmdir("/.old")
    read_only = _MS_REMOUNT | _MS_BIND | _MS_RDONLY | fresh
    libc.syscall(mount, None, b"/", None, read_only, None)


def _show(of: Table, grant: Grant) -> None:
    """Mount what is granted below the stage, at its own path."""
    target = _STAGE + grant.path
    if os.path.isdir(grant.path):
        os.makedirs(target, mode=0o755, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        if not os.path.lexists(target):
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    where = target.encode()
    bind = _MS_BIND | _MS_REC
    libc.syscall(calls.number_of("mount", of), grant.path.encode(), where, None, bind, None)
    attributes = _ATTR_NOSUID | (0 if grant.is_device else _ATTR_NODEV)
    attributes |= 0 if grant.may_write else _ATTR_RDONLY
    packed = struct.pack("=4Q", attributes, 0, 0, 0)
    set_attributes = calls.number_of("mount_setattr", of)
    libc.syscall(set_attributes, _AT_FDCWD, where, _AT_RECURSIVE, packed, len(packed))


def _link(name: str, real: str) -> None:
    where = _STAGE + name
    if not os.path.lexists(where):  # it may lie inside of something that is shown
        os.makedirs(os.path.dirname(where), mode=0o755, exist_ok=True)
        os.symlink(real, where)
