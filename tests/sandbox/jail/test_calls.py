"""The filter of native programs, run by the small interpreter of `test_seccomp`."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.jail import calls
from sandbox.jail.calls import ENOSYS, EPERM, denylist
from sandbox.worker.seccomp import AARCH64, ALLOW, KILL_PROCESS, X86_64, Program, Table

tables = pytest.mark.parametrize("table", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
networks = pytest.mark.parametrize("network", [False, True], ids=["alone", "network"])
u64 = st.integers(0, 2**64 - 1)
HIGH = 0xDEAD_BEEF << 32  # what the kernel does not read of an int


def run(program: Program, *, audit: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, audit, 0, *words)
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, k)
            case 0x54:
                accumulator &= k
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


def asked(table: Table, call: tuple[int, int], *arguments: int, network: bool = False) -> int:
    number = call[0 if table is X86_64 else 1]
    program = denylist(table, network=network)
    return run(program, audit=table.audit, number=number, arguments=arguments)


def test_every_list_is_within_what_a_jump_can_span() -> None:
    for table in (X86_64, AARCH64):
        for network in (False, True):
            for _, if_true, if_false, k in denylist(table, network=network):
                assert 0 <= if_true < 256
                assert 0 <= if_false < 256
                assert 0 <= k < 1 << 32


def test_no_call_is_listed_twice() -> None:
    for which in (0, 1):
        numbers = [
            pair[which]
            for pair in [
                *calls._KILLED.values(),
                *calls._REFUSED.values(),
                *calls._NETWORK.values(),
                *(pair for pair, _ in calls._ABOUT_SOMEONE.values()),
                *(calls._SOCKET, calls._SOCKETPAIR, calls._SENDTO),
                *(calls._CLONE, calls._CLONE3, calls._PRCTL, calls._IOCTL),
            ]
            if pair[which] is not None
        ]
        assert len(numbers) == len(set(numbers))


@tables
@networks
@given(arguments=st.lists(u64, min_size=6, max_size=6))
def test_what_is_listed_is_refused_with_any_arguments(
    table: Table, network: bool, arguments: list[int]
) -> None:
    for listed, answer in ((calls._KILLED, KILL_PROCESS), (calls._REFUSED, EPERM)):
        for name, pair in listed.items():
            if pair[0 if table is X86_64 else 1] is not None:
                got = asked(table, pair, *arguments, network=network)  # type: ignore[arg-type]
                assert got == answer, name


@tables
@networks
@given(number=st.integers(calls.NEWEST + 1, 0x3FFF_FFFF))
def test_what_is_newer_does_not_exist(table: Table, network: bool, number: int) -> None:
    program = denylist(table, network=network)
    assert run(program, audit=table.audit, number=number) == ENOSYS


@tables
@networks
def test_another_architecture_ends_the_process(table: Table, network: bool) -> None:
    program = denylist(table, network=network)
    assert run(program, audit=0x4000_0003, number=0) == KILL_PROCESS


def test_x32_ends_the_process() -> None:
    for number in (0x4000_0000, 0x4000_0029, 0xFFFF_FFFF):
        got = run(denylist(X86_64, network=True), audit=X86_64.audit, number=number)
        assert got == KILL_PROCESS


@tables
def test_sockets(table: Table) -> None:
    for family in range(64):
        assert asked(table, calls._SOCKET, family) == EPERM
        wanted = ALLOW if family in (2, 10) else EPERM
        assert asked(table, calls._SOCKET, family | HIGH, network=True) == wanted
    for pair in calls._NETWORK.values():
        assert asked(table, pair) == EPERM  # type: ignore[arg-type]
        assert asked(table, pair, network=True) == ALLOW  # type: ignore[arg-type]


@tables
@networks
def test_a_pair_is_a_unix_stream_or_nothing(table: Table, network: bool) -> None:
    for family in range(8):
        for kind in range(16):
            for flags in (0, 0o4000, 0o2000000):
                got = asked(table, calls._SOCKETPAIR, family, kind | flags, network=network)
                assert got == (ALLOW if (family, kind) == (1, 1) else EPERM)


@tables
def test_no_address_is_sent_to(table: Table) -> None:
    for address in (1, 1 << 32, 1 << 63):
        assert asked(table, calls._SENDTO, 3, 0, 0, 0, address) == EPERM
    assert asked(table, calls._SENDTO, 3, 99, 99, 99, 0) == ALLOW


@tables
@networks
def test_threads_yes_namespaces_no(table: Table, network: bool) -> None:
    assert asked(table, calls._CLONE, 0x003D_0F00, network=network) == ALLOW
    assert asked(table, calls._CLONE3, network=network) == ENOSYS
    for flag in (0x2_0000, *(1 << bit for bit in range(25, 31))):
        assert asked(table, calls._CLONE, flag | 17, network=network) == EPERM


@tables
@networks
def test_nobody_elses_limits_and_priority(table: Table, network: bool) -> None:
    for pair, argument in calls._ABOUT_SOMEONE.values():
        for pid, wanted in ((0, ALLOW), (1, EPERM), (4711, EPERM), (HIGH, ALLOW)):
            words = (0,) * argument + (pid,)
            assert asked(table, pair, *words, network=network) == wanted


@tables
@networks
def test_words_that_no_program_of_ours_may_say(table: Table, network: bool) -> None:
    for command in (0x5412, 0x541C, 0x5423):
        assert asked(table, calls._IOCTL, 0, command | HIGH, network=network) == EPERM
    assert asked(table, calls._IOCTL, 0, 0x5401, network=network) == ALLOW
    for option in (1, 22, 35, 0x59616D61):
        assert asked(table, calls._PRCTL, option | HIGH, network=network) == EPERM
    assert asked(table, calls._PRCTL, 15, network=network) == ALLOW  # PR_SET_NAME


@tables
def test_what_programs_live_by_is_allowed(table: Table) -> None:
    for name in ("read", "write", "mmap", "mprotect", "futex", "rt_sigaction", "exit_group"):
        number = table.numbers[name]
        assert run(denylist(table, network=False), audit=table.audit, number=number) == ALLOW
