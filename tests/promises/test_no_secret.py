"""Promise 2: no secret is handed to an agent, and no guest code runs where a secret is.

What is looked at is what the kernel says of the processes of a running node.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.files import load_node_key
from tests.promises import world
from tests.promises.world import Node, agent

IS_ROOT = os.geteuid() == 0
NOBODY = 65_534
CHUNK_BYTES = 1 << 20

# A node that says, at the moment in which it reads its key, who its children are. As root
# it takes a group of its own first, so that /proc shows which of its files became root's.
WATCHED = f"""
import os, sys
if os.geteuid() == 0 and os.getegid() == 0:
    os.setgid({NOBODY})
    os.execv(sys.executable, [sys.executable, "-c", sys.orig_argv[2], *sys.argv[1:]])
import json
from pathlib import Path
from akshi_mesh import node
from akshi_mesh.cli.main import main
read = node.load_node_key
def watched(*arguments):
    children = Path(f"/proc/self/task/{{os.getpid()}}/children").read_text().split()
    print(json.dumps({{"event": "key.read", "children": children}}), file=sys.stderr, flush=True)
    return read(*arguments)
node.load_node_key = watched
raise SystemExit(main())
"""
FOREVER = "fuel = 1_000_000_000_000_000\nwall_clock_s = 3600"
MARKED = "the marmalade is beside the home"


@pytest.fixture(scope="module")
def host() -> Iterator[Node]:
    """A node with an agent at rest, one at work, and one whose owner allowed it the home itself."""
    with world.directory() as directory:
        house = directory / "house"
        house.mkdir()
        (house / "note.md").write_text(MARKED + "\n")
        (directory / "alias").symlink_to(house)
        (directory / "copy").mkdir()
        (directory / "copy" / "link.md").symlink_to(house / "host/security/api.token")
        allowed = [house, house / "host", house / "host" / "security", directory / "copy"]
        agents = [
            agent("echo", "echo"),
            agent("spin", world.HOSTILE / "hostile.wasm", limits=FOREVER),
            agent("reader", "reader", capabilities=["filesystem"], files=[str(p) for p in allowed]),
        ]
        node = world.node(house, "host", "".join(agents))
        # The home is reached by another name than the one under which the agent may read.
        node.process.home = type(node.process.home)(directory / "alias" / "host")
        node.process.command = (sys.executable, "-c", WATCHED)
        with world.running(node):
            assert node.ask("self/echo", "hello")["text"] == "hello"
            node.process.client.task_send("self/spin", "spin")
            world.wait_until(lambda: states(node) == {"ready"}, "three agents with workers")
            yield node


def states(node: Node) -> set[str]:
    return {line["state"] for line in node.must("agents", "list", "--json").objects}


def test_a_worker_holds_no_descriptor_but_its_channel(host: Node) -> None:
    """Promise 2: an agent's process has one way out, the gate."""
    for worker in host.workers():
        opened = [str(fd.readlink()) for fd in Path(f"/proc/{worker}/fd").iterdir()]
        assert len(opened) == 1, opened
        assert opened[0].startswith("socket:")


