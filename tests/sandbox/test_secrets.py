"""A secret goes where its owner bound it, and nowhere else."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import cbor
from sandbox.endpoint import METHODS, EndpointRule, Url
from sandbox.errors import MalformedSecret
from sandbox.secrets import (
    FORMAT_CHARS_MAX,
    VALUE_BYTES_MAX,
    VALUE_BYTES_MIN,
    Injection,
    SecretBinding,
    check_value,
    chosen,
    texts_of,
)

BOUND = SecretBinding.parse(
    "weather", "https://api.example.com/v1", methods=("get", "POST"), agent="reader"
)


def test_the_bound_request_is_covered() -> None:
    assert BOUND.covers("reader", Url.parse("https://api.example.com/v1/today?x=1"), "GET")
    assert BOUND.covers("reader", Url.parse("https://API.example.com:443/v1"), "POST")


@pytest.mark.parametrize(
    ("agent", "url", "method"),
    [
        ("writer", "https://api.example.com/v1", "GET"),
        ("reader", "http://api.example.com/v1", "GET"),
        ("reader", "http://api.example.com:443/v1", "GET"),
        ("reader", "https://api.example.com:8443/v1", "GET"),
        ("reader", "https://example.com/v1", "GET"),
        ("reader", "https://api.example.com.evil.example/v1", "GET"),
        ("reader", "https://x.api.example.com/v1", "GET"),
        ("reader", "https://api.example.com/v10", "GET"),
        ("reader", "https://api.example.com/", "GET"),
        ("reader", "https://api.example.com/V1", "GET"),
        ("reader", "https://api.example.com/v2/v1", "GET"),
        ("reader", "https://api.example.com/v1", "DELETE"),
        ("reader", "https://api.example.com/v1", "get"),
    ],
)
def test_no_other_agent_scheme_port_host_path_or_method(agent: str, url: str, method: str) -> None:
    assert not BOUND.covers(agent, Url.parse(url), method)


def test_without_methods_and_agent_it_is_for_any() -> None:
    binding = SecretBinding.parse("x", "api.example.com")
    assert binding.endpoint.methods == METHODS
    assert binding.agent is None
    assert binding.place == "https://api.example.com"
    for method in METHODS:
        assert binding.covers("anyone", Url.parse("https://api.example.com/a"), method)


def test_http_is_covered_only_where_the_owner_wrote_http() -> None:
    plain = SecretBinding.parse("x", "http://127.0.0.1:8080/v1")
    assert plain.covers("a", Url.parse("http://127.0.0.1:8080/v1"), "GET")
    assert not plain.covers("a", Url.parse("https://127.0.0.1:8080/v1"), "GET")
    assert plain.place == "http://127.0.0.1:8080/v1"
    assert SecretBinding.parse("x", "127.0.0.1:8080").endpoint.scheme == "https"


@pytest.mark.parametrize(
    "changed",
    [
        {"endpoint": "*.example.com"},
        {"endpoint": "private api.example.com"},
        {"endpoint": "GET api.example.com"},
        {"endpoint": "https://me@api.example.com"},
        {"endpoint": "https://api.example.com/../x"},
        {"endpoint": "https://api.example.com/?a=b"},
        {"endpoint": ""},
        {"endpoint": "ftp://api.example.com"},
        {"methods": ("FETCH",)},
        {"header": ""},
        {"header": "X Y"},
        {"header": "X:\r\nY"},
        {"header": "Host"},
        {"header": "transfer-encoding"},
        {"header": "Content-Length"},
        {"header": "x" * 65},
        {"format": "Bearer"},
        {"format": "{} {}"},
        {"format": "{} {base64}"},
        {"format": "Bearer\n{}"},
        {"format": "{" + "}" + "x" * FORMAT_CHARS_MAX},
        {"format": " {}"},
        {"format": "Bearer ä{}"},
        {"agent": "../x"},
        {"agent": ""},
        {"name": "a/b"},
        {"name": ""},
    ],
)
def test_a_binding_that_cannot_be_used_cannot_be_made(changed: dict[str, object]) -> None:
    given_: dict[str, object] = {"name": "x", "endpoint": "api.example.com", **changed}
    with pytest.raises(MalformedSecret):
        SecretBinding.parse(**given_)  # type: ignore[arg-type]


def test_a_rule_that_is_private_or_follows_redirects_is_no_place_for_a_secret() -> None:
    for rule in ("private 10.0.0.1", "redirects api.example.com"):
        with pytest.raises(MalformedSecret):
            SecretBinding("x", EndpointRule.parse(rule))


def test_how_a_value_is_written() -> None:
    def written(format_: str) -> str:
        return SecretBinding.parse("x", "a.example", format=format_).written("user:{}pass{base64}")

    assert written("Bearer {}") == "Bearer user:{}pass{base64}"
    encoded = base64.b64encode(b"user:{}pass{base64}").decode()
    assert written("Basic {base64}") == f"Basic {encoded}"


def test_the_most_particular_binding_of_a_header_is_chosen() -> None:
    whole = SecretBinding.parse("whole", "api.example.com")
    path = SecretBinding.parse("path", "api.example.com/v1")
    read = SecretBinding.parse("read", "api.example.com/v1", methods=("GET",))
    mine = SecretBinding.parse("mine", "api.example.com", agent="me", header="AUTHORIZATION")
    other = SecretBinding.parse("other", "api.example.com", header="X-Key", format="{}")
    every = (mine, read, other, whole, path)

    def names(agent: str, url: str, method: str) -> set[str]:
        return {b.name for b in chosen(every, agent, Url.parse(url), method)}

    assert names("me", "https://api.example.com/v1/x", "GET") == {"mine", "other"}
    assert names("you", "https://api.example.com/v1/x", "GET") == {"read", "other"}
    assert names("you", "https://api.example.com/v1/x", "PUT") == {"path", "other"}
    assert names("you", "https://api.example.com/v2", "PUT") == {"whole", "other"}
    assert names("you", "https://example.com/v2", "PUT") == set()


@pytest.mark.parametrize("value", ["x" * VALUE_BYTES_MIN, "x y" * 100, "x" * VALUE_BYTES_MAX])
def test_a_value_that_can_be_a_header_is_taken(value: str) -> None:
    check_value("x", value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x" * (VALUE_BYTES_MIN - 1),
        "x" * (VALUE_BYTES_MAX + 1),
        "planted-secret-0\r\nX-Evil: 1",
        "planted-secret-0\n",
        " planted-secret-0",
        "planted-secret-0 ",
        "planted-secret-0\x7f",
        "planted-secret-0ä",
        "planted\x00secret-000",
    ],
)
def test_a_value_that_splits_a_header_or_is_short_is_refused_unseen(value: str) -> None:
    with pytest.raises(MalformedSecret) as refused:
        check_value("x", value)
    assert "planted" not in str(refused.value)
    assert not value or value not in repr(refused.value)


def test_basic_credentials_are_looked_for_whole_and_in_parts() -> None:
    pair = "user:open sesame!"
    encoded = base64.b64encode(pair.encode())
    assert set(texts_of(pair, ["Basic {base64}"])) == {pair.encode(), encoded, b"open sesame!"}
    assert set(texts_of(encoded.decode(), ["Basic {}"])) == {
        encoded,
        pair.encode(),
        b"open sesame!",
    }
    assert texts_of(pair, ["Bearer {}"]) == (pair.encode(),)
    # What is not base64 after all is only looked for as it is; short passwords occur by chance.
    assert texts_of("no base64 in here!", ["Basic {}"]) == (b"no base64 in here!",)
    assert texts_of("a-long-user-name:short", ["Basic {base64}"])[2:] == ()
    short = base64.b64encode(b"user:short66").decode()
    assert texts_of(short, ["basic {}"]) == (short.encode(),)
    assert texts_of(base64.b64encode(b"\xff" * 16).decode(), ["Basic {}"])[1:] == ()


def test_an_injection_prints_no_value() -> None:
    assert "planted" not in repr(Injection("x", "Authorization", "Bearer planted"))


def test_a_binding_survives_its_written_form() -> None:
    for binding in (BOUND, SecretBinding.parse("x", "http://[::1]:80", header="X", format="{}")):
        stored = cbor.loads(cbor.dumps(binding.to_value()))
        assert SecretBinding.from_value(binding.name, stored) == binding


_scalars = st.one_of(
    st.none(), st.integers(-1, 70_000), st.text(max_size=8), st.lists(st.text(max_size=4)),
    st.sampled_from(["https", "api.example.com", "/v1", "Bearer {}", "X"]),
)  # fmt: skip


@given(st.one_of(_scalars, st.lists(_scalars), st.dictionaries(st.integers(0, 9), _scalars)))
def test_anything_stored_gives_a_binding_or_malformed(value: object) -> None:
    with contextlib.suppress(MalformedSecret):
        SecretBinding.from_value("x", value)


@given(st.integers(1, 8), _scalars)
def test_a_stored_binding_with_one_field_changed_gives_a_binding_or_malformed(
    key: int, value: object
) -> None:
    changed = {**BOUND.to_value(), key: value}
    try:
        binding = SecretBinding.from_value("weather", changed)
    except MalformedSecret:
        return
    assert binding.to_value()[key] == value


@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_anything_typed_gives_a_binding_or_malformed(
    endpoint: str, header: str, format_: str
) -> None:
    with contextlib.suppress(MalformedSecret):
        SecretBinding.parse("x", endpoint, header=header, format=format_)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (1, 1),
        (2, None),
        (3, True),
        (3, "443"),
        (4, b"/"),
        (5, "GET"),
        (5, [1]),
        (6, 1),
        (7, 1),
        (8, 1),
    ],
)
def test_a_stored_field_of_another_type_is_malformed(key: int, value: object) -> None:
    with pytest.raises(MalformedSecret, match="wrong type"):
        SecretBinding.from_value("x", {**BOUND.to_value(), key: value})
