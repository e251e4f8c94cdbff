"""One HTTP request of a guest, read strictly, and the answer as the guest gets it.

    {"url": "https://api.example.com/v1", "method": "POST", "headers": {"Accept": "text/plain"},
     "body": "text", "timeout_ms": 10000}
    {"status": 200, "headers": {"content-type": "text/plain"}, "body": "…", "url": "…"}

The guest says what it wants to have, never how the message is framed, where it goes on the
way or on whose account: headers that do are refused by name.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox import guest_json
from sandbox.endpoint import METHODS, EndpointRule, Url
from sandbox.errors import MalformedRequest

REQUEST_CHARS_MAX = 1 << 20  # what one host call carries
BODY_BYTES_MAX = 512 * 1024  # fits the call in base64
HEADERS_MAX = 32
HEADER_CHARS_MAX = 4_096
HEADERS_CHARS_MAX = 8_192  # servers refuse more than 8 KiB in all
TIMEOUT_MS_DEFAULT = 30_000
TIMEOUT_MS_MAX = 300_000

_KEYS = frozenset({"url", "method", "headers", "body", "body_base64", "timeout_ms", "payment"})
# No underscore: to many a server X_Api_Key and X-Api-Key are the same.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?")
_PAYMENT = re.compile(r"[A-Za-z0-9_.:-]{1,128}")  # an id of spend.charge
_BODILESS = frozenset({"GET", "HEAD"})

# Why a guest may not set a header of these names.
_REFUSED: Final = {
    "frames the message, which the node does": re.compile(
        r"accept-encoding|connection|content-(encoding|length)|expect|http2-settings|keep-alive"
        r"|te|trailer|transfer-encoding|upgrade"
    ),
    "says where the message goes, which the URL does": re.compile(
        r"forwarded|host|proxy-.*|via|x-forwarded-.*|x-original-.*|x-real-ip|x-rewrite-.*"
    ),
    "carries credentials, which only the node puts in": re.compile(
        r"authorization|cookie2?|payment-signature|x-payment"
    ),
    "would be another method than the one that is checked": re.compile(
        r"x-http-method|x-(http-)?method-override"
    ),
    "is a browser's word": re.compile(r"sec-.*"),
}

# What concerns one connection only, and what a guest has no use for: its cookies are never sent.
_UNTOLD = re.compile(
    r"connection|content-(encoding|length)|keep-alive|proxy-(authenticate|connection)"
    r"|set-cookie2?|te|trailer|transfer-encoding|upgrade"
)


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What a guest asks for; the values are checked, the URL is in its one spelling.

    Attributes:
        headers: names as written, at most one of each.
        payment: id of a payment that the server is to be shown, or None.
    """

    url: Url
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout_ms: int = TIMEOUT_MS_DEFAULT
    payment: str | None = None


@dataclass(frozen=True, slots=True)
class FetchOrder:
    """A request that was allowed, and what it is bound to on its way.

    Attributes:
        rules: of the agent; those that cover the URL say whether private addresses are fine
            and whether redirects are followed.
        still_allowed: why to stop, or None; asked right before bytes leave and as they come.
        hop: why a redirect to this URL with this method must not be followed, or None. Where
            nobody can tell, none is followed.
    """

    agent: str
    url: Url
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    rules: tuple[EndpointRule, ...]
    timeout_s: float
    still_allowed: Callable[[], str | None]
    payment: str | None = None
    hop: Callable[[Url, str], str | None] | None = None

    def rule_for(self, url: Url, method: str) -> EndpointRule | None:
        """The rule that lets `url` pass; of several the one with the fewest liberties."""
        covering = [rule for rule in self.rules if rule.covers(url, method)]
        return min(covering, key=lambda rule: (rule.is_private, rule.follows), default=None)


