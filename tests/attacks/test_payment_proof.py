"""A server asks for money: who pays, who sees the proof, and where it goes."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.promises import world
from tests.promises.world import HOSTILE, Node, agent

PROOF = "cHJvb2Ygb2YgcGF5bWVudA"
OFFER = {
    "scheme": "exact",
    "network": "base",
    "maxAmountRequired": "10000",
    "payTo": "0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb0",
    "asset": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
}
CHALLENGE = json.dumps({"x402Version": 1, "accepts": [OFFER]}).encode()


class Shop:
    """Asks for money, takes it at `/pay`, and gives what it has for a proof."""

    def __init__(self) -> None:
        self.shown: list[str | None] = []
        self.orders: list[dict[str, Any]] = []
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                proof = self.headers["X-PAYMENT"]
                shop.shown.append(proof)
                if proof == PROOF:
                    self.answer(200, b"the map, for " + proof.encode())
                else:
                    self.answer(402, CHALLENGE)

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                shop.orders.append(json.loads(data))
                self.answer(200, json.dumps({"paid": True, "proof": PROOF}).encode())

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def other() -> Iterator[Shop]:
    other = Shop()
    yield other
    other.close()


def _agent(name: str, *shops: Shop) -> str:
    places = json.dumps([f"private {shop.url}" for shop in shops])
    caller = HOSTILE / "caller.wasm"
    return (
        agent(name, caller, capabilities=["spend", "http_fetch"])
        + f"[agents.endpoints]\nallowed = {places}\n"
        + '[agents.spend]\ndaily = "1.00USDC"\nrails = ["x402"]\n'
        + "[agents.approval]\nspend = false\nhttp_fetch = false\n"
    )


@pytest.fixture(scope="module")
def host(shop: Shop, other: Shop) -> Iterator[Node]:
    config = (
        f'[[spend.rails]]\nname = "x402"\nurl = "{shop.url}/pay"\n'
        + _agent("buyer", shop, other)
        + _agent("thief", shop, other)
    )
    with world.directory() as directory:
        node = world.node(directory, "host", config)
        with world.running(node):
            yield node


def asked(node: Node, name: str, call: str, **request: object) -> dict[str, Any]:
    (told,) = json.loads(
        node.ask(f"self/{name}", json.dumps([[call, json.dumps(request)]]))["text"]
    )
    assert PROOF not in json.dumps(told).replace("the map, for " + PROOF, "")
    return dict(told)


def fetched(node: Node, name: str, url: str, **more: object) -> dict[str, Any]:
    answer = asked(node, name, "http-fetch.fetch", url=url, **more)
    return dict(json.loads(answer["ok"])) if "ok" in answer else answer


@pytest.fixture(scope="module")
def payment(host: Node, shop: Shop) -> str:
    """What the buyer has paid for the map."""
    wanted = fetched(host, "buyer", f"{shop.url}/map")["payment_required"]
    assert wanted.keys() == {"challenge", "amount_micros", "currency", "rail", "payee"}
    assert (wanted["amount_micros"], wanted["currency"]) == (10_000, "USDC")
    told = json.loads(asked(host, "buyer", "spend.charge", **wanted)["ok"])
    assert told["has_proof"] is True
    assert json.loads(shop.orders[-1]["challenge"]["opaque"]) == OFFER
    return str(told["payment"])


def test_a_payment_opens_what_was_paid_for(host: Node, shop: Shop, payment: str) -> None:
    told = fetched(host, "buyer", f"{shop.url}/map", payment=payment)
    assert told["status"] == 200
    assert shop.shown[-1] == PROOF


def test_a_payment_of_another_agent_shows_nothing(host: Node, shop: Shop, payment: str) -> None:
    before = len(shop.shown)
    told = asked(host, "thief", "http-fetch.fetch", url=f"{shop.url}/map", payment=payment)
    assert told["code"] == "not-allowed"
    assert len(shop.shown) == before


def test_a_payment_is_shown_to_no_other_server(host: Node, other: Shop, payment: str) -> None:
    told = asked(host, "buyer", "http-fetch.fetch", url=f"{other.url}/map", payment=payment)
    assert told["code"] == "not-allowed"
    assert other.shown == []


def test_a_challenge_of_another_agent_is_not_paid(host: Node, shop: Shop) -> None:
    wanted = fetched(host, "buyer", f"{shop.url}/map")["payment_required"]
    before = len(shop.orders)
    told = asked(host, "thief", "spend.charge", **wanted)
    assert told["code"] == "invalid"
    assert len(shop.orders) == before


@pytest.mark.parametrize("changed", [{"amount_micros": 1}, {"payee": "0xthief"}])
def test_a_challenge_is_paid_as_it_was_asked(
    host: Node, shop: Shop, changed: dict[str, object]
) -> None:
    wanted = fetched(host, "buyer", f"{shop.url}/map")["payment_required"]
    before = len(shop.orders)
    told = asked(host, "buyer", "spend.charge", **{**wanted, **changed})
    assert told["code"] == "invalid"
    assert len(shop.orders) == before


def test_no_proof_is_shown_while_spending_is_halted(host: Node, shop: Shop, payment: str) -> None:
    host.must("spend", "kill")
    before = len(shop.shown)
    told = asked(host, "buyer", "http-fetch.fetch", url=f"{shop.url}/map", payment=payment)
    host.must("spend", "resume")
    assert told["why"].startswith("kill_switch")
    assert len(shop.shown) == before
