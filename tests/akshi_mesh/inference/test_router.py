"""Models over loopback: what is sent, what is believed, what is tried again, and what is not."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio

from akshi_mesh.inference import router as module
from akshi_mesh.inference.breaker import FAILURES_MAX
from akshi_mesh.inference.providers import Provider
from akshi_mesh.inference.router import Router
from akshi_mesh.inference.routes import RouterSpec, RouteSpec
from sandbox.endpoint import Url
from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.outside import SecretsPort
from sandbox.prompt import ModelAnswer, Price, Prompt, Route, read_prompt
from sandbox.spend import Money
from tests.sandbox.net.world import (
    NoSecrets,
    OneSecret,
    Server,
    answer,
    chunks,
    hang_up,
    saying,
    serving,
    silent,
)

HI = read_prompt('{"prompt": "hi"}')
PRICE = Price(Money.parse("1.00USD"), Money.parse("2.00USD"))
KEY = "sk-0123456789abcdefghij"


def stream(*events: object, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    return answer(("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode())


def delta(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
HELLO = stream(delta("hel"), delta("lo"), delta("", "stop"), USAGE)
OLLAMA = answer(
    b'{"message": {"role": "assistant", "content": "hel"}, "done": false}\n'
    b'{"message": {"role": "assistant", "content": "lo"}, "done": true, "done_reason": "stop",'
    b' "prompt_eval_count": 10, "eval_count": 5}\n'
)


def router_of(
    server: Server,
    *,
    provider: Provider = "openai",
    secrets: SecretsPort | None = None,
    price: Price | None = None,
    timeout_s: float = 5.0,
    needs_key: bool = False,
) -> Router:
    spec = RouteSpec(
        name="small",
        provider=provider,
        base_url=Url.parse(f"{server.url}/v1" if provider == "openai" else server.url),
        model="model-7b",
        max_tokens=100,
        timeout_s=timeout_s,
        price=price,
        needs_key=needs_key,
    )
    return Router(RouterSpec((spec,), "small"), secrets or NoSecrets())


async def ask(
    router: Router, prompt: Prompt = HI, still: Callable[[], str | None] = lambda: None
) -> ModelAnswer:
    return await router.prompt("ann", router.route("ann", prompt), prompt, still_allowed=still)


async def failure_of(
    router: Router, prompt: Prompt = HI, still: Callable[[], str | None] = lambda: None
) -> ActFailed:
    with pytest.raises(ActFailed) as caught:
        await ask(router, prompt, still)
    return caught.value


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES_S", (0.0, 0.0))


async def test_an_openai_compatible_provider() -> None:
    async with serving(saying(HELLO)) as server:
        text = (
            '{"messages": [{"role": "system", "content": "short"}, {"role": "user", "content":'
            ' "hi"}], "max_tokens": 7, "temperature": 0.5, "stop": ["."]}'
        )
        said = await ask(router_of(server, price=PRICE), read_prompt(text))
        assert json.loads(said.json) == {
            "text": "hello",
            "model": "small",
            "finish": "stop",
            "usage": {"tokens_in": 10, "tokens_out": 5},
            "cost": "0.00002USD",
        }
        assert said.cost == Money(20, "USD")
        assert server.lines[0] == "POST /v1/chat/completions HTTP/1.1"
        assert json.loads(server.requests[0].partition(b"\r\n\r\n")[2]) == {
            "model": "model-7b",
            "messages": [
                {"role": "system", "content": "short"},
                {"role": "user", "content": "hi"},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 7,
            "temperature": 0.5,
            "stop": ["."],
        }


async def test_ollama() -> None:
    async with serving(saying(OLLAMA)) as server:
        said = await ask(router_of(server, provider="ollama"))
        told = json.loads(said.json)
        assert (told["text"], told["cost"], said.cost) == ("hello", None, None)
        assert server.lines[0] == "POST /api/chat HTTP/1.1"
        body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
        assert body["options"] == {"num_predict": 100}


def test_where_a_prompt_goes_and_what_it_can_cost() -> None:
    far = RouteSpec("big", "openai", Url.parse("https://api.example.com/v1"), "m", 50, 5.0, PRICE)
    near = RouteSpec("near", "ollama", Url.parse("http://127.0.0.1:11434"), "m", 50, 5.0)
    router = Router(RouterSpec((far, near), "near"), NoSecrets())
    assert router.route("ann", HI) == Route("near", "m", "http://127.0.0.1:11434", True, 50)
    wish = read_prompt('{"prompt": "hi", "model": "big", "max_tokens": 1000}')
    route = router.route("ann", wish)
    assert (route.name, route.is_local, route.max_tokens) == ("big", False, 50)
    assert route.ceiling == PRICE.of(tokens_in=wish.tokens_max, tokens_out=50)


def test_a_name_that_is_no_route_reaches_nobody() -> None:
    """Model name injection: a guest names routes, and never a provider's model."""
    near = RouteSpec("near", "ollama", Url.parse("http://127.0.0.1:11434"), "m", 50, 5.0)
    router = Router(RouterSpec((near,), "near"), NoSecrets())
    for name in ("m", "gpt-4", "near/../big", "NEAR"):
        with pytest.raises(ActFailed, match="no model") as refused:
            router.route("ann", read_prompt(json.dumps({"prompt": "a", "model": name})))
        assert refused.value.code is FaultCode.INVALID
    with pytest.raises(ActFailed, match="no \\[router\\]"):
        Router(RouterSpec(), NoSecrets()).route("ann", HI)


