"""A native program that tries to get out of its jail, one attack a run: what it got, as JSON.

    python -I -S jailed_program.py ATTACK [ARGUMENTS AS JSON]

It attempts nothing unless the kernel says that it runs with no_new_privs under a seccomp
filter. `nothing` is the answer of a jail that holds; anything else is what was reached.
"""

import ctypes
import errno
import fcntl
import json
import os
import platform
import signal
import socket
import sys
import time
from collections.abc import Callable

X86 = platform.machine() == "x86_64"
LIBC = ctypes.CDLL(None, use_errno=True)
PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS, PR_SET_PDEATHSIG = 21, 39, 1
AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK = 16, 17, 38, 40
PTRACE, PROCESS_VM_READV, PIDFD_GETFD = (101, 310, 438) if X86 else (117, 270, 438)
MOUNT, UNSHARE, SETNS, BPF = (165, 272, 308, 321) if X86 else (40, 97, 268, 280)
KEYCTL, PERF, USERFAULTFD, IO_URING = (250, 298, 323, 425) if X86 else (219, 241, 282, 425)
TIOCSTI, CLONE_NEWUSER = 0x5412, 0x1000_0000


def syscall(number: int, *arguments: object) -> int:
    result = int(LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def attempt(what: Callable[[], object]) -> object:
    """What `what` got, in a child, since the kernel may end whoever tries."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            got = what()
            os.write(writing, json.dumps(f"got {got!r}").encode()[:4000])
        except OSError as refused:
            os.write(writing, json.dumps(f"no: {errno.errorcode.get(refused.errno or 0)}").encode())
        os._exit(0)
    os.close(writing)
    _, how = os.waitpid(child, 0)
    said = os.read(reading, 4096)
    os.close(reading)
    return json.loads(said) if said else f"ended: {os.waitstatus_to_exitcode(how)}"


def connect(family: int, kind: int, address: object) -> str:
    with socket.socket(family, kind) as way:
        way.settimeout(2)
        way.connect(address)  # type: ignore[arg-type]
        return "connected"


def datagram_pair(path: str) -> str:
    """A pair of our own, of which one end is then pointed at the node's socket."""
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.connect(path)
    return "connected"


def stream_pair(path: str) -> str:
    """The pair that event loops may have, misused with an address."""
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.connect(path)
    return "connected"


def look_around(paths: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in paths:
        found[f"read {path}"] = attempt(lambda p=path: open(p, "rb").read(20))
        found[f"list {path}"] = attempt(lambda p=path: os.listdir(p))
        found[f"write {path}"] = attempt(lambda p=path: open(p, "ab"))
        found[f"into {path}"] = attempt(lambda p=path: open(p + "/planted", "wb"))
        found[f"chmod {path}"] = attempt(lambda p=path: os.chmod(p, 0o777))
        found[f"chown {path}"] = attempt(lambda p=path: os.chown(p, os.getuid(), os.getgid()))
        found[f"touch {path}"] = attempt(lambda p=path: os.utime(p))
        found[f"link {path}"] = attempt(lambda p=path: os.link(p, "/tmp/planted"))
        found[f"rename {path}"] = attempt(lambda p=path: os.rename(p, p + ".gone"))
        found[f"remove {path}"] = attempt(lambda p=path: os.unlink(p))
    return found


def reach_api(path: str, abstract: str) -> dict[str, object]:
    return {
        "stream": attempt(lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, path)),
        "datagram": attempt(lambda: connect(socket.AF_UNIX, socket.SOCK_DGRAM, path)),
        "abstract": attempt(lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract)),
        "datagram pair": attempt(lambda: datagram_pair(path)),
        "stream pair": attempt(lambda: stream_pair(path)),
    }


def reach_network(port: int) -> dict[str, object]:
    host = ("127.0.0.1", port)
    return {
        "tcp": attempt(lambda: connect(socket.AF_INET, socket.SOCK_STREAM, host)),
        "tcp6": attempt(lambda: connect(socket.AF_INET6, socket.SOCK_STREAM, ("::1", port))),
        "udp": attempt(lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, host)),
        "raw": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
        "packet": attempt(lambda: socket.socket(AF_PACKET, socket.SOCK_RAW, 0)),
        "netlink": attempt(lambda: socket.socket(AF_NETLINK, socket.SOCK_RAW, 0)),
        "vsock": attempt(lambda: socket.socket(AF_VSOCK, socket.SOCK_STREAM, 0)),
        "alg": attempt(lambda: socket.socket(AF_ALG, socket.SOCK_SEQPACKET, 0)),
        "bind": attempt(lambda: socket.create_server(("127.0.0.1", 0))),
    }


