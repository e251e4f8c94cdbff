"""Run one agent's component: a fresh store for each attempt, its calls over the channel.

Nothing is ever raised through wasm: wasmtime-py 50.0.1 loses, misdelivers or crashes on
an exception that leaves a component import. A failure is kept, the fuel is taken away,
and `run` raises it when the guest has stopped.
"""

from collections.abc import Callable

import wasmtime
from wasmtime import WasmtimeError, component
from wasmtime.component import _enter

from sandbox.fault import Fault, FaultCode
from sandbox.hostcall import (
    FUNCTIONS,
    TEXT_BYTES_MAX,
    Answer,
    Call,
    Done,
    Faulted,
    FaultKind,
    Limits,
    Run,
)
from sandbox.worker import contract, settings
from sandbox.worker.channel import Channel

Argument = str | int


class OutOfTurn(Exception):
    """The node answered another call than the one that was made."""


class Runtime:
    """Engine and linked imports. Made once in the zygote, inherited by every worker."""

    def __init__(self) -> None:
        configuration = wasmtime.Config()
        for name, value in settings.ENGINE:
            setattr(configuration, name, value)
        self.engine = wasmtime.Engine(configuration)
        self._linker = component.Linker(self.engine)
        self._attempt: _Attempt | None = None
        with self._linker.root() as root:
            # An interface of types only; guests import it, nobody calls it.
            with root.add_instance(contract.import_name("types")):
                pass
            for interface in contract.INTERFACES:
                with root.add_instance(contract.import_name(interface)) as linked:
                    for name in FUNCTIONS:
                        owner, _, member = name.partition(".")
                        if owner == interface:
                            linked.add_func(member, self._import(name))

    def load(self, compiled: bytes, channel: Channel) -> "Guest":
        """Make a guest of what the compile child produced.

        Raises:
            contract.Refused: it is not for this engine, or asks for what we do not link.
        """
        try:
            loaded = component.Component.deserialize(self.engine, compiled)
        except WasmtimeError as error:
            raise contract.Refused(_last_line(error)) from error
        contract.check(loaded, self.engine)
        return Guest(self, loaded, channel)

    def compile(self, wasm: bytes) -> bytes:
        """Machine code of a component. Raises contract.Refused."""
        try:
            compiled = component.Component(self.engine, wasm)
        except WasmtimeError as error:
            raise contract.Refused(_last_line(error)) from error
        contract.check(compiled, self.engine)
        return bytes(compiled.serialize())

    def run(self, attempt: "_Attempt", loaded: component.Component, task: str) -> object:
        """Instantiate in the attempt's store and call `run`."""
        self._attempt = attempt
        # A start function may have failed in an import's conversion: not this attempt's failure.
        _enter.LAST_EXCEPTION = None
        instance = self._linker.instantiate(attempt.store, loaded)
        function = instance.get_func(attempt.store, "run")
        assert function is not None, "the contract was checked when it was loaded"
        return function(attempt.store, task)

    def _import(self, name: str) -> Callable[..., object]:
        def linked(_store: object, *arguments: Argument) -> object:
            attempt = self._attempt
            assert attempt is not None, "a guest without an attempt"
            return attempt.call(name, arguments)

        return linked


class _Attempt:
    """One run of a guest: its store, its calls, what went wrong beneath it."""

    def __init__(self, runtime: Runtime, channel: Channel, limits: Limits) -> None:
        self.store = wasmtime.Store(runtime.engine)
        self.store.set_fuel(limits.fuel)
        self.store.set_limits(
            memory_size=limits.memory_bytes,
            table_elements=limits.table_elements,
            instances=limits.instances,
            tables=limits.tables,
            memories=limits.memories,
        )
        self.failure: BaseException | None = None
        self._channel = channel
        self._calls = 0

    def call(self, name: str, arguments: tuple[Argument, ...]) -> object:
        """One host call: a frame out, a frame in. Never raises: wasm is below us."""
        try:
            if sum(_bytes_in(argument) for argument in arguments) > TEXT_BYTES_MAX:
                return _record(Fault(FaultCode.INVALID, "arguments over 1 MiB"))
            number = self._calls
            self._calls += 1
            self._channel.send(Call(number, name, arguments))
            answer = self._channel.receive()
            if not isinstance(answer, Answer) or answer.number != number:
                raise OutOfTurn(f"{type(answer).__name__} instead of answer {number}")
            result = answer.result
            return result if isinstance(result, str) else _record(result)
        except BaseException as failure:  # raised by Guest.run
            self.failure = failure
            self.store.set_fuel(0)
            return _record(Fault(FaultCode.UNAVAILABLE, "the worker is ending"))


class Guest:
    """A loaded component that runs one task after another."""

    def __init__(self, runtime: Runtime, loaded: component.Component, channel: Channel) -> None:
        self._runtime = runtime
        self._loaded = loaded
        self._channel = channel

    def run(self, order: Run) -> Done | Faulted:
        """Run one task in a store of its own.

        Returns:
            The guest's answer, or how it failed. Either way the next task finds nothing of it.

        Raises:
            NodeGone, MalformedFrame, OutOfTurn, ...: kept from a host call, the worker must end.
        """
        attempt = _Attempt(self._runtime, self._channel, order.limits)
        try:
            result = self._runtime.run(attempt, self._loaded, order.task)
        except (WasmtimeError, MemoryError) as error:
            if attempt.failure is not None:
                raise attempt.failure from error
            return _fault(error, fuel_left=attempt.store.get_fuel())
        if attempt.failure is not None:
            raise attempt.failure
        assert isinstance(result, component.Variant), "both arms are text, so it is tagged"
        text = result.payload
        assert isinstance(text, str)
        if _bytes_in(text) > TEXT_BYTES_MAX:
            return Faulted(FaultKind.TOO_LONG, "the answer is over 1 MiB")
        fuel_used = order.limits.fuel - attempt.store.get_fuel()
        return Done(result.tag == "ok", text, fuel_used)


def _fault(error: WasmtimeError | MemoryError, *, fuel_left: int) -> Faulted:
    if isinstance(error, MemoryError):
        return Faulted(FaultKind.TRAP, "a text too long for the worker's memory")
    why = _last_line(error)
    # A trap in a component carries no code, only text; fuel is a fact.
    if "all fuel consumed" in why:
        assert fuel_left == 0
        return Faulted(FaultKind.OUT_OF_FUEL, "the fuel for one task is used up")
    if "call stack exhausted" in why:
        return Faulted(FaultKind.STACK_OVERFLOW, "call stack exhausted")
    if "utf-8" in why.lower():
        return Faulted(FaultKind.MALFORMED_TEXT, why)
    return Faulted(FaultKind.TRAP, why)


def _last_line(error: WasmtimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("wasm trap: ") if lines else "no reason given"


def _bytes_in(argument: Argument) -> int:
    if isinstance(argument, int):
        return 0
    return len(argument) if argument.isascii() else len(argument.encode())


def _record(fault: Fault) -> component.Record:
    record = component.Record()
    vars(record).update(code=str(fault.code), why=fault.why)
    return record
