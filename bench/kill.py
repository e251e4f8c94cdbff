"""From the word to the end, in each state in which a node could be busy with something.

A real node process and a server that never ends an answer. `stop` is the API call that
`akshi stop` makes; where the loop hangs it is SIGTERM, since no call is answered then. The
last number is the spend switch: from `spend kill` to the end of the payment's connection.
"""

import json
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from akshi_mesh.api.errors import ControlError
from bench.figure import Promise, Sample
from bench.local_node import POLL_S, WAIT_S, workshop
from bench.processes import Watch, family
from testnet.processes import NodeProcess

CALLER = Path(__file__).parent.parent / "tests" / "agents" / "caller.wasm"
SETTLED_S = 0.2  # until the hung loop certainly hangs


class Server:
    """Takes requests and answers none; `/drip` for ever."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.gone_s = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._talk, daemon=True).start()

    def _talk(self) -> None:
        with suppress(OSError), self._listener.accept()[0] as connection:
            drips = b"/drip" in connection.recv(65_536)
            if drips:
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                connection.sendall(b"1\r\nx\r\n")
            self.asked.set()
            with suppress(OSError):
                while connection.recv(65_536):
                    pass
            self.gone_s = time.perf_counter()

    def close(self) -> None:
        self._listener.close()


@contextmanager
def _node() -> Iterator[tuple[NodeProcess, Server]]:
    server = Server()
    config = (
        f'[[spend.rails]]\nname = "card"\nurl = "{server.url}/pay"\n'
        + _agent("caller", "http_fetch = false\nspend = false\n")
        + f'[agents.endpoints]\nallowed = ["private {server.url}"]\n'
        + _agent("asker", "")
    )
    with workshop() as path:
        node = NodeProcess.create("a", path / "a", config)
        node.launch()
        try:
            node.wait_ready()
            yield node, server
        finally:
            node.stop()
            server.close()


def _agent(name: str, approval: str) -> str:
    return (
        f'[[agents]]\nname = "{name}"\nwasm_path = "{CALLER}"\n'
        "[agents.capabilities]\nhttp_fetch = true\nspend = true\n"
        '[agents.spend]\ndaily = "9.00EUR"\nrails = ["card", "ledger"]\n'
        f"[agents.approval]\n{approval}"
    )


def _fetch(path: str) -> Callable[[NodeProcess, Server], None]:
    def enter(node: NodeProcess, server: Server) -> None:
        request = json.dumps({"url": f"{server.url}{path}"})
        node.client.task_send("self/caller", json.dumps([["http-fetch.fetch", request]]))
        assert server.asked.wait(WAIT_S), "no request came"

    return enter


def _charge(rail: str) -> str:
    wanted = {"amount_micros": 1, "currency": "EUR", "rail": rail, "payee": "shop"}
    return json.dumps([["spend.charge", json.dumps(wanted)]])


def _pay(node: NodeProcess, server: Server) -> None:
    node.client.task_send("self/caller", _charge("card"))
    assert server.asked.wait(WAIT_S), "no request came"


def _ask_a_person(node: NodeProcess, _: Server) -> None:
    node.client.task_send("self/asker", _charge("ledger"))
    until = time.monotonic() + WAIT_S
    while not node.client.approvals.listed(state=None, agent=None, capability=None):
        assert time.monotonic() < until, "nobody was asked"
        time.sleep(10 * POLL_S)


def _stop_in(enter: Callable[[NodeProcess, Server], None]) -> Callable[[], Sample]:
    def measure() -> Sample:
        with _node() as (node, server):
            enter(node, server)
            return Sample(_until_gone(node, lambda: node.client.stop(timeout_s=WAIT_S)))

    return measure


def _until_gone(node: NodeProcess, say: Callable[[], object]) -> float:
    assert node.process is not None, "launched before"
    watch = Watch(family(node.process.pid))
    began = time.perf_counter()
    say()
    watch.wait_all_gone(WAIT_S)
    return (time.perf_counter() - began) * 1e3


def _hung() -> Sample:
    with _node() as (node, _):
        process = node.process
        assert process is not None, "launched before"
        other = sqlite3.connect(node.home.database_path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        def write() -> None:
            with suppress(ControlError):
                node.client.task_send("self/asker", "[]")

        threading.Thread(target=write, daemon=True).start()
        time.sleep(SETTLED_S)
        try:
            return Sample(_until_gone(node, lambda: process.send_signal(signal.SIGTERM)))
        finally:
            other.close()


def _switch() -> Sample:
    with _node() as (node, server):
        _pay(node, server)
        began = time.perf_counter()
        node.client.spend.kill()
        until = time.monotonic() + WAIT_S
        while not server.gone_s:
            assert time.monotonic() < until, "the connection lives on"
            time.sleep(POLL_S)
        return Sample((server.gone_s - began) * 1e3)


PROMISES = (
    Promise(
        "stop_blocked_call_ms", "ms", must=100, stretch=40, measure=_stop_in(_fetch("/silent"))
    ),
    Promise("stop_streaming_ms", "ms", must=100, stretch=40, measure=_stop_in(_fetch("/drip"))),
    Promise("stop_payment_ms", "ms", must=100, stretch=40, measure=_stop_in(_pay)),
    Promise("stop_approval_ms", "ms", must=100, stretch=40, measure=_stop_in(_ask_a_person)),
    Promise("stop_hung_loop_ms", "ms", must=1_100, stretch=1_020, measure=_hung),
    Promise("spend_kill_ms", "ms", must=100, stretch=10, measure=_switch),
)
