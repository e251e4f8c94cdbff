"""What a simulated agent does: a script of host calls, read from the message it was sent.

The message says what to do, so any attempt of a task makes the same calls, as the same guest
with the same input would. Effects are counted by their text: `LABEL/NUMBER`, where the label
names one piece of work in the whole world.
"""

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from sandbox.fault import Fault
from sync.proto.task_messages import text_parts

WAIT_MS = 120_000
STUB = "https://stub.example"  # a server outside, which counts what it is asked

Call = tuple[str, tuple[str | int, ...]]
Guest = Generator[Call, str | Fault, str]


class GuestFailed(Exception):
    """The agent gives up: its task fails, and nothing of it may remain."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One piece of work, and what its agent does on the way."""

    label: str
    steps: tuple["Step", ...]

    def to_json(self) -> dict[str, Any]:
        return {"label": self.label, "steps": [step.to_json() for step in self.steps]}

    @property
    def appends(self) -> int:
        return sum(step.verb == "append" for step in self.steps)

    def errands(self) -> list["Errand"]:
        """This one, and all that it leads to."""
        found = [self]
        for step in self.steps:
            if step.errand is not None:
                found += step.errand.errands()
        return found

    @property
    def fails(self) -> bool:
        return any(step.verb == "fail" for step in self.steps)


@dataclass(frozen=True, slots=True)
class Step:
    """`verb` is append, send, wait, progress, read, now, fetch, random, cancel or fail."""

    verb: str
    target: str = ""
    errand: Errand | None = field(default=None)

    def to_json(self) -> list[Any]:
        return [self.verb, self.target, self.errand.to_json() if self.errand else None]


def guest(text: str) -> Guest:
    """Do what `text` says; the answer's parts.

    Raises:
        GuestFailed: the errand asks for it.
    """
    order = json.loads(text)
    label, drawn, sent, written, fetched = order["label"], "", list[str](), 0, 0
    for verb, target, errand in order["steps"]:
        match verb:
            case "append":
                yield "journal.append", ("done", f"{label}/{written}")
                written += 1
            case "random":
                # What is drawn goes on in the next errand: a second attempt that drew anew
                # would ask for something else than the first.
                answer = yield "task.random", (8,)
                drawn = str(answer)
            case "now":
                answer = yield "task.now", ()
                drawn = str(answer)
            case "send":
                words = text_parts(json.dumps({**errand, "drawn": drawn}))
                answer = yield "a2a.send", (target, words)
                if isinstance(answer, str):
                    sent.append(answer)
            case "wait":
                yield from _wait(sent)
            case "cancel":
                if sent:
                    yield "a2a.cancel", (sent[-1],)
            case "read":
                yield "journal.read", ("", 3)
            case "fetch":
                fetched += 1
                yield "http-fetch.fetch", (json.dumps({"url": f"{STUB}/{label}/{fetched}"}),)
            case "progress":
                yield "task.progress", (f"{label} goes on",)
            case "fail":
                raise GuestFailed(f"{label} was to fail")
            case _:
                raise AssertionError(f"no such step: {verb}")
    return text_parts(f"{label} is done")


def _wait(sent: list[str]) -> Generator[Call, str | Fault, None]:
    """For all of them, one after the other, as they end."""
    while sent:
        answer = yield "a2a.wait", (json.dumps(sent), WAIT_MS)
        if isinstance(answer, Fault) or answer == "null":
            return
        sent.remove(json.loads(answer)["id"])
