"""The values that the functions of `akshi` take and give; no host is needed to make them."""

import json
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Parts = list[Json]  # A2A 1.0 parts, such as [{"text": "hello"}]
Value = None | bool | int | float | str | bytes  # what a database holds


class Fault(Exception):
    """The node did not do it. `code` is one word of docs/spec/agent-abi.md, `why` is for people."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.why = why


class GiveUp(Exception):
    """Ends the task as failed; the message is what its sender reads."""


@dataclass(frozen=True)
class Task:
    """The task as the node handed it over."""

    id: str
    sender: str
    parts: Parts

    @classmethod
    def parse(cls, text: str) -> "Task":
        task = json.loads(text)
        return cls(task["id"], task["from"], task["message"]["parts"])

    @property
    def text(self) -> str:
        """The text parts, joined by line feeds."""
        return joined(self.parts)


@dataclass(frozen=True)
class Reply:
    """What a model said. `cost` is None where nothing is paid, counts where none were given."""

    text: str
    model: str
    finish: str
    tokens_in: int | None
    tokens_out: int | None
    cost: str | None


@dataclass(frozen=True)
class Entry:
    """One entry of a journal; `author` and `at_ms` are None while it is staged."""

    id: str
    tag: str
    text: str
    originator: str
    author: str | None
    at_ms: int | None
    score: float | None

    @classmethod
    def read(cls, entry: Json) -> "Entry":
        given = (entry.get(key) for key in ("author", "at_ms", "score"))
        return cls(entry["id"], entry["tag"], entry["text"], entry.get("originator", ""), *given)


@dataclass(frozen=True)
class Rows:
    """What a statement gave; `changes` and `last_row_id` are 0 after a query."""

    columns: list[str]
    rows: list[list[Value]]
    changes: int = 0
    last_row_id: int = 0


@dataclass(frozen=True)
class Response:
    """An HTTP answer; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str
    payment_required: Json | None

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Ended:
    """A task for another agent that has ended; `why` is what its status says in words."""

    id: str
    state: str
    parts: Parts
    why: str

    @property
    def completed(self) -> bool:
        return self.state == "TASK_STATE_COMPLETED"

    @property
    def text(self) -> str:
        return joined(self.parts)


@dataclass(frozen=True)
class ToolAnswer:
    """What a tool gave back; `is_error`: it was called, and says that it failed."""

    content: list[Json]
    is_error: bool
    structured: Json | None

    @property
    def text(self) -> str:
        return joined(self.content)


@dataclass(frozen=True)
class File:
    """One line of a directory; `kind` is file or directory."""

    name: str
    kind: str
    bytes: int


@dataclass(frozen=True)
class Charge:
    """An amount in millionths of one unit, and to whom it goes."""

    amount_micros: int
    currency: str
    rail: str
    payee: str
    memo: str = ""
    challenge: str = ""

    def __str__(self) -> str:
        optional = ("memo", "challenge")
        fields = ((key, getattr(self, key)) for key in self.__dataclass_fields__)
        return json.dumps({key: value for key, value in fields if value or key not in optional})


def joined(parts: Parts) -> str:
    return "\n".join(part["text"] for part in parts if "text" in part)
