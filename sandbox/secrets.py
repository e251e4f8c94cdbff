"""What a secret is bound to, and which secrets belong to a request.

A secret goes to one place, in one header, and for one agent or for all of this node: scheme,
host and port exactly, the path in whole segments, and only with the methods that are named. An
agent never sees it, never names it, and cannot ask for it: the request decides.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from identity import cbor
from sandbox.agent_spec import NAME_PATTERN
from sandbox.endpoint import METHODS, EndpointRule, Url, segments
from sandbox.errors import MalformedEndpoint, MalformedSecret

VALUE_BYTES_MIN: Final = 16  # shorter ones occur by chance, or can be guessed
VALUE_BYTES_MAX: Final = 4_096  # a token with many claims; servers take 8 KiB of headers
FORMAT_CHARS_MAX: Final = 256
HEADER_CHARS_MAX: Final = 64
PART_BYTES_MIN: Final = 8  # of the password in `user:password`
HEADER_DEFAULT: Final = "Authorization"
FORMAT_DEFAULT: Final = "Bearer {}"
PLAIN: Final = "{}"
BASE64: Final = "{base64}"  # for Basic: the value is `user:password`

_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 §5.6.2
_FORMAT = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
# What frames or routes a request is no place for a secret, and not for the owner to set.
_HEADERS_REFUSED = re.compile(
    r"accept-encoding|connection|content-(encoding|length|type)|expect|host|keep-alive"
    r"|proxy-.*|te|trailer|transfer-encoding|upgrade|via"
)


@dataclass(frozen=True, slots=True)
class SecretBinding:
    """Where the secret `name` goes, and how it is written there.

    >>> binding = SecretBinding.parse("weather", "https://api.example.com/v1", methods=("GET",))
    >>> binding.covers("reader", Url.parse("https://api.example.com/v1/today"), "GET")
    True
    >>> binding.covers("reader", Url.parse("https://api.example.com/v1/today"), "POST")
    False

    Attributes:
        endpoint: one host without `*`; http only where the owner wrote http.
        agent: the only one it is for, or None for every agent of this node.
        format: printable ASCII around one `{}` (the value) or `{base64}` (the value so encoded).
    """

    name: str
    endpoint: EndpointRule
    agent: str | None = None
    header: str = HEADER_DEFAULT
    format: str = FORMAT_DEFAULT

    def __post_init__(self) -> None:
        _check_name(self.name, self.name)
        if self.agent is not None:
            _check_name(self.name, self.agent)
        if self.endpoint.host.startswith("*."):
            raise MalformedSecret(self.name, why="want one host: a secret goes to one place")
        if self.endpoint.is_private or self.endpoint.follows:
            raise MalformedSecret(self.name, why="want an endpoint such as https://host/path")
        if len(self.header) > HEADER_CHARS_MAX or not _HEADER.fullmatch(self.header):
            raise MalformedSecret(self.name, why="want a header such as Authorization")
        if _HEADERS_REFUSED.fullmatch(self.header.lower()):
            raise MalformedSecret(self.name, why=f"a secret cannot be the header {self.header}")
        if len(self.format) > FORMAT_CHARS_MAX or not _FORMAT.fullmatch(self.format):
            raise MalformedSecret(self.name, why="want a format such as 'Bearer {}'")
        if self.format.count(PLAIN) + self.format.count(BASE64) != 1:
            raise MalformedSecret(self.name, why="want one {} or {base64} in the format")

    @classmethod
    def parse(
        cls,
        name: str,
        endpoint: str,
        *,
        methods: Iterable[str] = (),
        agent: str | None = None,
        header: str = HEADER_DEFAULT,
        format: str = FORMAT_DEFAULT,
    ) -> Self:
        """Read an endpoint as `[http://]host[:port][/path]`; no `methods` means any.

        Raises:
            MalformedSecret: any part cannot be used.
        """
        if " " in endpoint:
            raise MalformedSecret(name, why="want an endpoint such as https://host/path")
        words = EndpointRule.read_methods(methods)
        try:
            rule = EndpointRule.parse(endpoint)
            rule = EndpointRule(rule.host, rule.scheme, rule.port, rule.path, words or METHODS)
        except MalformedEndpoint as malformed:
            raise MalformedSecret(name, why=str(malformed)) from malformed
        return cls(name, rule, agent, header, format)

    @property
    def place(self) -> str:
        """The endpoint with its scheme and without methods, for people and for grants."""
        rule = self.endpoint
        path = "" if rule.path == "/" else rule.path
        return f"{Url(rule.scheme, rule.host, rule.port).origin}{path}"

    def covers(self, agent: str, url: Url, method: str) -> bool:
        """Whether the secret belongs into this request of `agent`."""
        return self.agent in {None, agent} and self.endpoint.covers(url, method)

    def written(self, value: str) -> str:
        """The header's text for `value`."""
        if BASE64 in self.format:
            return self.format.replace(BASE64, _base64(value))
        return self.format.replace(PLAIN, value)

    def to_value(self) -> dict[int, cbor.Value]:
        """As `secrets.box` keeps it; the name is kept beside."""
        rule = self.endpoint
        return {
            1: rule.scheme,
            2: rule.host,
            3: rule.port,
            4: rule.path,
            5: list(rule.methods),
            6: self.agent,
            7: self.header,
            8: self.format,
        }

    @classmethod
    def from_value(cls, name: str, value: Any) -> Self:
        """Read what `to_value` wrote.

        Raises:
            MalformedSecret: anything else.
        """
        if type(value) is not dict or list(value) != list(range(1, 9)):
            raise MalformedSecret(name, why="a binding wants the keys 1 to 8")
        scheme, host, port, path, methods, agent, header, format_ = value.values()
        texts = (scheme, host, path, header, format_, *(methods if type(methods) is list else [0]))
        if not all(type(text) is str for text in texts) or type(port) is not int:
            raise MalformedSecret(name, why="a field of a binding has the wrong type")
        if agent is not None and type(agent) is not str:
            raise MalformedSecret(name, why="a field of a binding has the wrong type")
        try:
            rule = EndpointRule(host, scheme, port, path, tuple(methods))
        except MalformedEndpoint as malformed:
            raise MalformedSecret(name, why=str(malformed)) from malformed
        return cls(name, rule, agent, header, format_)


@dataclass(frozen=True, slots=True)
class SecretSource:
    """A binding that the configuration names, and where its value is.

    `variable` is that of the node's environment; None: `secrets.box` has it under the name.
    """

    binding: SecretBinding
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class Injection:
    """One header to be set at the last moment; printing it does not show the value."""

    name: str
    header: str
    value: str = field(repr=False)


def check_value(name: str, value: str) -> None:
    """Raise `MalformedSecret` unless `value` can be a header, and is long enough to be looked for.

    The message never holds any of it.
    """
    if not VALUE_BYTES_MIN <= len(value) <= VALUE_BYTES_MAX:
        why = f"want a value of {VALUE_BYTES_MIN} to {VALUE_BYTES_MAX} characters"
        raise MalformedSecret(name, why=f"{why}, not {len(value)}")
    if not _VALUE.fullmatch(value):
        raise MalformedSecret(name, why="want a value of printable ASCII on one line")


def chosen(
    bindings: Iterable[SecretBinding], agent: str, url: Url, method: str
) -> tuple[SecretBinding, ...]:
    """The bindings that a request gets: for each header the most particular one.

    One for this agent goes before one for all, then the longer path, then fewer methods. One
    that was revoked still counts here: a lesser one never steps in for it.
    """
    best: dict[str, SecretBinding] = {}
    for binding in sorted(bindings, key=_particular):
        if binding.covers(agent, url, method):
            best[binding.header.lower()] = binding
    return tuple(best.values())


def texts_of(value: str, formats: Iterable[str]) -> tuple[bytes, ...]:
    """Everything that would give `value` away if it were echoed, given how it is sent."""
    texts = {value: None}
    for format_ in formats:
        if BASE64 in format_:
            texts[_base64(value)] = None
            texts.update(dict.fromkeys(_parts(value)))
        elif format_.lower().startswith("basic "):
            try:
                pair = base64.b64decode(value, validate=True).decode("ascii")
            except (binascii.Error, UnicodeDecodeError):
                continue  # no Basic credentials: nothing else to look for
            if len(pair) >= VALUE_BYTES_MIN:
                texts[pair] = None
            texts.update(dict.fromkeys(_parts(pair)))
    return tuple(text.encode("ascii") for text in texts)


def _parts(pair: str) -> list[str]:
    password = pair.partition(":")[2]
    return [password] if len(password) >= PART_BYTES_MIN else []


def _particular(binding: SecretBinding) -> tuple[bool, int, int, str]:
    rule = binding.endpoint
    depth = 0 if rule.path == "/" else len(segments(rule.path))
    return (binding.agent is not None, depth, -len(rule.methods), binding.name)


def _base64(value: str) -> str:
    return base64.b64encode(value.encode("ascii")).decode("ascii")


def _check_name(secret: str, name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        why = "want 1 to 64 letters, digits, _, . or -, not starting with . or -"
        raise MalformedSecret(secret[:64], why=f"the name {name[:64]!r}: {why}")
