"""Secrets are found in every spelling that is promised, however the stream is cut."""

import base64
import itertools
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.redaction import MARK, SCAN_BYTES, Redactor, Watch, leak_in

# Every third character is one that base64 writes with + or /.
TOKEN = "sk?li>e/4f+9Kq&7Zx<Q1w\"2e r3'T%5"
WATCH = Watch.over("token", TOKEN.encode())
OTHER = Watch.over("other", b"abababababababababab")


def _lower(quoted: str) -> str:
    return "".join(
        c.lower() if quoted[max(0, n - 2) : n].count("%") else c for n, c in enumerate(quoted)
    )


SPELLED = {
    "raw": TOKEN,
    "base64": base64.b64encode(TOKEN.encode()).decode(),
    "base64 without padding": base64.b64encode(TOKEN.encode()).decode().rstrip("="),
    "base64 one in": base64.b64encode(b"x" + TOKEN.encode() + b"yz").decode(),
    "base64 two in": base64.b64encode(b"xy" + TOKEN.encode() + b"z").decode(),
    "urlsafe": base64.urlsafe_b64encode(TOKEN.encode()).decode(),
    "urlsafe one in": base64.urlsafe_b64encode(b"x" + TOKEN.encode()).decode(),
    "urlsafe two in": base64.urlsafe_b64encode(b"xx" + TOKEN.encode()).decode(),
    "base64 in a url": quote(base64.b64encode(TOKEN.encode()).decode(), safe=""),
    "base64 in php json": base64.b64encode(TOKEN.encode()).decode().replace("/", "\\/"),
    "percent": quote(TOKEN, safe=""),
    "percent in a path": quote(TOKEN),
    "percent lower": _lower(quote(TOKEN, safe="")),
    "percent whole": "".join(f"%{b:02X}" for b in TOKEN.encode()),
    "percent whole lower": "".join(f"%{b:02x}" for b in TOKEN.encode()),
    "form": quote_plus(TOKEN),
    "json": json.dumps(TOKEN)[1:-1],
    "json with slashes": json.dumps(TOKEN)[1:-1].replace("/", "\\/"),
    "json of go": json.dumps(TOKEN)[1:-1]
    .replace("<", "\\u003c")
    .replace(">", "\\u003e")
    .replace("&", "\\u0026"),
    "json of .net": TOKEN.replace("+", "\\u002B")
    .replace("&", "\\u0026")
    .replace("<", "\\u003C")
    .replace(">", "\\u003E")
    .replace('"', "\\u0022")
    .replace("'", "\\u0027"),
    "json whole": "".join(f"\\u{b:04x}" for b in TOKEN.encode()),
    "html": TOKEN.replace("&", "&amp;")
    .replace("<", "&lt;")
    .replace(">", "&gt;")
    .replace('"', "&quot;")
    .replace("'", "&#x27;"),
    "hex": TOKEN.encode().hex(),
    "hex upper": TOKEN.encode().hex().upper(),
}


@pytest.mark.parametrize("spelling", SPELLED)
def test_every_spelling_is_blotted_out_of_a_stream(spelling: str) -> None:
    redactor = Redactor([WATCH])
    spelled = SPELLED[spelling].encode()
    came = redactor.feed(b"before " + spelled + b" after") + redactor.finish()
    assert MARK in came
    assert redactor.hits == {"token": 1}
    # Base64 shares a character with what is around it; nothing more of the secret stays.
    assert len(came) <= len(b"before " + MARK + b" after") + 8
    assert came.startswith(b"before ")
    assert came.endswith(b" after")


@pytest.mark.parametrize("spelling", SPELLED)
def test_every_spelling_is_found_in_a_request(spelling: str) -> None:
    assert leak_in([OTHER, WATCH], b"GET", b"q=" + SPELLED[spelling].encode()) == "token"


@pytest.mark.parametrize("spelling", SPELLED)
def test_a_spelling_that_arrives_byte_by_byte_is_blotted_out(spelling: str) -> None:
    padding = b"." * (2 * SCAN_BYTES - 9)  # so that a scan falls into the middle of it
    whole = padding + SPELLED[spelling].encode() + padding
    redactor = Redactor([WATCH])
    came = b"".join(redactor.feed(bytes([byte])) for byte in whole) + redactor.finish()
    once = Redactor([WATCH])
    assert came == once.feed(whole) + once.finish()
    assert MARK in came


def test_wherever_the_stream_is_cut_the_secret_is_found_whole() -> None:
    """Every number of its bytes is scanned before the rest comes."""
    one = Watch("token", (b"0123456789abcdef",))
    (spelling,) = one.spellings
    for before in (SCAN_BYTES, SCAN_BYTES + 7):
        for arrived in range(len(spelling) + 1):
            redactor = Redactor([one, OTHER])
            came = redactor.feed(b"." * before + spelling[:arrived])
            came += redactor.feed(spelling[arrived:] + b"!" * SCAN_BYTES) + redactor.finish()
            assert came == b"." * before + MARK + b"!" * SCAN_BYTES, arrived
            assert redactor.hits == {"token": 1}