@pytest.mark.parametrize("holder", ["ann", "route.small", "zoe"])
async def test_a_prompt_that_holds_a_secret_does_not_leave(holder: str) -> None:
    """The agent's own secrets are looked for, and the provider's; not those of other agents."""
    async with serving(saying(HELLO)) as server:
        router = router_of(server, secrets=OneSecret(KEY, server.url, holder=holder))
        if holder == "zoe":
            await ask(router, read_prompt(json.dumps({"prompt": f"repeat {KEY}"})))
            return
        for text in (f"repeat {KEY}", f"x{KEY}x"):
            prompt = read_prompt(json.dumps({"prompt": text}))
            failure = await failure_of(router, prompt)
            assert failure.code is FaultCode.NOT_ALLOWED
            assert KEY not in failure.why
        assert server.requests == []


async def test_the_key_goes_to_the_provider_and_an_echo_of_it_not_to_the_guest() -> None:
    async with serving(saying(stream(delta(f"key {KEY[:9]}"), delta(f"{KEY[9:]}!")))) as server:
        said = await ask(router_of(server, secrets=OneSecret(KEY, server.url), needs_key=True))
        assert server.headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in said.json


async def test_without_its_key_a_route_is_unavailable() -> None:
    async with serving(saying(HELLO)) as server:
        failure = await failure_of(router_of(server, needs_key=True))
        assert failure.code is FaultCode.UNAVAILABLE
        assert server.requests == []


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
async def test_what_was_not_processed_is_tried_again(no_pauses: None, status: str) -> None:
    async with serving(saying(answer(status=status), HELLO)) as server:
        said = await ask(router_of(server))
        assert json.loads(said.json)["text"] == "hello"
        assert len(server.requests) == 2


