"""Where an agent may send a request: a URL read once, and the rules it is held against.

Whoever checks and whoever connects use the same parsed value, so they cannot differ.
One URL has one spelling here: whatever could be read in two ways is refused, not repaired.

    private redirects GET,POST http://*.example.com:8080/v1
    ───┬─── ────┬──── ────┬─── ───┬── ──────┬────── ─┬─ ─┬─
    all but the host may be left out: https, its port, any path, any method
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Self
from urllib.parse import unquote_to_bytes

from sandbox.errors import MalformedEndpoint, MalformedUrl

URL_CHARS_MAX = 4_096  # twice what browsers and proxies agree on
HOST_CHARS_MAX = 253  # RFC 1035 §2.3.4, without the last dot
METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
PORTS: Final = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# What inet_aton, and so many a library, reads as (a part of) an IPv4 address: WHATWG URL §3.5.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_ODD = re.compile(r"[\x00-\x20\x7f\\]")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f/\\]")  # in a decoded segment


@dataclass(frozen=True, slots=True)
class Url:
    """One http or https URL in its only spelling.

    >>> str(Url.parse("HTTPS://API.example.com.:443/v1?q=1"))
    'https://api.example.com/v1?q=1'

    Attributes:
        host: lower case, A-labels, no trailing dot; or an IP literal without brackets.
        path: as it is sent, percent-encoded; starts with a slash.
        query: without the question mark; empty if there is none.
    """

    scheme: str
    host: str
    port: int
    path: str = "/"
    query: str = ""

    def __post_init__(self) -> None:
        if self.scheme not in PORTS:
            raise MalformedUrl(str(self), why="want http or https")
        if why := _host_problem(self.host):
            raise MalformedUrl(str(self), why=why)
        if not 1 <= self.port <= 65_535:
            raise MalformedUrl(str(self), why="want a port from 1 to 65535")
        if why := _path_problem(self.path):
            raise MalformedUrl(str(self), why=why)
        if not _QUERY.fullmatch(self.query):
            raise MalformedUrl(str(self), why="the query has characters that want %-encoding")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an absolute URL.

        Raises:
            MalformedUrl: anything that two readers could understand differently, such as
                userinfo, a backslash, an odd spelling of an IP address, `..` or %2f.
        """
        scheme, host, port, path, query = _split(text)
        return cls(scheme, host, PORTS[scheme] if port is None else port, path or "/", query)

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{self.origin}{self.path}{query}"

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a connection, and a secret, is bound to."""
        port = "" if self.port == PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{self.netloc_host}{port}"

    @property
    def netloc_host(self) -> str:
        """The host as a URL and the Host header write it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def target(self) -> str:
        """What the request line carries: path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def address(self) -> Address | None:
        """The host as an IP address, if it is one."""
        return _address(self.host)


@dataclass(frozen=True, slots=True)
class EndpointRule:
    """One line of `[agents.endpoints] allowed`: a place, and what may be done there.

    >>> rule = EndpointRule.parse("GET api.example.com/v1")
    >>> rule.covers(Url.parse("https://api.example.com/v1/prices"), "GET")
    True
    >>> rule.covers(Url.parse("https://api.example.com/v10"), "GET")
    False

    Attributes:
        host: as in `Url`, or `*.` and a name: everything below that name, not itself.
        path: a prefix in whole segments.
        is_private: addresses that are not public (loopback, private, …) are fine, too.
        follows: redirects are followed, each hop held against all rules again.
    """

    host: str
    scheme: str = "https"
    port: int = 443
    path: str = "/"
    methods: tuple[str, ...] = METHODS
    is_private: bool = False
    follows: bool = False

    def __post_init__(self) -> None:
        host = self.host.removeprefix("*.")
        try:
            Url(self.scheme, host, self.port, self.path)
        except MalformedUrl as malformed:
            raise MalformedEndpoint(str(self), why=malformed.why) from malformed
        if host != self.host and _address(host) is not None:
            raise MalformedEndpoint(str(self), why="nothing is below an IP address")
        if self.path != "/" and self.path.endswith("/"):
            raise MalformedEndpoint(str(self), why="a prefix has no slash at its end")
        if not self.methods or self.methods != tuple(sorted(set(self.methods) & {*METHODS})):
            raise MalformedEndpoint(str(self), why=f"want methods of {', '.join(METHODS)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[private] [redirects] [GET,POST] [http://]host[:port][/path]`.

        Raises:
            MalformedEndpoint: it is none.
        """
        *words, place = text.split(" ")
        is_private = bool(words) and words[0] == "private"
        words = words[is_private:]
        follows = bool(words) and words[0] == "redirects"
        words = words[follows:]
        if len(words) > 1:
            raise MalformedEndpoint(text, why="want methods such as GET,POST and then a host")
        methods = cls.read_methods(words[0].split(",")) if words else METHODS
        rule = replace(cls._parse_place(place), methods=methods)
        return replace(rule, is_private=is_private, follows=follows)

    @classmethod
    def _parse_place(cls, place: str) -> Self:
        whole = place if "://" in place else f"https://{place}"
        wild = re.sub(r"://\*\.", "://", whole, count=1)
        try:
            scheme, host, port, path, query = _split(wild)
        except MalformedUrl as malformed:
            raise MalformedEndpoint(place, why=malformed.why) from malformed
        if query or "?" in place:
            raise MalformedEndpoint(place, why="a rule has no query")
        return cls(
            host if wild == whole else f"*.{host}",
            scheme,
            PORTS[scheme] if port is None else port,
            path.removesuffix("/") or "/",
        )

    @staticmethod
    def read_methods(words: Iterable[str]) -> tuple[str, ...]:
        """`words` in the one order; what is no method stays, and is refused by the rule."""
        return tuple(sorted({word.upper() for word in words}))

    def __str__(self) -> str:
        words = ["private"] * self.is_private + ["redirects"] * self.follows
        if self.methods != METHODS:
            words.append(",".join(self.methods))
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "" if self.scheme == "https" else f"{self.scheme}://"
        port = "" if self.port == PORTS.get(self.scheme) else f":{self.port}"
        path = "" if self.path == "/" else self.path
        return " ".join([*words, f"{scheme}{host}{port}{path}"])

    def covers(self, url: Url, method: str) -> bool:
        """Whether a request with `method` to `url` is one that this rule allows."""
        return (
            url.port == self.port
            and url.scheme == self.scheme
            and method in self.methods
            and self.covers_host(url.host)
            and self.covers_path(url.path)
        )

    def covers_host(self, host: str) -> bool:
        """Whether `host`, as `Url` has it, is the host of this rule or one below it."""
        if self.host.startswith("*."):
            return host.endswith(self.host[1:])  # which begins with a dot, as no host does
        return host == self.host

    def covers_path(self, path: str) -> bool:
        """Whether `path` is the prefix or lies below it, compared in whole decoded segments."""
        if self.path == "/":
            return True
        prefix = segments(self.path)
        return segments(path)[: len(prefix)] == prefix