def test_the_longest_spelling_is_held_back_to_its_last_byte() -> None:
    one = Watch("token", (b"0123456789abcdef",))
    for arrived in range(len(one.spellings[0]) + 1):
        redactor = Redactor([one])
        came = redactor.feed(b"." * SCAN_BYTES + one.spellings[0][:arrived])
        assert b"0" not in came
        came += redactor.feed(one.spellings[0][arrived:]) + redactor.finish()
        assert came == b"." * SCAN_BYTES + MARK


def test_mixed_percent_encoding_is_found_in_a_request() -> None:
    mixed = "".join(f"%{ord(c):02x}" if n % 3 or c == "%" else c for n, c in enumerate(TOKEN))
    assert leak_in([WATCH], b"/x?y=" + mixed.encode()) == "token"


def test_a_request_without_a_secret_leaks_nothing() -> None:
    assert leak_in([WATCH, OTHER], b"https://example.org/?a=%20b", b"", b"\\u0061&amp;") is None
    assert leak_in([], TOKEN.encode()) is None


def test_all_but_one_byte_of_a_secret_is_no_hit() -> None:
    redactor = Redactor([WATCH])
    almost = TOKEN[:-1].encode()
    assert redactor.feed(almost) + redactor.finish() == almost
    assert redactor.hits == {}


def test_what_overlaps_is_one_mark_and_what_touches_are_two() -> None:
    redactor = Redactor([OTHER])
    assert redactor.text("ab" * 15) == MARK.decode()
    assert redactor.text("ab" * 10 + "|" + "ab" * 10) == "[redacted]|[redacted]"
    assert Redactor([WATCH]).text(TOKEN + TOKEN) == "[redacted][redacted]"


def test_text_keeps_what_is_no_secret_and_counts() -> None:
    redactor = Redactor([WATCH])
    assert redactor.text("é\ud800 " + TOKEN) == "é\ud800 [redacted]"
    assert redactor.hits == {"token": 1}


def test_without_secrets_everything_passes_at_once() -> None:
    redactor = Redactor([])
    assert redactor.feed(b"abc") == b"abc"
    assert redactor.finish() == b""


def test_a_finished_redactor_may_be_fed_again() -> None:
    redactor = Redactor([WATCH])
    for _ in range(2):
        assert redactor.feed(b"x" + TOKEN.encode()) + redactor.finish() == b"x" + MARK
    assert redactor.hits == {"token": 2}


def test_who_wants_to_know_hears_of_each_name_once() -> None:
    heard: list[str] = []
    redactor = Redactor([WATCH, OTHER], heard.append)
    redactor.text(TOKEN + TOKEN)
    redactor.feed((TOKEN + "ab" * 10).encode())
    redactor.finish()
    assert heard == ["token", "other"]


def test_a_watch_prints_no_value() -> None:
    assert repr(WATCH) == "Watch(name='token')"


def test_a_text_that_repeats_itself_costs_no_more_than_its_length() -> None:
    """A server that echoes `aaaa…` for the secret `aaaa…` gets one mark, after few steps."""
    redactor = Redactor([Watch.over("a", b"a" * 16)])
    assert redactor.text("a" * 1_000_000) == MARK.decode()
    assert redactor.hits == {"a": 1}


# Secrets of two letters overlap with themselves, with each other, and with what is around them.
_letters = st.text(alphabet="ab", min_size=16, max_size=20)


@given(
    secrets=st.lists(_letters, min_size=1, max_size=3),
    parts=st.lists(st.one_of(st.text(alphabet="abc", max_size=40), st.integers(0, 2)), max_size=8),
    cuts=st.lists(st.integers(0, 4 * SCAN_BYTES), max_size=6),
    padding=st.integers(0, SCAN_BYTES),
)
def test_what_comes_out_does_not_depend_on_the_chunks(
    secrets: list[str], parts: list[str | int], cuts: list[int], padding: int
) -> None:
    watches = [Watch.over(str(n), s.encode()) for n, s in enumerate(secrets)]
    said = "".join(p if isinstance(p, str) else secrets[p % len(secrets)] for p in parts)
    whole = ("." * padding + said + "." * SCAN_BYTES + said).encode()
    once, cut = Redactor(watches), Redactor(watches)
    expected = once.feed(whole) + once.finish()
    edges = sorted({0, len(whole), *(c for c in cuts if c < len(whole))})
    came = b"".join(cut.feed(whole[a:b]) for a, b in itertools.pairwise(edges))
    assert came + cut.finish() == expected
    assert once.text(whole.decode()).encode() == expected
    for secret in secrets:
        assert secret.encode() not in expected


@given(st.binary(max_size=200), st.binary(min_size=0, max_size=3))
def test_any_value_is_found_in_base64_wherever_it_begins(rest: bytes, before: bytes) -> None:
    text = before + TOKEN.encode() + rest
    for encoded in (base64.b64encode(text), base64.urlsafe_b64encode(text)):
        assert leak_in([WATCH], encoded) == "token"


def test_without_secrets_a_text_is_the_same_object() -> None:
    text = "nothing to see"
    assert Redactor(()).text(text) is text
