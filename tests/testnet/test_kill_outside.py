"""Promise 3 for acts outside: a node that is killed at any moment asks a server at most once."""

import json
import os
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from akshi_mesh.api.errors import Unavailable
from testnet.processes import NodeProcess

CALLER = Path(__file__).parent.parent / "agents" / "caller.wasm"
TASKS = 40
KILLS_MIN = 6
LIFE_S = 0.4  # at most, from when the node is ready until it is killed
ANSWER_S = 0.02  # what the server takes: many deaths fall between the question and its answer
SETTLED_S = 60.0
SEED = "KILL_SEED"


class Stub(ThreadingHTTPServer):
    """Counts what it is asked, by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: Counter[str] = Counter()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    server: Stub

    def do_POST(self) -> None:
        self.server.asked[self.path] += 1
        time.sleep(ANSWER_S)
        try:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")
        except OSError:
            pass  # whoever asked was killed

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


def test_a_server_is_asked_at_most_once_however_often_the_node_is_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    print(f"the same schedule again: {SEED}={seed}")
    chance = random.Random(seed)
    stub = Stub()
    node = NodeProcess.create("a", tmp_path / "a", _config(stub.server_address[1]))
    kills, tasks = 0, {}
    try:
        node.launch()
        node.wait_ready()
        while len(tasks) < TASKS or kills < KILLS_MIN:
            killer = threading.Timer(chance.uniform(0, LIFE_S), node.kill)
            killer.start()
            _send_until_it_dies(node, tasks, stub.server_address[1])
            killer.join()
            kills += 1
            node.stop()
            node.launch()
            node.wait_ready()
        ends = _ends(node, list(tasks.values()))
        assert node.client.fsck()["ok"]
    finally:
        node.stop()
        stub.shutdown()
        stub.server_close()
    print(f"{kills} kills, ends: {Counter(ends.values())}")
    assert stub.asked, "nothing was asked at all"
    assert max(stub.asked.values()) == 1
    assert set(ends.values()) <= {"ok", "unknown"}
    for path, task in tasks.items():
        # What the guest was told is true: an answer was given once, and only an unknown end
        # leaves open whether the server was asked.
        if ends[task] == "ok":
            assert stub.asked[path] == 1


def _send_until_it_dies(node: NodeProcess, tasks: dict[str, str], port: int) -> None:
    while True:
        path = f"/{len(tasks)}"
        fetch = {"url": f"http://127.0.0.1:{port}{path}", "method": "POST", "body": "x"}
        text = json.dumps([["http-fetch.fetch", json.dumps(fetch)]])
        try:
            tasks[path] = node.client.task_send("self/caller", text, message_id=path)["id"]
        except Unavailable:
            return
        if len(tasks) >= 2 * TASKS:
            time.sleep(LIFE_S)
            return


def _ends(node: NodeProcess, ids: list[str]) -> dict[str, str]:
    """How the one call of each task ended."""
    ends: dict[str, str] = {}
    for id in ids:
        task = node.client.task_wait(id, timeout_s=SETTLED_S)
        assert task["final"], task
        assert task["state"] == "TASK_STATE_COMPLETED", task
        (answer,) = json.loads(task["text"])
        ends[id] = "ok" if "ok" in answer else answer["code"]
    return ends


def _config(port: int) -> str:
    return (
        f'[[agents]]\nname = "caller"\nwasm_path = "{CALLER}"\n'
        "[agents.capabilities]\nhttp_fetch = true\n"
        f'[agents.endpoints]\nallowed = ["private POST http://127.0.0.1:{port}"]\n'
        "[agents.limits]\nworkers = 4\n"
    )
