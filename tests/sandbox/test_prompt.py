"""What may be asked of a model, and what it can cost at most."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import MalformedJson, MalformedRequest
from sandbox.prompt import (
    MESSAGES_MAX,
    Message,
    Price,
    Prompt,
    Route,
    read_prompt,
    write_answer,
)
from sandbox.spend import Money

LOCAL = Route("small", "llama3", "http://127.0.0.1:11434", is_local=True, max_tokens=5)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.text())
def test_any_text_gives_a_prompt_or_a_reason(text: str) -> None:
    with pytest.raises((MalformedRequest, MalformedJson)):
        read_prompt(text)


KEYS = ("prompt", "messages", "model", "max_tokens", "temperature", "stop", "x")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, json_values)))
def test_any_values_give_a_prompt_or_a_reason(table: dict[str, object]) -> None:
    try:
        prompt = read_prompt(json.dumps(table))
    except (MalformedRequest, MalformedJson):
        return
    assert prompt.messages == (Message("user", str(table["prompt"])),)


def test_a_prompt_is_a_conversation_of_one_turn() -> None:
    assert read_prompt('{"prompt": "hi"}') == Prompt((Message("user", "hi"),))


def test_everything_that_may_be_said() -> None:
    text = """{"messages": [{"role": "system", "content": "be short"},
                            {"role": "user", "content": "hi"}],
               "model": "small", "max_tokens": 5, "temperature": 0, "stop": ["\\n"]}"""
    prompt = read_prompt(text)
    assert prompt == Prompt(
        (Message("system", "be short"), Message("user", "hi")), "small", 5, 0.0, ("\n",)
    )
    assert prompt.texts == (b"be short", b"hi", b"\n")
    assert prompt.fields == (
        "inference.prompt",
        "inference.model",
        "inference.max_tokens",
        "inference.temperature",
        "inference.stop",
    )


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"prompt": ""}',
        '{"prompt": 1}',
        '{"prompt": "a", "messages": []}',
        '{"messages": []}',
        '{"messages": {}}',
        '{"messages": ["hi"]}',
        '{"messages": [{"role": "user"}]}',
        '{"messages": [{"role": "tool", "content": "a"}]}',
        '{"messages": [{"role": ["user"], "content": "a"}]}',
        '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
        '{"messages": [{"role": "user", "content": "a", "name": "b"}]}',
        '{"prompt": "a", "model": "gpt-4\\", \\"x\\": \\"y"}',
        '{"prompt": "a", "model": "../small"}',
        '{"prompt": "a", "model": "a b"}',
        '{"prompt": "a", "model": 7}',
        '{"prompt": "a", "max_tokens": 0}',
        '{"prompt": "a", "max_tokens": true}',
        '{"prompt": "a", "max_tokens": 1.5}',
        '{"prompt": "a", "max_tokens": 100000000}',
        '{"prompt": "a", "temperature": -0.1}',
        '{"prompt": "a", "temperature": true}',
        '{"prompt": "a", "temperature": "hot"}',
        '{"prompt": "a", "temperature": 2.1}',
        '{"prompt": "a", "stop": "x"}',
        '{"prompt": "a", "stop": [""]}',
        '{"prompt": "a", "stop": ["a", "b", "c", "d", "e"]}',
        '{"prompt": "a", "tools": []}',
        '{"prompt": "a", "stream": true}',
        '{"prompt": "a", "prompt": "b"}',
    ],
)
def test_nothing_else_may_be_said(text: str) -> None:
    with pytest.raises((MalformedRequest, MalformedJson)):
        read_prompt(text)


def test_too_many_messages() -> None:
    message = {"role": "user", "content": "a"}
    read_prompt(json.dumps({"messages": [message] * MESSAGES_MAX}))
    with pytest.raises(MalformedRequest):
        read_prompt(json.dumps({"messages": [message] * (MESSAGES_MAX + 1)}))


@given(st.text(min_size=1))
def test_no_tokenizer_makes_more_tokens_than_the_bound(text: str) -> None:
    """The worst one that is used gives every byte a token of its own."""
    assert Prompt((Message("user", text),)).tokens_max > len(text.encode())


def test_prices_are_rounded_up() -> None:
    price = Price(Money.parse("3.00USD"), Money.parse("15.00USD"))
    assert price.of(tokens_in=1_000_000, tokens_out=0) == Money.parse("3.00USD")
    assert price.of(tokens_in=0, tokens_out=1_000_000) == Money.parse("15.00USD")
    cheap = Price(Money(1, "USD"), Money(1, "USD"))
    assert cheap.of(tokens_in=1, tokens_out=0) == Money(1, "USD")
    assert cheap.of(tokens_in=0, tokens_out=0) == Money(0, "USD")


def test_what_is_judged_for_risk() -> None:
    far = Route("big", "gpt", "https://api.example.com", is_local=False, max_tokens=5)
    paid = Route("big", "gpt", "https://api.example.com", is_local=False, max_tokens=5,
                 ceiling=Money(1, "USD"))  # fmt: skip
    assert LOCAL.fields == ("inference.local",)
    assert far.fields == ("inference.remote",)
    assert paid.fields == ("inference.remote", "inference.paid")


def test_the_answer() -> None:
    written = write_answer(
        text="hé", route=LOCAL, tokens_in=3, tokens_out=2, finish="stop", cost=Money(5, "USD")
    )
    assert json.loads(written) == {
        "text": "hé",
        "model": "small",
        "finish": "stop",
        "usage": {"tokens_in": 3, "tokens_out": 2},
        "cost": "0.000005USD",
    }
