"""What a guest may ask of HTTP, and what it is told."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.endpoint import EndpointRule, Url
from sandbox.errors import MalformedJson, MalformedRequest, MalformedUrl
from sandbox.fetch import (
    BODY_BYTES_MAX,
    TIMEOUT_MS_DEFAULT,
    FetchOrder,
    FetchRequest,
    read_fetch,
    told_headers,
    write_answer,
)

URL = "https://api.example.com/v1"


def wish(**more: Any) -> str:
    return json.dumps({"url": URL, **more})


def why(text: str) -> str:
    with pytest.raises((MalformedRequest, MalformedJson, MalformedUrl)) as caught:
        read_fetch(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_url_alone_is_a_get() -> None:
    assert read_fetch(wish()) == FetchRequest(
        Url.parse(URL), "GET", (), b"", TIMEOUT_MS_DEFAULT, None
    )


def test_everything_that_can_be_said() -> None:
    text = wish(
        method="POST",
        headers={"Accept": "text/plain", "X-Trace": "a b"},
        body="grüße",
        timeout_ms=1,
        payment="pay-1",
    )
    assert read_fetch(text) == FetchRequest(
        Url.parse(URL),
        "POST",
        (("Accept", "text/plain"), ("X-Trace", "a b")),
        "grüße".encode(),
        1,
        "pay-1",
    )
    assert read_fetch(wish(method="PUT", body_base64="AP8=")).body == b"\x00\xff"


@pytest.mark.parametrize(
    "more",
    [
        {"methods": "GET"},
        {"method": "get"},
        {"method": "TRACE"},
        {"method": "CONNECT"},
        {"method": "GET / HTTP/1.1\r\nX: y"},
        {"method": ["GET"]},
        {"method": None},
        {"url": None},
        {"url": "http://127.1/"},
        {"body": "x"},
        {"body": "x", "method": "HEAD"},
        {"body": 1, "method": "POST"},
        {"body": "x", "body_base64": "eA==", "method": "POST"},
        {"body_base64": "eA", "method": "POST"},
        {"body_base64": "e A==", "method": "POST"},
        {"body_base64": "é", "method": "POST"},
        {"body": "x" * (BODY_BYTES_MAX + 1), "method": "POST"},
        {"headers": []},
        {"headers": {f"X-{n}": "" for n in range(33)}},
        {"headers": {"X-A": 1}},
        {"headers": {"X-A": "1", "x-a": "2"}},
        {"headers": {"X-A": "a" * 4_097}},
        {"headers": {f"X-{n}": "a" * 4_000 for n in range(3)}},
        {"timeout_ms": 0},
        {"timeout_ms": 300_001},
        {"timeout_ms": True},
        {"timeout_ms": 1.5},
        {"payment": ""},
        {"payment": "a\nb"},
        {"payment": 1},
    ],
)
def test_what_is_not_understood_is_not_sent(more: dict[str, Any]) -> None:
    why(json.dumps({"url": URL, **more}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '"x"', '{"url":"a","url":"b"}', "nul", "[" * 99])
def test_what_is_no_object_is_refused(text: str) -> None:
    why(text)


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "host",
        "Authorization",
        "AUTHORIZATION",
        "Cookie",
        "Proxy-Authorization",
        "Proxy-Anything",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Content-Length",
        "Upgrade",
        "Expect",
        "Accept-Encoding",
        "Forwarded",
        "X-Forwarded-For",
        "X-HTTP-Method-Override",
        "X-Original-URL",
        "X-Payment",
        "Payment-Signature",
        "Sec-Fetch-Site",
        "X_Api_Key",
        "X Api",
        "X:A",
        "X\r\nHost",
        "",
        "-X",
        "X\u212a",
        "é",
    ],
)
def test_a_guest_does_not_frame_route_or_sign(name: str) -> None:
    why(wish(headers={name: "x"}))


@pytest.mark.parametrize("value", ["a\r\nHost: b", "a\nb", "a\rb", "a\0b", " a", "a ", "\ta", "é"])
def test_a_value_cannot_leave_its_line(value: str) -> None:
    assert "X-A" in why(wish(headers={"X-A": value}))


@given(st.text() | st.recursive(st.text() | st.integers() | st.none(), st.lists).map(json.dumps))
def test_any_text_is_a_request_or_refused(text: str) -> None:
    for each in (text, json.dumps({"url": URL, "headers": {"X": text}, "method": "GET"})):
        try:
            read_fetch(each)
        except (MalformedRequest, MalformedJson, MalformedUrl):
            continue


def test_of_several_rules_the_one_with_the_fewest_liberties_counts() -> None:
    rules = tuple(
        EndpointRule.parse(text)
        for text in (
            "private redirects api.example.com",
            "private api.example.com",
            "redirects api.example.com/v1",
            "api.example.com/v1/a",
        )
    )
    url = Url.parse(f"{URL}/a")
    order = FetchOrder("a", url, "GET", (), b"", rules, 1.0, lambda: None)
    assert order.rule_for(url, "GET") == rules[3]
    assert order.rule_for(Url.parse(URL), "GET") == rules[2]
    assert order.rule_for(Url.parse("https://api.example.com/"), "GET") == rules[1]
    assert order.rule_for(Url.parse("https://example.com/"), "GET") is None


def test_what_concerns_the_connection_is_not_told() -> None:
    headers = [("Content-Type", "a"), ("Set-Cookie", "s"), ("Vary", "b"), ("VARY", "c")]
    headers += [("Transfer-Encoding", "chunked"), ("Connection", "close")]
    assert told_headers(headers) == {"content-type": "a", "vary": "b, c"}


def test_a_body_is_text_where_it_is_text() -> None:
    assert json.loads(write_answer(200, {"a": "b"}, "ü".encode(), URL)) == {
        "status": 200,
        "headers": {"a": "b"},
        "body": "ü",
        "url": URL,
    }
    answer = json.loads(write_answer(402, {}, b"\xff", URL, payment_required={"rail": "x402"}))
    assert base64.b64decode(answer["body_base64"]) == b"\xff"
    assert answer["payment_required"] == {"rail": "x402"}
    assert "body" not in answer
