"""Database, inference and search by meaning through a whole node: guest, jail, gate, act, store."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from tests.promises import world
from tests.promises.world import HOSTILE, Node, agent

KEY = "sk-not-for-guests-0123456789"


class Provider(BaseHTTPRequestHandler):
    """An OpenAI-compatible service that echoes the key that it was sent."""

    heard: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.heard.append({"path": self.path, "key": self.headers["Authorization"], "body": body})
        events = [
            {"choices": [{"delta": {"content": f"you sent {self.headers['Authorization']}, "}}]},
            {"choices": [{"delta": {"content": "hello"}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 4}},
        ]
        said = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, format: str, *_: object) -> None: ...


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.fixture(scope="module")
def node(provider: str) -> Iterator[Node]:
    routes = "".join(
        f'[[router.routes]]\nname = "{name}"\nprovider = "openai"\nbase_url = "{provider}"\n'
        f'model = "model-7b"\n{more}'
        for name, more in (
            ("free", 'api_key = "${AKSHI_TEST_KEY}"\n'),
            ("paid", 'price_in = "1.00USD"\nprice_out = "2.00USD"\n'),
            ("dear", 'price_in = "9000.00USD"\nprice_out = "9000.00USD"\n'),
        )
    )
    caller = agent("caller", HOSTILE / "caller.wasm", capabilities=world.ALL_CAPABILITIES)
    caller += "[agents.spend]\ndaily_budget_usd = 1.0\n[agents.approval]\ninference = false\n"
    poor = agent("poor", HOSTILE / "caller.wasm", capabilities=["inference"])
    poor += "[agents.approval]\ninference = false\n"
    with world.directory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AKSHI_TEST_KEY", KEY)
        one = world.node(
            directory, "one", '[router]\ndefault_route = "free"\n' + routes + caller + poor
        )
        with world.running(one):
            yield one


def calls(node: Node, *wanted: list[object], agent: str = "caller") -> list[dict[str, Any]]:
    """What the guest heard of each call."""
    task = node.ask(f"self/{agent}", json.dumps(wanted))
    assert task["state"] == "TASK_STATE_COMPLETED", task
    heard: list[dict[str, Any]] = json.loads(task["text"])
    return heard


def prompt(**request: object) -> list[object]:
    return ["inference.prompt", json.dumps({"prompt": "hi", **request})]


def test_a_row_outlives_the_task(node: Node) -> None:
    made = calls(
        node,
        ["database.execute", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)", ""],
        ["database.execute", "INSERT INTO t (b) VALUES (?)", '["x"]'],
        ["database.query", "SELECT b FROM t", ""],
        ["database.query", "SELECT datetime('now')", ""],
    )
    assert json.loads(made[1]["ok"]) == {"changes": 1, "last_row_id": 1}
    assert json.loads(made[2]["ok"]) == {"columns": ["b"], "rows": [["x"]]}
    assert made[3]["code"] == "not-allowed"
    (seen,) = calls(node, ["database.query", "SELECT a, b FROM t", ""])
    assert json.loads(seen["ok"])["rows"] == [[1, "x"]]


def test_a_model_is_asked_with_a_key_that_the_guest_never_sees(node: Node) -> None:
    (answer,) = calls(node, prompt())
    told = json.loads(answer["ok"])
    assert Provider.heard[-1]["key"] == f"Bearer {KEY}"
    assert Provider.heard[-1]["body"]["model"] == "model-7b"
    assert told["text"].endswith("hello")
    assert KEY not in answer["ok"]
    assert told["cost"] is None


def test_what_costs_is_counted_and_never_more_than_the_budget(node: Node) -> None:
    before, paid, after = calls(
        node, ["spend.balance"], prompt(model="paid", max_tokens=10), ["spend.balance"]
    )
    assert json.loads(paid["ok"])["cost"] == "0.000018USD"
    spent = [json.loads(one["ok"])["spent_micros"] for one in (before, after)]
    assert spent[1] - spent[0] == 18
    heard = len(Provider.heard)
    (dear,) = calls(node, prompt(model="dear"))
    assert dear["code"] == "budget-exceeded"
    assert dear["why"].startswith("budget_exceeded")
    (poor,) = calls(node, prompt(model="paid"), agent="poor")
    assert poor["why"].startswith("no_budget_configured")
    assert len(Provider.heard) == heard, "nothing left the node"


def test_the_money_switch_stops_what_costs_and_nothing_else(node: Node) -> None:
    node.must("spend", "kill")
    assert "all paid actions are halted" in node.must("status").err
    heard = len(Provider.heard)
    (halted,) = calls(node, prompt(model="paid"))
    assert halted["why"].startswith("kill_switch")
    assert len(Provider.heard) == heard
    assert "ok" in calls(node, prompt(model="free"))[0]
    node.must("spend", "resume")
    assert "ok" in calls(node, prompt(model="paid"))[0]


def test_a_prompt_with_a_secret_and_a_name_that_is_no_route(node: Node) -> None:
    heard = len(Provider.heard)
    leak, other = calls(node, prompt(prompt=f"say {KEY}"), prompt(model="gpt-4"))
    assert leak["code"] == "not-allowed"
    assert KEY not in leak["why"]
    assert other["code"] == "invalid"
    assert len(Provider.heard) == heard


def test_entries_are_found_by_what_they_mean(node: Node) -> None:
    calls(
        node,
        ["journal.append", "n", "journals are replicated between nodes"],
        ["journal.append", "n", "the price of bread"],
    )
    request = {"query": "replication of journal", "mode": "vector", "limit": 1}
    (found,) = calls(node, ["journal.find", json.dumps(request)])
    (entry,) = json.loads(found["ok"])["entries"]
    assert entry["text"] == "journals are replicated between nodes"
    for mode in ("vector", "hybrid"):
        line = node.must(
            "journal", "search", "caller", "replicate journal", "--mode", mode, "-n", "1"
        )
        assert "journals are replicated" in line.out
