"""Promise 5, in every state a node can be in: the word is said, and nothing of it runs on.

Whatever is in flight is not waited for. The bounds here are wide, for a busy machine; the
bench prints the times themselves.
"""

import contextlib
import json
import os
import select
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from akshi_mesh.api.errors import ControlError
from tests.promises import world
from tests.promises.world import HOSTILE, Node, agent
from tests.testnet.pair import began_at, descendants

AT_ONCE_S = 1.0  # of a node whose loop runs; measured: 30 to 60 ms
HUNG_S = 3.0  # of one whose loop hangs: a second of grace, then SIGKILL
FOREVER = "fuel = 1_000_000_000_000_000\nwall_clock_s = 3600"


@dataclass
class Server:
    """Takes requests and never ends an answer; `/drip` begins one."""

    asked: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                path = connection.recv(65_536).split(b" ")[1].decode()
                self.asked.append(path)
                if path == "/drip":
                    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while True:
                    # The body of a request may come on its own; its end is the other side's.
                    if select.select([connection], [], [], 0.01)[0]:
                        if not connection.recv(65_536):
                            break
                    elif path == "/drip":
                        connection.sendall(b"1\r\nx\r\n")
            except OSError:
                pass
            self.gone.append(path)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.listener.close()


@pytest.fixture
def host(server: Server) -> Iterator[Node]:
    caller = HOSTILE / "caller.wasm"
    config = (
        f'[[spend.rails]]\nname = "card"\nurl = "{server.url}/pay"\n'
        + agent("spin", HOSTILE / "hostile.wasm", limits=FOREVER)
        + agent("caller", caller, capabilities=["http_fetch", "spend"], limits=FOREVER)
        + f'[agents.endpoints]\nallowed = ["private {server.url}"]\n'
        + '[agents.spend]\ndaily = "9.00EUR"\nrails = ["card", "ledger"]\n'
        + "[agents.approval]\nhttp_fetch = false\nspend = false\n"
        + agent("asker", caller, capabilities=["spend"], limits=FOREVER)
        + '[agents.spend]\ndaily = "9.00EUR"\nrails = ["ledger"]\n'
    )
    with world.directory() as directory:
        node = world.node(directory, "host", config)
        with world.running(node):
            yield node


def send(node: Node, name: str, *calls: list[str]) -> None:
    node.process.client.task_send(f"self/{name}", json.dumps(list(calls)))


def charge(rail: str) -> list[str]:
    wanted = {"amount_micros": 1, "currency": "EUR", "rail": rail, "payee": "shop"}
    return ["spend.charge", json.dumps(wanted)]


def spins(node: Node, _: Server) -> None:
    node.process.client.task_send("self/spin", "spin")

    def runs() -> bool:
        agents = node.must("agents", "list", "--json").objects
        return any(one["name"] == "spin" and one["tasks_running"] for one in agents)

    world.wait_until(runs, "spinning agent")


def waits_for_a_server(node: Node, server: Server) -> None:
    _asks(
        node, server, "/silent", ["http-fetch.fetch", json.dumps({"url": f"{server.url}/silent"})]
    )


def reads_an_endless_answer(node: Node, server: Server) -> None:
    _asks(node, server, "/drip", ["http-fetch.fetch", json.dumps({"url": f"{server.url}/drip"})])


def waits_for_a_payment(node: Node, server: Server) -> None:
    _asks(node, server, "/pay", charge("card"))


def _asks(node: Node, server: Server, path: str, call: list[str]) -> None:
    before = server.asked.count(path)
    send(node, "caller", call)
    world.wait_until(lambda: server.asked.count(path) > before, f"request of {path}")


def waits_for_a_person(node: Node, _: Server) -> None:
    send(node, "asker", charge("ledger"))
    world.wait_until(lambda: node.must("approvals", "list", "--json").out, "question")


State = Callable[[Node, Server], None]
STATES = pytest.mark.parametrize(
    "enter",
    [spins, waits_for_a_server, reads_an_endless_answer, waits_for_a_payment, waits_for_a_person],
    ids=lambda enter: enter.__name__,
)


def runs(process: tuple[int, int]) -> bool:
    pid, began = process
    return began_at(pid) == began


def family(node: Node) -> set[tuple[int, int]]:
    return descendants(node.pid) | {(node.pid, began_at(node.pid) or 0)}


def assert_gone(processes: set[tuple[int, int]], began_s: float, limit_s: float) -> None:
    while any(map(runs, processes)) and time.monotonic() - began_s < limit_s:
        time.sleep(0.002)
    assert not any(map(runs, processes)), "something runs on"


@STATES
def test_stop(host: Node, server: Server, enter: State) -> None:
    enter(host, server)
    processes = family(host)
    assert len(processes) >= 3, "node, zygote, worker"
    began_s = time.monotonic()
    stopped = host.must("stop", "--json").objects[0]
    assert stopped == {"stopped": True, "killed": False, "note": stopped["note"]}
    assert_gone(processes, began_s, AT_ONCE_S)
    hung = [path for path in server.asked if server.asked.count(path) > server.gone.count(path)]
    world.wait_until(lambda: len(server.gone) == len(server.asked), f"end of {hung}")


@STATES
def test_sigterm(host: Node, server: Server, enter: State) -> None:
    enter(host, server)
    processes = family(host)
    began_s = time.monotonic()
    os.kill(host.pid, signal.SIGTERM)
    assert_gone(processes, began_s, AT_ONCE_S)


@contextlib.contextmanager
def a_loop_that_hangs(node: Node) -> Iterator[None]:
    """Another program has locked the database, and the node wants to write: it waits in C."""
    other = sqlite3.connect(node.home / "node.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def write() -> None:
        with contextlib.suppress(ControlError):  # the node is killed under it
            node.process.client.task_send("self/spin", "spin")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    time.sleep(0.3)
    assert writer.is_alive(), "nothing hangs"
    try:
        yield
    finally:
        other.close()
        writer.join(world.WAIT_S)


def test_stop_while_the_loop_hangs(host: Node) -> None:
    processes = family(host)
    with a_loop_that_hangs(host):
        began_s = time.monotonic()
        stopped = host.must("stop")
        assert stopped.out == "killed a node that did not answer\n"
        assert_gone(processes, began_s, HUNG_S)


def test_sigterm_while_the_loop_hangs(host: Node) -> None:
    """No command is needed: the node's own watchman ends it."""
    processes = family(host)
    with a_loop_that_hangs(host):
        began_s = time.monotonic()
        os.kill(host.pid, signal.SIGTERM)
        assert_gone(processes, began_s, HUNG_S)


def test_what_was_being_paid_is_counted_after_the_next_start(host: Node, server: Server) -> None:
    waits_for_a_payment(host, server)
    host.must("stop")
    host.start()
    (info,) = host.must("spend", "show", "--json").objects
    assert [one["standing"] for one in info["open"]] == ["aborted_unknown"]


def test_the_spend_switch_cuts_off_a_payment_and_nothing_else(host: Node, server: Server) -> None:
    waits_for_a_payment(host, server)
    before = len(server.gone)
    began_s = time.monotonic()
    (info,) = host.must("spend", "kill", "--json").objects
    assert time.monotonic() - began_s < AT_ONCE_S
    assert info["cut_off"] == 1
    world.wait_until(lambda: len(server.gone) > before, "closed connection")
    assert host.must("status").code == 0
