"""Which components we run: those that import what the contract names, typed as it says.

wasmtime-py converts whatever types the *component* declares, before our function is
called (measured: one hostile list costs 2 s of host time). So names are not enough:
every import must have exactly the contract's signature.
"""

from wasmtime import Engine, component

from sandbox.fault import FaultCode
from sandbox.hostcall import FUNCTIONS
from sandbox.worker.settings import INTERFACE_VERSION

_PREFIX, _SUFFIX = "akshi:agent/", f"@{INTERFACE_VERSION}"
_CODES = [str(code) for code in FaultCode]
INTERFACES = tuple(dict.fromkeys(name.partition(".")[0] for name in FUNCTIONS))


class Refused(Exception):
    """The component may not be loaded; the message says why."""


def import_name(interface: str) -> str:
    """How a component spells one of our interfaces."""
    return f"{_PREFIX}{interface}{_SUFFIX}"


def check(loaded: component.Component, engine: Engine) -> None:
    """Refuse a component that asks for anything but the contract.

    Raises:
        Refused: naming the import, or the missing export.
    """
    for name, item in loaded.type.imports(engine).items():
        _check_import(name, item.ty, engine)
    run = loaded.type.exports(engine).get("run")
    if run is None:
        raise Refused("no export named run")
    if not _is_run(run.ty):
        raise Refused("export run is not func(task: string) -> result<string, string>")


def _check_import(name: str, item: object, engine: Engine) -> None:
    interface = name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    known = interface == "types" or interface in INTERFACES
    if not known or name != import_name(interface):
        raise Refused(f"import {name[:200]!r} is not part of the contract")
    if not isinstance(item, component.ComponentInstanceType):
        raise Refused(f"import {name!r} is not an interface")
    for member, extern in item.exports(engine).items():
        _check_member(f"{interface}.{member[:200]}", extern.ty)


def _check_member(name: str, item: object) -> None:
    if isinstance(item, component.FuncType):
        wanted = FUNCTIONS.get(name)
        if wanted is None:
            raise Refused(f"import {name} is not part of the contract")
        if not _is_call(item, wanted):
            raise Refused(f"import {name} has another signature than the contract")
    elif not isinstance(item, component.EnumType | component.RecordType):
        raise Refused(f"import {name} is neither a function nor the contract's fault")


def _is_call(function: component.FuncType, wanted: str) -> bool:
    kinds = "".join(
        {component.String: "s", component.U32: "u"}.get(type(kind), "?")
        for _, kind in function.params
    )
    result = function.result
    return (
        kinds == wanted
        and isinstance(result, component.ResultType)
        and isinstance(result.ok, component.String)
        and _is_fault(result.err)
    )


def _is_fault(item: object) -> bool:
    if not isinstance(item, component.RecordType):
        return False
    names = [name for name, _ in item.fields]
    kinds = [kind for _, kind in item.fields]
    return (
        names == ["code", "why"]
        and isinstance(kinds[0], component.EnumType)
        and kinds[0].names == _CODES
        and isinstance(kinds[1], component.String)
    )


def _is_run(item: object) -> bool:
    return (
        isinstance(item, component.FuncType)
        and [type(kind) for _, kind in item.params] == [component.String]
        and isinstance(item.result, component.ResultType)
        and isinstance(item.result.ok, component.String)
        and isinstance(item.result.err, component.String)
    )
