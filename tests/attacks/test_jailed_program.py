"""A jailed program that tries the API socket, the home, others' channels or the network.

Each attack is made as root and as a user without rights, with namespaces and without. The
attacker is `jailed_program.py`; it reports what it got.
"""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from sandbox.errors import ProgramNotStarted
from sandbox.host.program import COMMAND, LAUNCHER, Level, Program, probe, running
from sandbox.host.program_files import files_of
from sandbox.jail.policy import JailPolicy

ATTACKER = Path(__file__).with_name("jailed_program.py")
SYSTEM_PYTHON = "/usr/bin/python3"
NOBODY = 65_534
_AS_NOBODY = (
    "/usr/bin/setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    SYSTEM_PYTHON,
    "-I",
    "-S",
    str(LAUNCHER),
)
IS_ROOT = os.geteuid() == 0
ATTACKER_ID = NOBODY if IS_ROOT else os.geteuid()
FOUND = probe()
pytestmark = [
    pytest.mark.skipif(FOUND.level is None, reason=f"no jail for programs: {FOUND.why}"),
    pytest.mark.skipif(not Path(SYSTEM_PYTHON).exists(), reason=f"no {SYSTEM_PYTHON}"),
]
WAYS: list[tuple[str, Level]] = [
    (who, level)
    for who in ("as we are", "as nobody")
    for level in ("full", "no-namespaces")
    if (level == "no-namespaces" or FOUND.level == "full") and (who == "as we are" or IS_ROOT)
]


