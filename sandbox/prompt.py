"""What a guest may ask of a language model: read once, strictly; and what that may cost.

    {"prompt": "…"} or {"messages": [{"role": "system|user|assistant", "content": "…"}]},
    and if wanted "model", "max_tokens", "temperature", "stop"

`model` is the name of a route in the owner's configuration, never a word for a provider. What
a model answers is a text, and nothing in it is ever done by the node.
"""

import json
import re
from dataclasses import dataclass
from typing import Final, Literal, cast

from sandbox import guest_json
from sandbox.errors import MalformedRequest
from sandbox.spend import MICRO, Money

PROMPT_CHARS_MAX: Final = 512 * 1024  # of the whole request
MESSAGES_MAX: Final = 256
TOKENS_MAX: Final = 1_000_000  # of an answer; a route has its own limit below this
STOPS_MAX: Final = 4
STOP_CHARS_MAX: Final = 64
TEMPERATURE_MAX: Final = 2.0
ANSWER_CHARS_MAX: Final = 512 * 1024  # of the model's text

# What a provider may put around each message and around all of them (guess, generous:
# published chat templates take 3 to 12 tokens a message).
_TOKENS_A_MESSAGE = 32
_TOKENS_AROUND = 64

Role = Literal["system", "user", "assistant"]
_ROLES = ("system", "user", "assistant")
_KEYS = frozenset({"prompt", "messages", "model", "max_tokens", "temperature", "stop"})
MODEL_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to a model. What is None is for the route to say."""

    messages: tuple[Message, ...]
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    stop: tuple[str, ...] = ()

    @property
    def tokens_max(self) -> int:
        """More tokens than any model makes of these messages: none is shorter than a byte."""
        each = (len(message.content.encode()) + _TOKENS_A_MESSAGE for message in self.messages)
        return sum(each) + _TOKENS_AROUND

    @property
    def texts(self) -> tuple[bytes, ...]:
        """Everything of the guest's own that would leave the node."""
        return (*(m.content.encode() for m in self.messages), *(s.encode() for s in self.stop))

    @property
    def fields(self) -> tuple[str, ...]:
        """What is there to be judged for risk."""
        there = (
            ("model", self.model is not None),
            ("max_tokens", self.max_tokens is not None),
            ("temperature", self.temperature is not None),
            ("stop", bool(self.stop)),
        )
        return ("inference.prompt", *(f"inference.{name}" for name, is_there in there if is_there))


def read_prompt(text: str) -> Prompt:
    """Read the request of `inference.prompt`.

    Raises:
        MalformedRequest, MalformedJson: with the reason for the guest.
    """
    table = guest_json.read(text, chars_max=PROMPT_CHARS_MAX)
    if not isinstance(table, dict):
        raise _wrong("want an object with prompt or messages")
    for key in table.keys() - _KEYS:
        raise _wrong(f"unknown key {key[:40]!r}")
    if ("prompt" in table) == ("messages" in table):
        raise _wrong("want either prompt or messages")
    return Prompt(
        messages=_messages(table),
        model=_model(table.get("model")),
        max_tokens=_max_tokens(table.get("max_tokens")),
        temperature=_temperature(table.get("temperature")),
        stop=_stop(table.get("stop")),
    )


def _messages(table: dict[str, object]) -> tuple[Message, ...]:
    if "prompt" in table:
        return (Message("user", _content(table["prompt"], "prompt")),)
    items = table["messages"]
    if not isinstance(items, list) or not 1 <= len(items) <= MESSAGES_MAX:
        raise _wrong(f"want 1 to {MESSAGES_MAX} messages")
    return tuple(_message(item) for item in items)


def _message(item: object) -> Message:
    if not isinstance(item, dict) or item.keys() != {"role", "content"}:
        raise _wrong("a message has role and content, and nothing else")
    if item["role"] not in _ROLES:
        raise _wrong(f"the role of a message is one of {', '.join(_ROLES)}")
    return Message(cast(Role, item["role"]), _content(item["content"], "content"))


def _content(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(f"{name} is a text that is not empty")
    return value


def _model(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and MODEL_PATTERN.fullmatch(value)):
        raise _wrong("model is the name of a route")
    return value


def _max_tokens(value: object) -> int | None:
    if value is not None and not (type(value) is int and 1 <= value <= TOKENS_MAX):
        raise _wrong(f"max_tokens is a whole number from 1 to {TOKENS_MAX}")
    return value


def _temperature(value: object) -> float | None:
    if value is None:
        return None
    if type(value) not in {int, float} or not 0 <= cast(float, value) <= TEMPERATURE_MAX:
        raise _wrong(f"temperature is a number from 0 to {TEMPERATURE_MAX}")
    return float(cast(float, value))


def _stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > STOPS_MAX:
        raise _wrong(f"stop is an array of at most {STOPS_MAX} texts")
    for text in value:
        if not isinstance(text, str) or not 1 <= len(text) <= STOP_CHARS_MAX:
            raise _wrong(f"a stop is a text of 1 to {STOP_CHARS_MAX} characters")
    return tuple(value)


def _wrong(why: str) -> MalformedRequest:
    return MalformedRequest("inference.prompt", why=why)


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, those that are read and those that are written."""

    million_in: Money
    million_out: Money

    def __post_init__(self) -> None:
        assert self.million_in.currency == self.million_out.currency, "checked by the reader"

    def of(self, *, tokens_in: int, tokens_out: int) -> Money:
        """Rounded up to the next micro-unit."""
        parts = tokens_in * self.million_in.micro + tokens_out * self.million_out.micro
        return Money(-(-parts // MICRO), self.million_in.currency)


@dataclass(frozen=True, slots=True)
class Route:
    """Where one prompt would go, as decided from the configuration alone.

    Attributes:
        name: of the route, as its owner calls it.
        model: as the provider calls it.
        origin: of the provider: scheme, host and port.
        is_local: a loopback address; the words do not leave this machine.
        max_tokens: that the answer may have.
        ceiling: more than it can cost, or None where nothing is paid.
    """

    name: str
    model: str
    origin: str
    is_local: bool
    max_tokens: int
    ceiling: Money | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """What is there to be judged for risk, beside the prompt's own."""
        where = "inference.local" if self.is_local else "inference.remote"
        return (where,) if self.ceiling is None else (where, "inference.paid")


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What came back: JSON for the guest, and what it did cost."""

    json: str
    cost: Money | None


def write_answer(
    *,
    text: str,
    route: Route,
    tokens_in: int | None,
    tokens_out: int | None,
    finish: str,
    cost: Money | None,
) -> str:
    """The answer of `inference.prompt`; counts are None where the provider gave none."""
    return json.dumps(
        {
            "text": text,
            "model": route.name,
            "finish": finish,
            "usage": {"tokens_in": tokens_in, "tokens_out": tokens_out},
            "cost": None if cost is None else str(cost),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )
