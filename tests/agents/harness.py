"""Run an agent's component under wasmtime with a host made of plain functions.

A handler is named `interface.function` as in the WIT; what it returns is the answer, a
`Refusal` it raises is the fault. An interface without a handler is one that was not
granted. Python's exceptions never pass through wasm: they are kept and raised after it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wasmtime import Config, Engine, Store
from wasmtime.component import Component, Linker, Record, Variant

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples" / "agents"
HOSTILE = Path(__file__).parent

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
MEMORY_BYTES = 16 << 20
FUEL = 10_000_000_000  # what a node gives by default

Argument = str | int
Handler = Callable[..., str]


class Refusal(Exception):
    """What a handler raises so that the guest gets a fault."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.why = why


class AgentFailed(Exception):
    """The agent returned err; the message is its reason."""


@dataclass
class Host:
    """The far side of the border, and what was asked of it."""

    handlers: Mapping[str, Handler] = field(default_factory=dict)
    fuel: int = FUEL
    memory_bytes: int = MEMORY_BYTES
    calls: list[tuple[str, tuple[Argument, ...]]] = field(default_factory=list)
    failure: BaseException | None = None

    def run(self, component: "Agent", *texts: str, sender: str = "did:key:zTest") -> list[str]:
        """The text parts that the agent answers a message with these text parts with."""
        parts = json.loads(self.run_task(component, task_json(*texts, sender=sender)))
        return [part["text"] for part in parts]

    def run_task(self, component: "Agent", task: str) -> str:
        """What `run` returns for the raw text of a task; raises `AgentFailed` for err."""
        store = Store(component.engine)
        store.set_fuel(self.fuel)
        store.set_limits(memory_size=self.memory_bytes)
        linker = Linker(component.engine)
        with linker.root() as root:
            for interface, functions in FUNCTIONS.items():
                with root.add_instance(f"akshi:agent/{interface}@0.1.0") as instance:
                    for name in functions:
                        instance.add_func(name, self._import(store, f"{interface}.{name}"))
        instance = linker.instantiate(store, component.component)
        run = instance.get_func(store, "run")
        assert run is not None
        try:
            result = run(store, task)
        finally:
            if self.failure:
                raise self.failure
        run.post_return(store)
        assert isinstance(result, Variant)
        assert isinstance(result.payload, str)
        if result.tag == "err":
            raise AgentFailed(result.payload)
        return result.payload

    def _import(self, store: Store, name: str) -> Callable[..., str | Record]:
        def answer(_: object, *arguments: Argument) -> str | Record:
            self.calls.append((name, arguments))
            try:
                handler = self.handlers.get(name)
                if handler is None:
                    raise Refusal("capability-denied", f"{name} was not granted")
                return handler(*arguments)
            except Refusal as refusal:
                record = Record()
                record.__dict__.update(code=refusal.code, why=refusal.why)
                return record
            except BaseException as failure:
                self.failure = failure
                store.set_fuel(0)
                return ""

        return answer


class Agent:
    """One compiled component; compiling is the dear part, so tests share it."""

    def __init__(self, path: Path, *, is_fast: bool = True) -> None:
        config = Config()
        config.consume_fuel = True
        config.cranelift_opt_level = "speed" if is_fast else "none"
        self.engine = Engine(config)
        self.component = Component(self.engine, path.read_bytes())

    @classmethod
    def example(cls, name: str) -> "Agent":
        return cls(EXAMPLES / f"{name}.wasm")


Examples = dict[str, Agent]


def task_json(*texts: str, sender: str = "did:key:zTest") -> str:
    return json.dumps(
        {
            "id": "00" * 32,
            "from": sender,
            "message": {
                "messageId": "m-1",
                "role": "ROLE_USER",
                "parts": [{"text": text} for text in texts],
            },
        },
        ensure_ascii=False,
    )