def other_processes(pids: list[int]) -> dict[str, object]:
    found: dict[str, object] = {}
    for pid in pids:
        found[f"fds {pid}"] = attempt(lambda p=pid: os.listdir(f"/proc/{p}/fd"))
        found[f"memory {pid}"] = attempt(lambda p=pid: open(f"/proc/{p}/mem", "rb").read(1))
        found[f"environment {pid}"] = attempt(
            lambda p=pid: open(f"/proc/{p}/environ", "rb").read(20)
        )
        found[f"kill {pid}"] = attempt(lambda p=pid: os.kill(p, signal.SIGKILL))
        found[f"stop {pid}"] = attempt(lambda p=pid: os.kill(p, signal.SIGSTOP))
        found[f"starve {pid}"] = attempt(lambda p=pid: starve(p))
        found[f"ptrace {pid}"] = attempt(lambda p=pid: syscall(PTRACE, 16, p, 0, 0))
        found[f"take a descriptor {pid}"] = attempt(
            lambda p=pid: syscall(PIDFD_GETFD, os.pidfd_open(p), 0, 0)
        )
    return found


def starve(pid: int) -> object:
    import resource

    return resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0))


def kernel() -> dict[str, object]:
    null = ctypes.c_void_p(0)
    vector = ctypes.create_string_buffer(64)
    return {
        "ptrace": attempt(lambda: syscall(PTRACE, 0, 0, 0, 0)),
        "process_vm_readv": attempt(
            lambda: syscall(PROCESS_VM_READV, os.getppid(), vector, 1, vector, 1, 0)
        ),
        "mount": attempt(lambda: syscall(MOUNT, null, b"/tmp", b"tmpfs", 0, null)),
        "unshare": attempt(lambda: syscall(UNSHARE, CLONE_NEWUSER)),
        "setns": attempt(lambda: syscall(SETNS, 0, 0)),
        "bpf": attempt(lambda: syscall(BPF, 0, vector, 64)),
        "keyctl": attempt(lambda: syscall(KEYCTL, 0, 0)),
        "perf": attempt(lambda: syscall(PERF, vector, 0, -1, -1, 0)),
        "userfaultfd": attempt(lambda: syscall(USERFAULTFD, 0)),
        "io_uring": attempt(lambda: syscall(IO_URING, 1, vector)),
        "newer than the list": attempt(lambda: syscall(500)),
        "outlive the parent": attempt(lambda: prctl(PR_SET_PDEATHSIG, 0)),
    }


def prctl(option: int, value: int) -> int:
    result = int(LIBC.prctl(option, value, 0, 0, 0))
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def type_into_terminal() -> dict[str, object]:
    return {
        "tiocsti": attempt(lambda: fcntl.ioctl(0, TIOCSTI, b"x")),
        "tty": attempt(lambda: open("/dev/tty", "rb")),
    }


def descriptors() -> dict[str, object]:
    """Every descriptor beyond the first three that is open."""
    got = []
    for number in range(3, 4096):
        try:
            got.append([number, os.fstat(number).st_mode])
        except OSError:
            continue
    return {"inherited": "no: none" if not got else f"got {got}"}


def bomb() -> dict[str, object]:
    """Processes until there may be no more of them."""
    count = 0
    for _ in range(2_000):
        try:
            child = os.fork()
        except OSError:
            break
        if child == 0:
            time.sleep(60)
            os._exit(0)
        count += 1
    return {"processes": count}


def daemon() -> dict[str, object]:
    """A child in a session of its own, deaf to all but SIGKILL, that holds our output."""
    for _ in range(3):
        child = os.fork()
        if child == 0:
            os.setsid()
            if os.fork() == 0:
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                while True:
                    time.sleep(1)
            os._exit(0)
        os.waitpid(child, 0)
    return {"started": 3}


def fill(path: str, size: int) -> dict[str, object]:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def write() -> object:
        with open(path, "wb") as file:
            for _ in range(size >> 20):
                file.write(b"x" * (1 << 20))
        return os.stat(path).st_size

    return {"file": attempt(write)}


def hog() -> dict[str, object]:
    def take() -> object:
        try:
            return len(bytearray(1 << 31))
        except MemoryError:
            raise OSError(errno.ENOMEM, "refused") from None

    return {"memory": attempt(take)}


ATTACKS: dict[str, Callable[..., dict[str, object]]] = {
    "reach api": reach_api,
    "look around": look_around,
    "reach network": reach_network,
    "other processes": other_processes,
    "kernel": kernel,
    "type into terminal": type_into_terminal,
    "descriptors": descriptors,
    "bomb": bomb,
    "daemon": daemon,
    "fill": fill,
    "hog": hog,
}


def main() -> int:
    if LIBC.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 or LIBC.prctl(PR_GET_SECCOMP) != 2:
        print(json.dumps({"refused": "not in a jail"}))
        return 3
    arguments = json.loads(sys.argv[2]) if len(sys.argv) > 2 else []
    print(json.dumps(ATTACKS[sys.argv[1]](*arguments)), flush=True)
    if sys.argv[1] in ("bomb", "daemon"):
        sys.stdin.read()  # until we are stopped
    return 0


if __name__ == "__main__":
    sys.exit(main())
