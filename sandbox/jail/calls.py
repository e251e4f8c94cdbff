"""The system calls a native program may not make.

A program that nobody wrote for us needs most of what the kernel offers, so this is a list
of refusals, unlike the worker's list of permissions. It stands behind landlock and the
namespaces, and closes what they leave open: sockets, other processes, kernel interfaces
that have been the way out of other jails, and changes to files which landlock does not
see. Calls newer than the list do not exist for the program.

Sources: the system call tables of Linux 6.18 (arch/x86/entry/syscalls/syscall_64.tbl,
scripts/syscall.tbl), Documentation/userspace-api/seccomp_filter.rst.
"""

from collections.abc import Iterable
from typing import Final

from sandbox.worker.seccomp import (
    ALLOW,
    IF_ANY_BIT,
    IF_AT_LEAST,
    IF_EQUAL,
    KILL_PROCESS,
    LOAD,
    RETURN,
    X86_64,
    Program,
    Table,
    high,
    low,
    preamble,
)

_Numbers = tuple[int, int | None]  # on x86_64, on aarch64

AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_ERRNO: Final = 0x0005_0000
EPERM: Final = _ERRNO | 1
ENOSYS: Final = _ERRNO | 38

NEWEST: Final = 469  # file_setattr, of 6.17

# No honest program makes these: the attempt ends it.
_KILLED: Final[dict[str, _Numbers]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "setns": (308, 268),
    "bpf": (321, 280),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "open_by_handle_at": (304, 265),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}
# Honest programs try some of these and go on without.
_REFUSED: Final[dict[str, _Numbers]] = {
    "unshare": (272, 97),
    "seccomp": (317, 277),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "memfd_secret": (447, 447),
    "name_to_handle_at": (303, 264),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "personality": (135, 92),
    "vhangup": (153, 58),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    # Landlock says who opens a file, not who changes its owner, mode, times or attributes.
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "mknod": (133, None),
    "mknodat": (259, 33),
    # Memory and queues of System V and POSIX have names, and no owner but a uid.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
# What a network needs. A socketpair is none of it: see `denylist`.
_NETWORK: Final[dict[str, _Numbers]] = {
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
}
_SOCKET, _SOCKETPAIR, _SENDTO = (41, 198), (53, 199), (44, 206)
_CLONE, _CLONE3, _PRCTL, _IOCTL = (56, 220), (435, 435), (157, 167), (16, 29)
# Whom one of these is about is its first argument, or the second; 0 is the caller.
_ABOUT_SOMEONE: Final = {
    "prlimit64": ((302, 261), 0),
    "sched_setparam": ((142, 118), 0),
    "sched_setscheduler": ((144, 119), 0),
    "sched_setaffinity": ((203, 122), 0),
    "sched_setattr": ((314, 274), 0),
    "setpriority": ((141, 140), 1),
    "ioprio_set": ((251, 30), 1),
}

_NEW_NAMESPACES: Final = 0x7E02_0000  # all CLONE_NEW* flags that clone takes
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_SOCK_STREAM, _TYPE_MASK = 1, 0xF
_TIOCSTI, _TIOCLINUX, _TIOCSETD = 0x5412, 0x541C, 0x5423  # type into a terminal, and the like
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_MM, _PR_SET_PTRACER = 1, 22, 35, 0x59616D61


def denylist(of: Table, *, network: bool) -> Program:
    """The filter of a native program on the machine of `of`."""
    which = 0 if of is X86_64 else 1
    program = preamble(of)
    program += [(IF_AT_LEAST, 0, 1, NEWEST + 1), (RETURN, 0, 0, ENOSYS)]
    for answer, calls in ((KILL_PROCESS, _KILLED), (EPERM, _REFUSED)):
        program += _always(calls.values(), which, answer)
    program += _always([_CLONE3], which, ENOSYS)  # its flags lie in memory; libc falls back
    program += _if_bits(_CLONE[which], 0, _NEW_NAMESPACES)
    for number, argument in _ABOUT_SOMEONE.values():
        program += _unless_any(number[which], argument, (0,))
    program += _if_any(_IOCTL[which], 1, (_TIOCSTI, _TIOCLINUX, _TIOCSETD))
    watched = (_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_MM, _PR_SET_PTRACER)
    program += _if_any(_PRCTL[which], 0, watched)
    # Event loops need a pair of their own. A stream stays with its other end for good; a
    # datagram socket could be pointed at any address.
    program += _stream_pairs(_SOCKETPAIR[which])
    if network:
        program += _unless_any(_SOCKET[which], 0, (_AF_INET, _AF_INET6))
    else:
        program += _always([*_NETWORK.values(), _SOCKET], which, EPERM)
        program += _unless_null(_SENDTO[which], 4)
    return [*program, (RETURN, 0, 0, ALLOW)]


def number_of(name: str, of: Table) -> int:
    """The number of a call that is refused to programs and that the launcher makes."""
    number = (_KILLED | _REFUSED)[name][0 if of is X86_64 else 1]
    assert number is not None
    return number


def _always(calls: Iterable[_Numbers], which: int, answer: int) -> Program:
    block: Program = []
    for numbers in calls:
        number = numbers[which]
        if number is not None:  # a call that only one of the machines has
            block += [(IF_EQUAL, 0, 1, number), (RETURN, 0, 0, answer)]
    return block


def _block(number: int, body: Program) -> Program:
    """`body` for this call only; it ends in a verdict."""
    return [(IF_EQUAL, 0, len(body), number), *body]


def _if_bits(number: int, argument: int, bits: int) -> Program:
    return _block(
        number,
        [
            (LOAD, 0, 0, low(argument)),
            (IF_ANY_BIT, 0, 1, bits),
            (RETURN, 0, 0, EPERM),
            (RETURN, 0, 0, ALLOW),
        ],
    )


def _if_any(number: int, argument: int, values: tuple[int, ...]) -> Program:
    """Refuse when the low half of the argument is one of `values`: the kernel reads no more."""
    body: Program = [(LOAD, 0, 0, low(argument))]
    for value in values:
        body += [(IF_EQUAL, 0, 1, value), (RETURN, 0, 0, EPERM)]
    return _block(number, [*body, (RETURN, 0, 0, ALLOW)])


def _unless_any(number: int, argument: int, values: tuple[int, ...]) -> Program:
    body: Program = [(LOAD, 0, 0, low(argument))]
    for value in values:
        body += [(IF_EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW)]
    return _block(number, [*body, (RETURN, 0, 0, EPERM)])


def _unless_null(number: int, argument: int) -> Program:
    return _block(
        number,
        [
            (LOAD, 0, 0, low(argument)),
            (IF_EQUAL, 1, 0, 0),
            (RETURN, 0, 0, EPERM),
            (LOAD, 0, 0, high(argument)),
            (IF_EQUAL, 1, 0, 0),
            (RETURN, 0, 0, EPERM),
            (RETURN, 0, 0, ALLOW),
        ],
    )


def _stream_pairs(number: int) -> Program:
    return _block(
        number,
        [
            (LOAD, 0, 0, low(0)),
            (IF_EQUAL, 1, 0, _AF_UNIX),
            (RETURN, 0, 0, EPERM),
            (LOAD, 0, 0, low(1)),
            (AND, 0, 0, _TYPE_MASK),
            (IF_EQUAL, 1, 0, _SOCK_STREAM),
            (RETURN, 0, 0, EPERM),
            (RETURN, 0, 0, ALLOW),
        ],
    )
