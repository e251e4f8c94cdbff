"""The life of a launcher: shut in, start the program, and end it with all it started.

    node ── executes ──▶ launcher ── fork ──▶ first process ── fork, shut ──▶ the program
              ◀─ status ──┘    of the new process namespace

The node holds the other end of the lifeline: when it closes that, or ends in whatever way,
the launcher ends the first process, and the kernel everything in its namespace. Where there
are no namespaces, the launcher is the parent of every orphan below it, and ends each one.
"""

import contextlib
import os
import resource
import select
import signal
from typing import Final, Literal, NoReturn

from sandbox.jail import calls, namespaces
from sandbox.jail.errors import CannotJail
from sandbox.jail.grants import Grant, grants
from sandbox.jail.policy import JailPolicy
from sandbox.worker import jail, landlock, libc, seccomp

Level = Literal["full", "no-namespaces"]

POLICY_BYTES_MAX: Final = 1 << 20
WHY_BYTES_MAX: Final = 4_096
EXIT_NOT_STARTED: Final = 125
SIGNALLED: Final = 128  # plus the signal, as shells say it
_SCOPES_ABI: Final = 6  # landlock that keeps signals to its own domain
_ROUNDS_MAX: Final = 1_000  # of killing; each ends all that was there when it began


def main(words: list[str]) -> int:
    """Be the launcher: `LEVEL POLICY LIFELINE STATUS`, three descriptors; or `probe`."""
    if words == ["probe"]:
        return _probe()
    level: Level = "full" if words[0] == "full" else "no-namespaces"
    policy_from, lifeline, status = (int(word) for word in words[1:])
    policy = JailPolicy.from_json(_read_whole(policy_from))
    libc.close_all_but({0, 1, 2, lifeline, status, *policy.channels})
    for descriptor in (lifeline, status):
        os.set_inheritable(descriptor, False)
    os.setsid()
    try:
        return _launch(policy, level, lifeline, status)
    except (CannotJail, OSError) as failure:
        _say(status, f"failed {failure}")
        return EXIT_NOT_STARTED


def _launch(policy: JailPolicy, level: Level, lifeline: int, status: int) -> int:
    of = jail.find()
    if of is None or not landlock.abi():
        raise CannotJail("this kernel has no seccomp or no landlock")
    granted = grants(policy)
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    if level == "full":
        namespaces.enter(of, granted, network=policy.network)
        heartbeat, ours = os.pipe()
        first = os.fork()
        if first == 0:
            os.close(ours)
            os.close(lifeline)
            _be_first(of, policy, granted, status, heartbeat)
        os.close(heartbeat)
    else:
        _require_scopes()
        jail.leave_privileges()
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
        for ignored in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        parent = os.getpid()
        first = os.fork()
        if first == 0:
            jail.die_with(parent)
            _be_program(of, policy, granted, status, level)
    _let_go(nothing, status, policy)
    return _outlive(first, lifeline, kill_orphans=level != "full")


def _probe() -> int:
    """Say on standard output what this host allows: a level, or `no` and why not."""
    of = jail.find()
    if of is None or not landlock.abi():
        print("no seccomp or no landlock in this kernel")
        return 0
    child = os.fork()  # a process that fails half-way is of no more use
    if child == 0:
        try:
            namespaces.enter(of, grants(JailPolicy(argv=())), network=False)
        except (OSError, CannotJail):
            os._exit(1)
        os._exit(0)
    _, how = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(how) == 0:
        print("full")
        return 0
    try:
        _require_scopes()
    except CannotJail as missing:
        print(f"no {missing}")
    else:
        print("no-namespaces")
    return 0


def _require_scopes() -> None:
    if landlock.abi() < _SCOPES_ABI:
        raise CannotJail("namespaces here, nor a landlock that keeps signals in (ABI 6)")


