"""A zygote whose workers run an attacker instead of a guest: what a broken wasmtime could do.

    python -I hostile.py [UID]     with the node's control socket as standard input

With UID it becomes that user first, so that the jail is tried without root too. An
attack is attempted only by a process whose status, as the test read it from outside and
sent along, shows `NoNewPrivs: 1` and `Seccomp: 2`.
"""

import array
import ctypes
import json
import mmap
import os
import platform
import signal
import socket
import sys
from collections.abc import Callable

from sandbox.hostcall import Done, Faulted, FaultKind, Run
from sandbox.worker import zygote
from sandbox.worker.channel import Channel

X86 = platform.machine() == "x86_64"
LIBC = ctypes.CDLL(None, use_errno=True)
PAGE = 4096
CLONE3, PIDFD_SEND_SIGNAL, IO_URING_SETUP, OPENAT2, PIDFD_GETFD = 435, 424, 425, 437, 438
PTRACE, PROCESS_VM_READV, MOUNT, EXECVE = (101, 310, 165, 59) if X86 else (117, 270, 40, 221)
SENDMSG, SOCKET, PERSONALITY, BPF = (46, 41, 135, 321) if X86 else (211, 198, 92, 280)
FORK_LIKE = 57 if X86 else 220  # aarch64 has clone only
X32_GETPID = 0x4000_0000 + 39
SCM = array.array("i")


def syscall(number: int, *arguments: object) -> int:
    return int(LIBC.syscall(ctypes.c_long(number), *arguments))


def clone3() -> object:
    arguments = (ctypes.c_uint64 * 11)()
    arguments[4] = signal.SIGCHLD
    return syscall(CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))


def process_vm_readv() -> object:
    into = ctypes.create_string_buffer(8)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(into), 8)
    return syscall(PROCESS_VM_READV, os.getppid(), vector, 1, vector, 1, 0)


def send_with_an_address() -> object:
    name = ctypes.create_string_buffer(b"\x01\x00\0akshi", 16)
    return LIBC.sendto(channel(), b"x", 1, 0, name, 16)


def send_a_descriptor() -> object:
    with socket.socket(fileno=channel()) as own:
        return own.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, SCM)])


def executable_page() -> object:
    return mmap.mmap(-1, PAGE, prot=mmap.PROT_READ | mmap.PROT_EXEC)


def make_executable() -> object:
    page = mmap.mmap(-1, PAGE)
    at = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return LIBC.mprotect(ctypes.c_void_p(at), PAGE, mmap.PROT_READ | mmap.PROT_EXEC)


def ia32_getpid() -> object:
    """`mov eax, 20; int 0x80; ret` in a page made executable before the jail shut."""
    return ctypes.CFUNCTYPE(ctypes.c_int)(CODE_AT)()


OWN: list[int] = []
CODE_AT = 0


def channel() -> int:
    return OWN[0]


ATTACKS: dict[str, Callable[[], object]] = {
    "open": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "openat2": lambda: syscall(OPENAT2, -100, b"/", b"\0" * 24, 24),
    "socket": lambda: syscall(SOCKET, socket.AF_INET, socket.SOCK_STREAM, 0),
    "socket of this host": lambda: syscall(SOCKET, socket.AF_UNIX, socket.SOCK_STREAM, 0),
    "fork": lambda: syscall(FORK_LIKE, signal.SIGCHLD, 0, 0, 0, 0),
    "fork by libc": os.fork,
    "clone3": clone3,
    "exec": lambda: syscall(EXECVE, b"/bin/true", None, None),
    "kill parent": lambda: os.kill(os.getppid(), 0),
    "kill itself": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "tgkill another": lambda: LIBC.tgkill(1, 1, 0),
    "pidfd_send_signal": lambda: syscall(PIDFD_SEND_SIGNAL, 0, 0, None, 0),
    "pidfd_getfd": lambda: syscall(PIDFD_GETFD, 0, 0, 0),
    "ptrace": lambda: syscall(PTRACE, 16, 1, None, None),
    "process_vm_readv": process_vm_readv,
    "mount": lambda: syscall(MOUNT, b"none", b"/", b"tmpfs", 0, None),
    "io_uring_setup": lambda: syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(120)),
    "prctl": lambda: LIBC.prctl(3, 0, 0, 0, 0),
    "personality": lambda: syscall(PERSONALITY, 0x0400000),
    "bpf": lambda: syscall(BPF, 0, None, 0),
    "another filter": lambda: syscall(317 if X86 else 277, 1, 0, None),
    "listener filter": lambda: syscall(317 if X86 else 277, 1, 8, None),
    "sendto with an address": send_with_an_address,
    "sendmsg with a descriptor": send_a_descriptor,
    "mmap PROT_EXEC": executable_page,
    "mprotect PROT_EXEC": make_executable,
    "dup": lambda: os.dup(channel()),
    "setuid root": lambda: os.setuid(0),
}
if X86:
    ATTACKS["x32 call"] = lambda: syscall(X32_GETPID)
    ATTACKS["ia32 call"] = ia32_getpid


def other_channels() -> str:
    """Which descriptors below 4,096 can be read or written at all: none but our own."""
    found = []
    for descriptor in range(4096):
        if descriptor != channel():
            try:
                os.write(descriptor, b"")
            except OSError:
                continue
            found.append(descriptor)
    return f"others: {found}"


class Attacker:
    """Stands where the guest stands."""

    def run(self, order: Run) -> Done | Faulted:
        task = json.loads(order.task)
        status = dict(line.split(":", 1) for line in task["status"].splitlines())
        mine = status["Pid"].strip() == str(os.getpid())
        locked = status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
        if not (mine and locked):
            return Faulted(FaultKind.TRAP, "refusing to attack outside of the jail")
        if task["attack"] == "other channels":
            return Done(True, other_channels(), 0)
        if task["attack"] == "nothing":
            return Done(True, f"uid {os.getpid() and task['attack']}", 0)
        if task["attack"] == "abort":
            os.abort()
        if task["attack"] == "raise":
            raise RuntimeError("a bug of ours")
        return Done(True, f"lived on: {ATTACKS[task['attack']]()}", 0)


def load(compiled: bytes, own: Channel) -> Attacker:
    OWN.append(own._descriptor)
    SCM.append(own._descriptor)
    return Attacker()


def refuse_to_compile(wasm: bytes) -> bytes:
    raise AssertionError("nothing to compile here")


def main() -> None:
    global CODE_AT
    zygote.prepare()
    if X86:
        page = mmap.mmap(-1, PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(bytes.fromhex("b814000000cd80c3"))
        CODE_AT = ctypes.addressof(ctypes.c_char.from_buffer(page))
    if len(sys.argv) > 1:
        os.setgroups([])
        os.setresgid(*[int(sys.argv[1])] * 3)
        os.setresuid(*[int(sys.argv[1])] * 3)
    control = socket.socket(fileno=os.dup(0))
    zygote.Zygote(control, load=load, compile_=refuse_to_compile).serve()


if __name__ == "__main__":
    main()