@lru_cache(maxsize=1_024)
def segments(path: str) -> tuple[str, ...]:
    """The decoded segments of a checked path: `/a/b%20c` is ("a", "b c")."""
    return tuple(unquote_to_bytes(part).decode() for part in path.split("/")[1:])


def _split(text: str) -> tuple[str, str, int | None, str, str]:
    """Scheme, host, port if written, path and query, in their one spelling but unchecked."""
    if len(text) > URL_CHARS_MAX:
        raise MalformedUrl(text, why=f"over {URL_CHARS_MAX} characters")
    if _ODD.search(text):
        raise MalformedUrl(text, why="a space, a backslash or a control character")
    match = _URL.fullmatch(text)
    if match is None:
        raise MalformedUrl(text, why="want https://host/path")
    scheme, authority, path, query, fragment = match.groups()
    if scheme.lower() not in PORTS:
        raise MalformedUrl(text, why="want http or https")
    if fragment is not None:
        raise MalformedUrl(text, why="a fragment is never sent; leave it out")
    if "@" in authority:
        raise MalformedUrl(text, why="a user name has no place in a URL")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise MalformedUrl(text, why="want host or host:port")
    host, port = parts.groups()
    if port is not None and not _PORT.fullmatch(port):
        raise MalformedUrl(text, why="want a port from 1 to 65535, without leading zeros")
    return (
        scheme.lower(),
        _spelled(host, text),
        None if port is None else int(port),
        path,
        query or "",
    )


def _spelled(host: str, text: str) -> str:
    """`host` in lower case and A-labels, without brackets and one trailing dot."""
    if host.startswith("["):
        if ":" not in host:
            raise MalformedUrl(text, why="want an IPv6 address in brackets")
        return host[1:-1].lower()
    if not host.isascii():
        return _a_labels(host, text)
    host = host.lower()
    # One dot says that the name is complete, which ours always are. An address has none.
    return host[:-1] if host.endswith(".") and not _ends_in_number(host[:-1]) else host


def _a_labels(host: str, text: str) -> str:
    import idna  # half a megabyte of tables that most nodes never need

    try:
        # Each label alone: idna would take four characters for a dot.
        labels = [idna.alabel(label).decode() for label in host.removesuffix(".").split(".")]
    except (idna.IDNAError, UnicodeError) as failure:
        raise MalformedUrl(text, why="a host that IDNA 2008 does not know") from failure
    return ".".join(labels).lower()


def _ends_in_number(host: str) -> bool:
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _host_problem(host: str) -> str | None:
    if ":" in host or _ends_in_number(host):
        return None if _address(host) else "an IP address in a spelling other than the usual one"
    if not host or len(host) > HOST_CHARS_MAX:
        return f"want a host of 1 to {HOST_CHARS_MAX} characters"
    labels = host.split(".")
    if not all(map(_LABEL.fullmatch, labels)):
        return "no host has such a name"
    if any(label.startswith("xn--") and not _is_a_label(label) for label in labels):
        return "a host that IDNA 2008 does not know"
    return None


@lru_cache(maxsize=256)
def _is_a_label(label: str) -> bool:
    import idna

    try:
        return idna.alabel(idna.ulabel(label)).decode() == label
    except (idna.IDNAError, UnicodeError):
        return False


@lru_cache(maxsize=256)
def _address(host: str) -> Address | None:
    """`host` as an address, if it is written in the canonical way; a mapped one never is."""
    if ":" not in host and not _ends_in_number(host):
        return None
    try:
        address = IPv6Address(host) if ":" in host else IPv4Address(host)
    except ValueError:
        return None
    if str(address) != host:
        return None
    # `::ffff:a.b.c.d` is an IPv4 address in other clothes, and `%` names an interface of ours.
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or address.scope_id):
        return None
    return address


@lru_cache(maxsize=1_024)
def _path_problem(path: str) -> str | None:
    if not _PATH.fullmatch(path):
        return "the path has characters that want %-encoding"
    try:
        parts = segments(path)
    except UnicodeDecodeError:
        return "the path is no UTF-8"
    if "%2e" in path.lower():
        return "an encoded dot"
    for part in parts:
        if _UNSEEN.search(part):
            return "an encoded slash, backslash or control character"
        if _ENCODED.search(part):
            return "encoded twice"
        # Some servers cut parameters off before they walk: `..;x` is `..` to them.
        if part.partition(";")[0] in {".", ".."}:
            return "a segment . or .."
    return None
