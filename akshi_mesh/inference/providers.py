"""The two ways of speaking to a model: what is sent, and how the stream of answers is read.

    openai   POST base/chat/completions   server-sent events, `data: {…}`, `data: [DONE]`
    ollama   POST base/api/chat           one JSON object a line, the last with "done": true

Answers are streamed though the guest gets them whole, so that a switch cuts them short. They
come from outside: whatever is odd in them is `MalformedStream`, and counts of tokens that
cannot be are no counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from akshi_mesh.inference.errors import MalformedStream
from sandbox import guest_json
from sandbox.errors import MalformedJson
from sandbox.prompt import ANSWER_CHARS_MAX, Prompt, Route

Provider = Literal["ollama", "openai"]
PROVIDERS: Final[tuple[Provider, ...]] = ("ollama", "openai")

LINE_CHARS_MAX: Final = 1 << 20
TOKENS_MAX: Final = 10**9
FINISH_CHARS_MAX: Final = 32


@dataclass(slots=True)
class Heard:
    """What has come so far."""

    parts: list[str] = field(default_factory=list)
    chars: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None
    finish: str = ""
    is_done: bool = False

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def add(self, part: object) -> None:
        if part is None:
            return
        if not isinstance(part, str):
            raise MalformedStream("content that is no text")
        self.chars += len(part)
        if self.chars > ANSWER_CHARS_MAX:
            raise MalformedStream(f"more than {ANSWER_CHARS_MAX} characters")
        self.parts.append(part)

    def end(self, finish: object) -> None:
        if isinstance(finish, str):
            self.finish = "".join(c for c in finish[:FINISH_CHARS_MAX] if c.isprintable())

    def count(self, tokens_in: object, tokens_out: object) -> None:
        self.tokens_in, self.tokens_out = _count(tokens_in), _count(tokens_out)


def path_of(provider: Provider) -> str:
    """What comes behind the base URL."""
    return "/chat/completions" if provider == "openai" else "/api/chat"


def body_of(provider: Provider, route: Route, prompt: Prompt) -> str:
    """The request. The model's name is the route's; nothing of the guest's is one."""
    messages = [{"role": m.role, "content": m.content} for m in prompt.messages]
    body: dict[str, Any] = {"model": route.model, "messages": messages, "stream": True}
    wishes: dict[str, Any] = {}
    if prompt.temperature is not None:
        wishes["temperature"] = prompt.temperature
    if prompt.stop:
        wishes["stop"] = list(prompt.stop)
    if provider == "openai":
        body |= {
            "max_tokens": route.max_tokens,
            "stream_options": {"include_usage": True},
            **wishes,
        }
    else:
        body["options"] = {"num_predict": route.max_tokens, **wishes}
    return guest_json.write(body)


def reader_of(provider: Provider) -> Callable[[Heard, str], None]:
    """What reads one line of the answer. Raises MalformedStream."""
    return _read_event if provider == "openai" else _read_object


def _read_event(heard: Heard, line: str) -> None:
    name, _, data = line.partition(":")
    if name != "data":  # empty lines, comments and other fields: WHATWG HTML §9.2.6
        return
    data = data.strip()
    if data == "[DONE]":
        heard.is_done = True
        return
    event = _object(data)
    if "error" in event:
        raise MalformedStream("an error in the middle of the answer")
    usage = event.get("usage")
    if isinstance(usage, dict):
        heard.count(usage.get("prompt_tokens"), usage.get("completion_tokens"))
    choices = event.get("choices")
    for choice in choices[:1] if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            raise MalformedStream("a choice that is no object")
        delta = choice.get("delta")
        if isinstance(delta, dict):
            heard.add(delta.get("content"))
        heard.end(choice.get("finish_reason"))


def _read_object(heard: Heard, line: str) -> None:
    if not line.strip():
        return
    event = _object(line)
    if "error" in event:
        raise MalformedStream("an error in the middle of the answer")
    message = event.get("message")
    if isinstance(message, dict):
        heard.add(message.get("content"))
    if event.get("done") is True:
        heard.count(event.get("prompt_eval_count"), event.get("eval_count"))
        heard.end(event.get("done_reason") or "stop")
        heard.is_done = True


def _object(text: str) -> dict[str, Any]:
    try:
        value = guest_json.read(text, chars_max=LINE_CHARS_MAX)
    except MalformedJson as malformed:
        raise MalformedStream(malformed.why) from malformed
    if not isinstance(value, dict):
        raise MalformedStream("a line that is no object")
    return value


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= TOKENS_MAX else None
