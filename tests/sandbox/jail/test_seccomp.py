"""The filters, run by a small interpreter: every call on every architecture we claim."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.worker import seccomp
from sandbox.worker.seccomp import AARCH64, ALLOW, KILL_PROCESS, X86_64, Program, Table

OWN_PID = 4711
PROT_EXEC = 4
u64 = st.integers(0, 2**64 - 1)
tables = pytest.mark.parametrize("table", [X86_64, AARCH64], ids=["x86_64", "aarch64"])


def run(program: Program, *, audit: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """What the kernel would decide: classic BPF over struct seccomp_data."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, audit, 0, *words)
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, k)
            case 0x06:
                return k
            case 0x15:
                at += if_true if accumulator == k else if_false
            case 0x35:
                at += if_true if accumulator >= k else if_false
            case 0x45:
                at += if_true if accumulator & k else if_false
            case unknown:
                raise AssertionError(f"no such instruction: {unknown:#x}")


def allowlist(table: Table, number: int, *arguments: int, audit: int | None = None) -> int:
    program = seccomp.allowlist(table, own_pid=OWN_PID)
    return run(program, audit=audit or table.audit, number=number, arguments=arguments)


def no_new_code(table: Table, name: str, *arguments: int) -> int:
    program = seccomp.no_new_code(table)
    return run(program, audit=table.audit, number=table.numbers[name], arguments=arguments)


@tables
def test_nothing_outside_of_the_list_is_allowed(table: Table) -> None:
    known = set(table.numbers.values())
    for number in range(1024):
        if number not in known:
            assert allowlist(table, number) == KILL_PROCESS, number


@tables
def test_what_a_worker_needs_is_allowed(table: Table) -> None:
    for name, number in table.numbers.items():
        match name:
            case "tgkill":
                arguments: tuple[int, ...] = (OWN_PID, OWN_PID, 6)
            case "seccomp":
                arguments = (1, 0, 0x7FFF_0000)
            case "sendto" | "recvfrom":
                arguments = (3, 0x7FFF_0000, 100, 0, 0, 0)
            case _:
                arguments = ()
        assert allowlist(table, number, *arguments) == ALLOW, name


@tables
@given(address=st.integers(1, 2**64 - 1))
def test_an_address_of_any_kind_is_refused(table: Table, address: int) -> None:
    """Half of the pointer being zero does not help."""
    for name in ("sendto", "recvfrom"):
        assert allowlist(table, table.numbers[name], 3, 0, 0, 0, address) == KILL_PROCESS


@tables
@given(pid=st.integers(0, 2**32 - 1).filter(lambda pid: pid != OWN_PID))
def test_only_we_ourselves_may_be_signalled(table: Table, pid: int) -> None:
    assert allowlist(table, table.numbers["tgkill"], pid, pid, 6) == KILL_PROCESS


@tables
@given(operation=u64, flags=u64)
def test_seccomp_may_add_a_filter_and_nothing_else(
    table: Table, operation: int, flags: int
) -> None:
    adds = operation % 2**32 == 1 and flags % 2**32 == 0
    verdict = allowlist(table, table.numbers["seccomp"], operation, flags)
    assert verdict == (ALLOW if adds else KILL_PROCESS)
    assert no_new_code(table, "seccomp", operation, flags) == KILL_PROCESS


@tables
@given(audit=st.integers(0, 2**32 - 1), number=st.integers(0, 500))
def test_another_architecture_is_refused_whatever_the_number(
    table: Table, audit: int, number: int
) -> None:
    if audit == table.audit:
        return
    assert allowlist(table, number, audit=audit or 1) == KILL_PROCESS
    verdict = run(seccomp.no_new_code(table), audit=audit, number=number)
    assert verdict == KILL_PROCESS


@given(number=st.integers(0x4000_0000, 2**32 - 1))
def test_x32_is_refused(number: int) -> None:
    assert allowlist(X86_64, number) == KILL_PROCESS
    verdict = run(seccomp.no_new_code(X86_64), audit=X86_64.audit, number=number)
    assert verdict == KILL_PROCESS


@tables
@given(protection=u64)
def test_after_loading_no_page_becomes_executable(table: Table, protection: int) -> None:
    wanted = KILL_PROCESS if protection & PROT_EXEC else ALLOW
    for name in ("mmap", "mprotect"):
        assert no_new_code(table, name, 0, 4096, protection) == wanted
        assert allowlist(table, table.numbers[name], 0, 4096, protection) == ALLOW


@tables
def test_the_second_filter_leaves_the_rest_to_the_first(table: Table) -> None:
    for name in set(table.numbers) - {"mmap", "mprotect", "seccomp"}:
        assert no_new_code(table, name) == ALLOW


@tables
def test_the_tables_hold_no_call_that_opens_starts_or_signals(table: Table) -> None:
    """A later hand that adds one of these must change this test too."""
    dangerous = {"open", "openat", "openat2", "socket", "connect", "clone", "clone3", "fork"}
    dangerous |= {"vfork", "execve", "execveat", "kill", "tkill", "ptrace", "prctl", "mount"}
    dangerous |= {"sendmsg", "recvmsg", "pkey_mprotect", "io_uring_setup", "bpf", "ioctl"}
    assert not dangerous & set(table.numbers)