def _be_first(
    of: seccomp.Table, policy: JailPolicy, granted: list[Grant], status: int, heartbeat: int
) -> NoReturn:
    """Be process 1: adopt orphans, and take everyone along at the end."""
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    ready, _, _ = select.select([heartbeat], [], [], 0)
    if ready:  # end of file: the launcher ended before the line above
        os._exit(EXIT_NOT_STARTED)
    program = os.fork()
    if program == 0:
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != 1:
            os._exit(EXIT_NOT_STARTED)
        _be_program(of, policy, granted, status, "full")
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    jail.drop_capabilities()
    _let_go(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC), status, policy)
    while True:
        pid, how = os.wait()
        if pid == program:
            os._exit(_exit_code(how))


def _be_program(
    of: seccomp.Table, policy: JailPolicy, granted: list[Grant], status: int, level: Level
) -> NoReturn:
    """Shut this process in, and become the program."""
    try:
        os.setsid()
        os.umask(0o077)
        _limit(policy, level)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the node blocks some
        libc.prctl(libc.PR_CAP_AMBIENT, libc.PR_CAP_AMBIENT_CLEAR_ALL)
        jail.drop_capabilities()
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        os.chdir(policy.cwd)
        rules = [(grant.path, grant.rights) for grant in granted]
        if level == "full":
            rules.append(("/tmp", landlock.CHANGE))  # noqa: S108 - our own, made for it
        landlock.restrict(landlock.abi(), rules, network=policy.network)
        for channel in policy.channels:
            os.set_inheritable(channel, True)
        libc.close_all_but({0, 1, 2, status, *policy.channels})
        seccomp.install(of, calls.denylist(of, network=policy.network))
        os.execve(policy.argv[0], policy.argv, dict(policy.env))  # noqa: S606 - no shell is wanted
    except (OSError, jail.ParentGone) as failure:
        _say(status, f"failed {failure}")
    os._exit(EXIT_NOT_STARTED)


def _limit(policy: JailPolicy, level: Level) -> None:
    processes = policy.processes
    if level != "full":  # there the kernel counts everything of this user
        processes += _threads_of(os.getuid())
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, policy.memory_bytes),
        (resource.RLIMIT_FSIZE, policy.file_bytes),
        (resource.RLIMIT_NOFILE, policy.descriptors),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def _let_go(nothing: int, status: int, policy: JailPolicy) -> None:
    """Hold no end of the program's pipes: who reads them must see when it ends."""
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    for descriptor in (nothing, status, *policy.channels):
        os.close(descriptor)


def _outlive(child: int, lifeline: int, *, kill_orphans: bool) -> int:
    """Wait for the end of `child` or of the node; then nothing below us is left."""
    ended = os.pidfd_open(child)
    waiting = select.poll()
    waiting.register(ended, select.POLLIN)
    waiting.register(lifeline, select.POLLIN)
    waiting.poll()
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(ended, signal.SIGKILL)
    _, how = os.waitpid(child, 0)
    if kill_orphans:
        _kill_below(os.getpid())
    return _exit_code(how)


def _kill_below(me: int) -> None:
    for _ in range(_ROUNDS_MAX):
        below = _descendants(me)
        if not below:
            return
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _descendants(of: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:
                # The name of a program may hold spaces and brackets; the last one ends it.
                parent = int(stat.read().rpartition(b")")[2].split()[1])
                parents.setdefault(parent, []).append(int(name))
    found: list[int] = []
    waiting = list(parents.get(of, ()))
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, ())
    return found


def _threads_of(uid: int) -> int:
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == uid:
                    count += len(os.listdir(f"/proc/{name}/task"))
    return count


def _exit_code(how: int) -> int:
    code = os.waitstatus_to_exitcode(how)
    return code if code >= 0 else SIGNALLED - code


def _read_whole(descriptor: int) -> bytes:
    data = b""
    while piece := os.pread(descriptor, 1 << 16, len(data)):
        data += piece
        if len(data) > POLICY_BYTES_MAX:
            raise CannotJail("a policy that is too long")
    return data


def _say(status: int, words: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # the node does not wait for us any more
        os.write(status, words.encode(errors="replace")[:WHY_BYTES_MAX])
