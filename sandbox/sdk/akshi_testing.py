"""Test an agent without a node: `host` answers its calls, and remembers them.

import akshi_testing; akshi_testing.install()   # before the agent is imported
import agent

def test_it_answers():
    host = akshi_testing.host({"journal.append": lambda tag, text: '{"id": "1"}'})
    assert akshi_testing.ask(agent.WitWorld, "hello") == "…"
    assert host.calls == [("journal.append", ("seen", "hello"))]

A function that has no handler was not granted: the agent meets the fault `capability-denied`.
"""

import json
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from types import ModuleType
from typing import Any

CODES = (
    "capability-denied",
    "approval-denied",
    "approval-timeout",
    "not-allowed",
    "budget-exceeded",
    "rate-limited",
    "invalid",
    "unavailable",
    "unknown",
    "cancelled",
)
Code = Enum("Code", [code.upper().replace("-", "_") for code in CODES])  # type: ignore[misc]
# Every function of the world, and what stands for `-` in Python.
FUNCTIONS = {
    "inference": ("prompt",),
    "journal": ("append", "read", "search", "find"),
    "database": ("query", "execute"),
    "http-fetch": ("fetch",),
    "a2a": ("send", "wait", "cancel"),
    "mcp": ("list-tools", "call-tool"),
    "filesystem": ("list-files", "read-file"),
    "spend": ("balance", "quote", "charge"),
    "task": ("progress", "is-cancelled", "log", "now", "random"),
}


class Err(Exception):
    """As componentize-py raises it: `value` is the error arm of a result."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.value = value


class Refusal(Exception):
    """What a handler raises so that the agent meets a fault with this code."""

    def __init__(self, code: str, why: str = "") -> None:
        super().__init__(code, why)
        self.code = Code[code.upper().replace("-", "_")]
        self.why = why


class Failed(Exception):
    """The agent gave up or let a fault pass; the message is what a sender would read."""


class Host:
    """The far side of the border."""

    def __init__(self) -> None:
        self.handlers: Mapping[str, Callable[..., str]] = {}
        self.calls: list[tuple[str, tuple[object, ...]]] = []

    def call(self, name: str, arguments: tuple[object, ...]) -> str:
        self.calls.append((name, arguments))
        try:
            if name not in self.handlers:
                raise Refusal("capability-denied", f"{name} was not granted")
            return self.handlers[name](*arguments)
        except Refusal as refusal:
            raise Err(refusal) from refusal


_HOST = Host()


def host(handlers: Mapping[str, Callable[..., str]] | None = None) -> Host:
    """Forget the calls so far; from here on these handlers answer."""
    _HOST.handlers = handlers or {}
    _HOST.calls.clear()
    return _HOST


def ask(world: type, text: str, sender: str = "did:key:zTest") -> str:
    """The text of the agent's answer to one message."""
    message = {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": text}]}
    task = json.dumps({"id": "00" * 32, "from": sender, "message": message})
    try:
        parts = json.loads(world().run(task))
    except Err as failure:
        raise Failed(failure.value) from failure
    return "\n".join(part["text"] for part in parts if "text" in part)


def install() -> None:
    """Put modules in the place of those that componentize-py generates."""
    types = ModuleType("componentize_py_types")
    types.Err = Err  # type: ignore[attr-defined]
    sys.modules["componentize_py_types"] = types
    imports = ModuleType("wit_world.imports")
    world = ModuleType("wit_world")
    world.imports = imports  # type: ignore[attr-defined]
    sys.modules |= {"wit_world": world, "wit_world.imports": imports}
    for interface, functions in FUNCTIONS.items():
        module = ModuleType(f"wit_world.imports.{interface.replace('-', '_')}")
        for function in functions:
            setattr(module, function.replace("-", "_"), _call(f"{interface}.{function}"))
        setattr(imports, interface.replace("-", "_"), module)
        sys.modules[module.__name__] = module


def _call(name: str) -> Callable[..., str]:
    return lambda *arguments: _HOST.call(name, arguments)
