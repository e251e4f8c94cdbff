"""[router]: what can be asked, what it costs, and that no key stands in the file."""

import pytest

from akshi_mesh.config.errors import ConfigError
from akshi_mesh.config.model import Config
from akshi_mesh.config.read import read_config
from sandbox.endpoint import Url
from sandbox.spend import Money
from tests.akshi_mesh.config.test_read import Beside

LOCAL = """
[[router.routes]]
name = "small"
provider = "ollama"
model = "llama3.2"
"""
FAR = """
[[router.routes]]
name = "big"
provider = "openai"
base_url = "https://api.example.com/v1"
model = "gpt"
api_key = "${EXAMPLE_KEY}"
price_in = "3.00USD"
price_out = "15.00USD"
max_tokens = 2048
"""


def read(text: str) -> Config:
    return read_config(text, file="runtime.toml", files=Beside())


def wrong(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        read(text)
    return str(refused.value)


def test_no_router_is_no_route() -> None:
    assert read("").router.routes == ()
    assert read("").router.default_route is None


def test_a_model_on_this_machine_costs_nothing() -> None:
    router = read(LOCAL).router
    (route,) = router.routes
    assert router.default_route == "small", "the only one is the default"
    assert route.is_local
    assert route.price is None
    assert str(route.url) == "http://127.0.0.1:11434/api/chat"
    assert not route.needs_key


def test_a_model_of_somebody_else_has_a_price_and_a_key() -> None:
    config = read(LOCAL + FAR + "[router]\ndefault_route = 'big'\ntimeout_secs = 30\n")
    big = config.router.routes[1]
    assert config.router.default_route == "big"
    assert (big.max_tokens, big.timeout_s, big.is_local) == (2048, 30.0, False)
    assert big.price is not None
    assert big.price.million_out == Money.parse("15.00USD")
    (source,) = config.secrets
    assert source.variable == "EXAMPLE_KEY"
    assert source.binding.covers("route.big", big.url, "POST")
    assert not source.binding.covers("ann", big.url, "POST")
    assert not source.binding.covers("route.big", big.url, "GET")
    assert not source.binding.covers("route.big", Url.parse("https://api.example.com/v1"), "POST")


def test_nothing_is_paid_where_the_price_is_nothing() -> None:
    text = FAR.replace("3.00USD", "0.00USD").replace("15.00USD", "0.00USD")
    assert read(text).router.routes[0].price is None


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('name = "big"', 'name = "b g"', "'name' wants"),
        ('name = "big"', "", "'name' wants"),
        ('"openai"', '"anthropic"', '"ollama" or "openai"'),
        ('model = "gpt"', "", "'model' wants"),
        ('base_url = "https://api.example.com/v1"', "", "needs a 'base_url'"),
        ("https://api.example.com/v1", "api.example.com", "'base_url'"),
        ("https://api.example.com/v1", "https://user@api.example.com", "'base_url'"),
        ("https://api.example.com/v1", "https://api.example.com/v1?x=1", "no query"),
        ("${EXAMPLE_KEY}", "sk-0123456789", "no key stands in a file"),
        ('price_in = "3.00USD"\n', "", "belong together"),
        ('price_in = "3.00USD"\nprice_out = "15.00USD"\n', "", "not on this machine"),
        ("15.00USD", "15.00EUR", "wants USD"),
        ("15.00USD", "-1.00USD", "'price_out'"),
        ("15.00USD", "NaN", "'price_out'"),
        ("max_tokens = 2048", "max_tokens = 0", "'max_tokens' wants"),
        ("max_tokens = 2048", "timeout_secs = 0", "'timeout_secs' wants"),
        ("max_tokens = 2048", "max_token = 1", "unknown key 'max_token'"),
    ],
)
def test_what_is_wrong_is_told(before: str, after: str, told: str) -> None:
    assert before in FAR
    assert told in wrong(FAR.replace(before, after))


def test_names_are_there_once_and_the_default_is_one_of_them() -> None:
    assert "there twice" in wrong(LOCAL + LOCAL)
    assert "there is no route" in wrong(LOCAL + "[router]\ndefault_route = 'big'\n")


def test_of_several_none_is_the_default() -> None:
    assert read(LOCAL + FAR).router.default_route is None


def test_what_a_later_router_will_know_is_a_note() -> None:
    config = read(LOCAL + "[router]\nthreshold = 0.5\n")
    assert any("threshold" in str(note) for note in config.notes)


def test_who_may_ask_a_model_where_there_is_none_is_told() -> None:
    agent = '[[agents]]\nname = "writer"\nwasm_path = "w.wasm"\n'
    agent += "[agents.capabilities]\ninference = true\n"
    (note,) = read(agent).notes
    assert note.line == 5
    assert "no model to ask" in str(note)
    assert not read(agent + LOCAL).notes