async def test_it_is_tried_three_times_and_no_more(no_pauses: None) -> None:
    async with serving(saying(*[answer(status="503 Service Unavailable")] * 9)) as server:
        failure = await failure_of(router_of(server, price=PRICE))
        assert failure.code is FaultCode.UNAVAILABLE
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    "talk",
    [
        hang_up,
        saying(answer(status="500 Internal Server Error")),
        saying(answer(status="502 Bad Gateway")),
        saying(stream(delta("hel"), done=False)),
        saying(answer(b"data: {\n\n")),
        saying(answer(b"data: [1]\n\n")),
        saying(stream({"error": {"message": KEY}})),
        saying(stream({"choices": [{"delta": {"content": 7}}]})),
        saying(stream({"choices": [7]})),
        saying(answer(b"data: " + b"[" * 100 + b"\n\n")),
        chunks(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\ndata: {", then_close=True),
    ],
)
async def test_what_may_have_been_charged_is_unknown_and_never_repeated(
    no_pauses: None, talk: Any
) -> None:
    async with serving(talk) as server:
        failure = await failure_of(router_of(server, price=PRICE))
        assert failure.code is FaultCode.UNKNOWN
        assert KEY not in failure.why
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "302 Found"])
async def test_what_the_provider_refuses_is_said_without_its_words(status: str) -> None:
    refusal = answer(KEY.encode(), "Location: http://127.0.0.1:1/", status=status)
    async with serving(saying(refusal)) as server:
        failure = await failure_of(router_of(server))
        assert failure.code is FaultCode.UNAVAILABLE
        assert status[:3] in failure.why
        assert KEY not in failure.why
        assert len(server.requests) == 1


async def test_a_provider_that_is_not_there(no_pauses: None) -> None:
    async with serving(silent) as server:
        port = server.port
    router = router_of(Server(port=port), price=PRICE)
    for _ in range(FAILURES_MAX):
        failure = await failure_of(router)
        assert failure.code is FaultCode.UNAVAILABLE
    assert "of late" in (await failure_of(router)).why


async def test_a_provider_that_never_answers_is_left(no_pauses: None) -> None:
    async with serving(silent) as server:
        began = trio.current_time()
        failure = await failure_of(router_of(server, timeout_s=0.2))
        assert failure.code is FaultCode.UNKNOWN
        assert trio.current_time() - began < 2


@pytest.mark.parametrize("first", [b"", b"data: " + json.dumps(delta("hel")).encode() + b"\n\n"])
async def test_a_switch_cuts_the_stream(first: bytes) -> None:
    """Streaming, or waiting for a server that never goes on: the guest hears of it at once."""

    async def begin(stream: trio.abc.Stream, request: bytes) -> bool:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        await stream.send_all(head + (b"%x\r\n%b\r\n" % (len(first), first) if first else b""))
        await trio.sleep_forever()
        return False

    async with serving(begin) as server:
        began = trio.current_time()
        switch: list[str] = []

        async def pull() -> None:
            while not server.requests:
                await trio.sleep(0.01)
            await trio.sleep(0.1)
            switch.append("kill_switch")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(pull)
            router = router_of(server, price=PRICE, timeout_s=30)
            failure = await failure_of(router, still=lambda: switch[0] if switch else None)
        assert failure.code is FaultCode.UNKNOWN
        assert failure.why.startswith("kill_switch")
        assert trio.current_time() - began < 2


async def test_a_switch_that_is_on_lets_nothing_leave() -> None:
    async with serving(saying(HELLO)) as server:
        failure = await failure_of(router_of(server), still=lambda: "kill_switch")
        assert (failure.code, failure.why) == (FaultCode.CANCELLED, "kill_switch")
        assert server.requests == []


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": -1, "completion_tokens": 5},
        {"prompt_tokens": 10**15, "completion_tokens": 5},
        {"prompt_tokens": "10", "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": 5},
    ],
)
async def test_without_a_credible_count_all_that_was_reserved_is_spent(usage: object) -> None:
    async with serving(saying(stream(delta("hi"), {"choices": [], "usage": usage}))) as server:
        router = router_of(server, price=PRICE)
        said = await ask(router)
        assert said.cost == router.route("ann", HI).ceiling


async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    long = stream(*[delta("x" * 60_000)] * 10)
    async with serving(saying(long)) as server:
        failure = await failure_of(router_of(server))
        assert failure.code is FaultCode.UNKNOWN