def test_a_worker_is_jailed_and_without_privileges(host: Node) -> None:
    """Promise 2: seccomp filter, no new privileges, no capabilities, not root."""
    workers = host.workers()
    assert workers
    for worker in workers:
        status = world.proc_status(worker)
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        assert int(status["Seccomp_filters"]) >= 2, "no new code either"
        assert {status[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Amb")} == {"0" * 16}
        assert "0" not in status["Uid"].split()
        assert status["Threads"] == "1"


def test_nobody_looks_into_the_processes_that_matter(host: Node) -> None:
    """Promise 2: node, zygote and workers are not dumpable, and leave no core."""
    (zygote,) = world.children(host.pid)
    for pid in (host.pid, zygote, *host.workers()):
        limits = Path(f"/proc/{pid}/limits").read_text()
        (core,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]
        status = world.proc_status(pid)
        ids = (int(status["Uid"].split()[1]), int(status["Gid"].split()[1]))
        assert ids != (0, 0), "otherwise the next line says nothing"
        shown = Path(f"/proc/{pid}/environ").stat()
        assert (shown.st_uid, shown.st_gid) == (0, 0), "a dumpable process owns its own files"


def test_a_neighbour_with_the_same_rights_cannot_open_a_worker(host: Node) -> None:
    """Promise 2: not even a process of the same user reads or traces an agent's process."""
    same = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if IS_ROOT else {}
    with subprocess.Popen(["/bin/sleep", "60"], **same) as other:  # type: ignore[call-overload]
        try:
            assert can_read(other.pid, same), "such a process reads those that are not protected"
        finally:
            other.kill()
    for worker in host.workers():
        assert not can_read(worker, same)


def can_read(pid: int, same: dict[str, object]) -> bool:
    look = ["/bin/sh", "-c", f"cat /proc/{pid}/environ >/dev/null && : </proc/{pid}/mem"]
    done = subprocess.run(look, capture_output=True, check=False, **same)  # type: ignore[call-overload]
    assert done.returncode == 0 or b"denied" in done.stderr, done
    return bool(done.returncode == 0)


def test_the_zygote_is_older_than_the_knowledge_of_the_key(host: Node) -> None:
    """Promise 2: no worker descends from a process that ever held the key."""
    (read,) = host.events("key.read")
    assert [int(pid) for pid in read["children"]] == world.children(host.pid)


@pytest.mark.skipif(not IS_ROOT, reason="only root may read the memory of undumpable processes")
def test_no_secret_is_in_the_memory_of_an_agent(host: Node) -> None:
    """Promise 2: neither the seed nor what is made of it, nor the token of the API."""
    key = load_node_key(host.home)
    secrets = {
        "seed": key.seed,
        "expanded": hashlib.sha512(key.seed).digest()[:32],
        "scalar": key.x25519_secret(),
        "token": host.process.home.api_token().encode(),
    }
    assert "seed" in found_in(host.pid, secrets), "the scan finds what is there"
    (zygote,) = world.children(host.pid)
    assert found_in(zygote, secrets) == set()
    for worker in host.workers():
        assert found_in(worker, secrets) == set()


def found_in(pid: int, secrets: dict[str, bytes]) -> set[str]:
    """Which of these are in the memory of one of our own processes."""
    found: set[str] = set()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_, name = [*line.split(maxsplit=5), ""][:6]
            if not rights.startswith("r") or name.startswith(("[v", "/")):
                continue  # the kernel's pages, and files that everybody reads
            begin, end = (int(edge, 16) for edge in span.split("-"))
            for at in range(begin, end, CHUNK_BYTES):
                memory.seek(at)
                data = memory.read(min(CHUNK_BYTES + 64, end - at))
                found |= {name for name, secret in secrets.items() if secret in data}
    return found


def test_no_secret_is_in_what_the_node_says(host: Node) -> None:
    """Promise 2: neither logs nor `status` know the key or the token."""
    seed = load_node_key(host.home).seed
    said = "\n".join(host.process.said) + host.must("status", "--json").out
    for secret in (seed.hex(), base64.b64encode(seed).decode().rstrip("=")):
        assert secret not in said
    assert host.process.home.api_token() not in said


@pytest.mark.parametrize("question", ["marmalade", "BEGIN PRIVATE KEY", "trusted version revoked"])
def test_the_home_is_hidden_from_agents_that_were_allowed_it(host: Node, question: str) -> None:
    """Promise 2: whatever an operator allows, and by whatever name, the home is not in it."""
    answer = host.ask("self/reader", question)
    assert answer["state"] == "TASK_STATE_COMPLETED", answer
    hits = json.loads(answer["text"])
    shown = json.dumps(hits)
    assert (MARKED in shown) == (question == "marmalade"), "what lies beside it is read"
    token = host.process.home.api_token()
    for word in ("node_key", "PRIVATE", "api.token", "trust.json", "runtime.toml", token):
        assert word not in shown
    lines = host.must("audit", "tail", "--agent", "reader", "-n", "1000", "--json").objects
    hidden = {line["detail"] for line in lines if line["code"] == "not-allowed"}
    assert any("/security belongs to the node itself" in detail for detail in hidden), hidden