@pytest.fixture(params=WAYS, ids=[f"{who}, {level}" for who, level in WAYS])
def way(request: pytest.FixtureRequest) -> tuple[tuple[str, ...], Level]:
    """A launcher, and the level to use."""
    who, level = request.param
    return (COMMAND if who == "as we are" else _AS_NOBODY), level


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that anybody may enter: pytest's own are for one user only."""
    path = Path(tempfile.mkdtemp(prefix="akshi-jail-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def home(place: Path) -> Path:
    """What a node's home looks like, and more careless: everybody may read and write it.

    It belongs to the attacker's own user, as the home of a node does that is not run by root.
    """
    home = place / "home"
    for directory in ("identity", "run", "security"):
        (home / directory).mkdir(parents=True)
        (home / directory).chmod(0o777)
    for name in ("identity/key", "security/api.token", "node.db"):
        (home / name).write_bytes(b"a secret of the node")
        (home / name).chmod(0o666)
    home.chmod(0o777)
    for path in (home, *home.rglob("*")):
        os.chown(path, ATTACKER_ID, ATTACKER_ID)
    return home


def policy(attack: str, *arguments: object, **values: object) -> JailPolicy:
    attacker = ("-I", "-S", str(ATTACKER), attack, json.dumps(arguments))
    return JailPolicy(
        argv=(SYSTEM_PYTHON, *attacker),
        run=files_of(SYSTEM_PYTHON),
        read=(str(ATTACKER),),
    )._replace(**values)  # type: ignore[arg-type]


async def answer_of(program: Program) -> dict[str, object]:
    data = b""
    with trio.fail_after(30):
        while not data.endswith(b"\n"):
            piece = await program.stdout.receive_some(1 << 16)
            if not piece:
                break
            data += piece
    assert data, (await program.stderr.receive_some(1 << 16)).decode()
    found: dict[str, object] = json.loads(data)
    assert "refused" not in found, found
    return found


async def attack(way: tuple[tuple[str, ...], Level], told: JailPolicy) -> dict[str, object]:
    command, level = way
    async with running(told, level, command=command) as program:
        return await answer_of(program)


def nothing(found: dict[str, object]) -> bool:
    """Whether every attempt was refused, or ended whoever made it."""
    assert found
    reached = {name: got for name, got in found.items() if str(got).startswith("got")}
    assert reached == {}
    return True


async def test_it_refuses_to_attack_outside_of_a_jail() -> None:
    done = subprocess.run(
        [sys.executable, str(ATTACKER), "kernel"], capture_output=True, check=False
    )
    assert json.loads(done.stdout) == {"refused": "not in a jail"}


async def test_the_api_socket(way: tuple[tuple[str, ...], Level], home: Path) -> None:
    path = str(home / "run" / "api.sock")
    with socket.socket(socket.AF_UNIX) as api, socket.socket(socket.AF_UNIX) as abstract:
        api.bind(path)
        api.listen()
        Path(path).chmod(0o777)
        name = f"akshi-{os.getpid()}"
        abstract.bind("\0" + name)
        abstract.listen()
        assert nothing(await attack(way, policy("reach api", path, name)))
        api.setblocking(False)
        with pytest.raises(BlockingIOError):
            api.accept()


async def test_the_home(way: tuple[tuple[str, ...], Level], home: Path) -> None:
    paths = [home, home / "identity", home / "identity/key", home / "security/api.token"]
    before = {path: path.stat() for path in paths}
    found = await attack(way, policy("look around", [str(path) for path in paths]))
    assert nothing(found)
    assert {path: path.stat() for path in paths} == before


async def test_a_policy_that_opens_the_home_is_not_started(
    way: tuple[tuple[str, ...], Level], home: Path
) -> None:
    (home.parent / "innocent").symlink_to(home / "identity")
    for opened in (home, home / "identity", home.parent, home.parent / "innocent"):
        for key in ("read", "write", "run"):
            told = policy("kernel")._replace(**{key: (str(opened),), "hidden": (str(home),)})  # type: ignore[arg-type]
            with pytest.raises(ProgramNotStarted, match="belongs to the node"):
                await attack(way, told)


async def test_the_network(way: tuple[tuple[str, ...], Level]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as node:
        assert nothing(await attack(way, policy("reach network", node.getsockname()[1])))
        node.setblocking(False)
        with pytest.raises(BlockingIOError):
            node.accept()


async def test_with_a_network_there_is_still_no_other_family(
    way: tuple[tuple[str, ...], Level], home: Path
) -> None:
    stream, datagram = str(home / "run" / "api.sock"), str(home / "run" / "log.sock")
    with (
        socket.create_server(("127.0.0.1", 0)) as node,
        socket.socket(socket.AF_UNIX) as api,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log,
    ):
        api.bind(stream)
        api.listen()
        log.bind(datagram)
        for path in (stream, datagram):
            Path(path).chmod(0o777)
        port = node.getsockname()[1]
        found = await attack(way, policy("reach network", port, network=True))
        assert found["tcp"] == "got 'connected'"
        for family in ("packet", "netlink", "vsock", "alg", "raw"):
            assert not str(found[family]).startswith("got"), family
        for path in (stream, datagram):
            assert nothing(await attack(way, policy("reach api", path, "x", network=True)))


async def test_processes_and_channels_of_others(way: tuple[tuple[str, ...], Level]) -> None:
    """The node, and an agent of the same user whose channel is open."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [SYSTEM_PYTHON, "-c", "import time; time.sleep(60)"]
        options = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if IS_ROOT else {}
        neighbour = subprocess.Popen(command, pass_fds=[theirs.fileno()], **options)  # type: ignore[call-overload]
        try:
            told = policy("other processes", [os.getpid(), neighbour.pid])
            assert nothing(await attack(way, told))
            assert neighbour.poll() is None
            limits = Path(f"/proc/{neighbour.pid}/limits").read_text()
            assert "Max open files            0" not in limits
        finally:
            neighbour.kill()
            neighbour.wait()


async def test_descriptors_of_the_node(way: tuple[tuple[str, ...], Level], home: Path) -> None:
    with (home / "identity/key").open("rb") as key:
        os.set_inheritable(key.fileno(), True)
        assert nothing(await attack(way, policy("descriptors")))


async def test_the_kernel(way: tuple[tuple[str, ...], Level]) -> None:
    found = await attack(way, policy("kernel"))
    assert nothing(found)
    for deadly in ("ptrace", "process_vm_readv", "mount", "setns", "bpf"):
        assert found[deadly] == "ended: -31", deadly  # SIGSYS
    assert found["newer than the list"] == "no: ENOSYS"


async def test_typing_into_the_terminal(way: tuple[tuple[str, ...], Level]) -> None:
    assert nothing(await attack(way, policy("type into terminal")))


async def test_a_fork_bomb_is_small_and_stops_with_its_program(
    way: tuple[tuple[str, ...], Level],
) -> None:
    command, level = way
    async with running(policy("bomb", processes=20), level, command=command) as program:
        found = await answer_of(program)
        assert 5 <= int(str(found["processes"])) <= 20
        began = time.perf_counter()
        await program.stop()
        assert time.perf_counter() - began < 2
    assert not _attackers()


async def test_a_daemon_does_not_outlive_the_stop(way: tuple[tuple[str, ...], Level]) -> None:
    command, level = way
    async with running(policy("daemon"), level, command=command) as program:
        assert await answer_of(program) == {"started": 3}
        assert len(_attackers()) >= 4
    assert not _attackers()


async def test_a_daemon_does_not_outlive_the_node(way: tuple[tuple[str, ...], Level]) -> None:
    """The lifeline is a descriptor: it closes however the node ends."""
    command, level = way
    async with running(policy("daemon"), level, command=command) as program:
        await answer_of(program)
        os.close(program._lifeline)  # what the kernel does when a process is gone
        program._lifeline = -1
        with trio.fail_after(5):
            await program.wait()
    assert not _attackers()


async def test_a_file_does_not_fill_the_disk(
    way: tuple[tuple[str, ...], Level], place: Path
) -> None:
    room = place / "room"
    room.mkdir()
    room.chmod(0o777)
    told = policy("fill", str(room / "file"), 8 << 20, write=(str(room),), file_bytes=1 << 20)
    assert nothing(await attack(way, told))
    assert (room / "file").stat().st_size <= 1 << 20
    assert stat.S_IMODE((room / "file").stat().st_mode) == 0o600


async def test_memory_ends(way: tuple[tuple[str, ...], Level]) -> None:
    assert nothing(await attack(way, policy("hog", memory_bytes=256 << 20)))


async def test_what_lies_in_a_path_it_may_write_opens_nothing_at_the_next_start(
    way: tuple[tuple[str, ...], Level], place: Path, home: Path
) -> None:
    """A program that puts a link where its own policy names a path."""
    room = place / "room"
    room.mkdir()
    room.chmod(0o777)
    (room / "data").symlink_to(home / "identity")
    told = policy(
        "look around", [str(room / "data"), str(home / "identity/key")], write=(str(room),)
    )
    told = told._replace(read=(*told.read, str(room / "data")))
    found = await attack(way, told)
    reached = {name for name, got in found.items() if str(got).startswith("got")}
    # The link is its own to rename or remove; what it points to stays out of reach.
    assert reached <= {f"{act} {room / 'data'}" for act in ("link", "rename", "remove")}
    assert (home / "identity/key").read_bytes() == b"a secret of the node"


def _attackers() -> list[str]:
    """Processes that run the attacker, whoever their parent is by now."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if str(ATTACKER).encode() in words and state != "Z":
                found.append(words.decode(errors="replace"))
    return found
