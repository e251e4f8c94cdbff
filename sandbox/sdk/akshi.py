"""What an agent in Python needs beside the `wit_world` that componentize-py generates.

import akshi
from wit_world.imports import journal

def answer(task: akshi.Task) -> str:
    journal.append("seen", task.text)
    return "hello"

WitWorld = akshi.agent(answer)
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from componentize_py_types import Err  # type: ignore[import-not-found]  # exists in the guest


@dataclass(frozen=True)
class Task:
    """The task as the node handed it over; `parts` are A2A 1.0 parts."""

    id: str
    sender: str
    parts: list[dict[str, Any]]

    @classmethod
    def parse(cls, text: str) -> "Task":
        task = json.loads(text)
        return cls(task["id"], task["from"], task["message"]["parts"])

    @property
    def text(self) -> str:
        """The text parts, joined by line feeds."""
        return "\n".join(part["text"] for part in self.parts if "text" in part)


class GiveUp(Exception):
    """Ends the task as failed; the message is what its sender reads."""


def agent(answer: Callable[[Task], str]) -> type:
    """The class that componentize-py looks for, around a function from task to text.

    A fault of a host call that `answer` does not catch (`componentize_py_types.Err`)
    fails the task with its code and reason. Any other exception is a bug and traps.
    """

    class WitWorld:
        def run(self, task: str) -> str:
            try:
                return json.dumps([{"text": answer(Task.parse(task))}])
            except GiveUp as failure:
                raise Err(str(failure)) from failure
            except Err as refusal:
                fault = refusal.value
                code = fault.code.name.lower().replace("_", "-")
                raise Err(f"{code}: {fault.why}") from refusal

    return WitWorld