def read_fetch(text: str) -> FetchRequest:
    """Read what a guest wants to fetch.

    Raises:
        MalformedRequest, MalformedJson, MalformedUrl: nothing of it is sent.
    """
    wish = guest_json.read(text, chars_max=REQUEST_CHARS_MAX)
    if not isinstance(wish, dict):
        raise _wrong("want an object with a url")
    if unknown := wish.keys() - _KEYS:
        raise _wrong(f"unknown key {sorted(unknown)[0][:64]!r}")
    url = wish.get("url")
    if not isinstance(url, str):
        raise _wrong("want a url, as text")
    method = wish.get("method", "GET")
    if method not in METHODS:
        raise _wrong(f"want a method of {', '.join(METHODS)}")
    body = _read_body(wish)
    if body and method in _BODILESS:
        raise _wrong(f"{method} has no body")
    return FetchRequest(
        Url.parse(url),
        method,
        _read_headers(wish.get("headers", {})),
        body,
        _read_timeout(wish.get("timeout_ms", TIMEOUT_MS_DEFAULT)),
        _read_payment(wish.get("payment")),
    )


def _wrong(why: str) -> MalformedRequest:
    return MalformedRequest("http-fetch.fetch", why=why)


def _read_body(wish: dict[str, Any]) -> bytes:
    if "body" in wish and "body_base64" in wish:
        raise _wrong("want body or body_base64, not both")
    text = wish.get("body", wish.get("body_base64", ""))
    if not isinstance(text, str):
        raise _wrong("a body is text")
    try:
        body = base64.b64decode(text, validate=True) if "body_base64" in wish else text.encode()
    except (binascii.Error, ValueError) as malformed:
        raise _wrong("body_base64 is no base64") from malformed
    if len(body) > BODY_BYTES_MAX:
        raise _wrong(f"a body over {BODY_BYTES_MAX} bytes")
    return body


def _read_headers(headers: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(headers, dict) or len(headers) > HEADERS_MAX:
        raise _wrong(f"want headers as an object with at most {HEADERS_MAX} keys")
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise _wrong(f"no header is called {name[:64]!r}")
        if why := _refusal(name.lower()):
            raise _wrong(f"the header {name} {why}")
        if not isinstance(value, str) or len(value) > HEADER_CHARS_MAX:
            raise _wrong(f"the header {name} wants text of at most {HEADER_CHARS_MAX} characters")
        if not _VALUE.fullmatch(value):
            raise _wrong(f"the header {name} wants printable ASCII without spaces at its ends")
    if len({name.lower() for name in headers}) != len(headers):
        raise _wrong("a header occurs twice")
    if sum(len(name) + len(value) + 4 for name, value in headers.items()) > HEADERS_CHARS_MAX:
        raise _wrong(f"headers over {HEADERS_CHARS_MAX} characters")
    return tuple(headers.items())


def _refusal(name: str) -> str | None:
    return next((why for why, names in _REFUSED.items() if names.fullmatch(name)), None)


def _read_timeout(value: object) -> int:
    if type(value) is not int or not 1 <= value <= TIMEOUT_MS_MAX:
        raise _wrong(f"want timeout_ms from 1 to {TIMEOUT_MS_MAX}")
    return value


def _read_payment(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _PAYMENT.fullmatch(value):
        raise _wrong("a payment is the id that spend.charge answered")
    return value


def told_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers of an answer as the guest sees them: lower case, equal names joined by commas."""
    told: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        if not _UNTOLD.fullmatch(key):
            told[key] = f"{told[key]}, {value}" if key in told else value
    return told


def write_answer(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    url: str,
    *,
    payment_required: object = None,
) -> str:
    """The answer as JSON; a body that is no UTF-8 is told in base64."""
    answer: dict[str, object] = {"status": status, "headers": dict(headers)}
    try:
        answer["body"] = body.decode()
    except UnicodeDecodeError:
        answer["body_base64"] = base64.b64encode(body).decode()
    answer["url"] = url
    if payment_required is not None:
        answer["payment_required"] = payment_required
    return guest_json.write(answer)
