"""Only the contract's imports, with exactly its signatures."""

from pathlib import Path

import pytest
from wasmtime import component, wat2wasm

from sandbox.hostcall import FUNCTIONS
from sandbox.worker import contract
from sandbox.worker.guest import Runtime
from tests.sandbox.worker import components

RUNTIME = Runtime()


def check(wasm: bytes) -> None:
    contract.check(component.Component(RUNTIME.engine, wasm), RUNTIME.engine)


def test_the_contract_itself_passes() -> None:
    check(components.component(components.ECHO))


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        ('"progress" (func (param "text" string)', '"steal" (func (param "text" string)', "steal"),
        ('(param "text" string)', '(param "text" (list u8))', "another signature"),
        ('(param "text" string)', '(param "text" u32)', "another signature"),
        ('(param "text" string)', "", "another signature"),
        ('(param "text" string)', '(param "a" string) (param "b" string)', "another signature"),
        ("(result (result string (error $fault)))))))", "))))", "another signature"),
        ('(enum "capability-denied"', '(enum "extra" "capability-denied"', "another signature"),
        ('(field "why" string)', '(field "how" string)', "another signature"),
        ("akshi:agent/task@0.1.0", "akshi:agent/task@0.2.0", "not part of the contract"),
        ("akshi:agent/task@0.1.0", "akshi:agent/keys@0.1.0", "not part of the contract"),
        ("akshi:agent/task@0.1.0", "wasi:cli/environment@0.2.3", "not part of the contract"),
    ],
)
def test_an_import_that_differs_is_refused(was: str, becomes: str, why: str) -> None:
    """wasmtime-py would convert whatever types the component declares, before we are called."""
    assert was in components.PREAMBLE
    preamble = components.PREAMBLE.replace(was, becomes)
    text = f"(component {preamble} {RUN})"
    with pytest.raises(contract.Refused, match=why):
        check(bytes(wat2wasm(text)))


RUN = """
 (core module $m (memory (export "memory") 1)
   (func (export "realloc") (param i32 i32 i32 i32) (result i32) (unreachable))
   (func (export "run") (param i32 i32) (result i32) (unreachable)))
 (core instance $i (instantiate $m))
 (alias core export $i "memory" (core memory $memory))
 (alias core export $i "realloc" (core func $realloc))
 (alias core export $i "run" (core func $core))
 (func (export "run") (param "task" string) (result (result string (error string)))
   (canon lift (core func $core) (memory $memory) (realloc $realloc)))
"""


def test_a_guest_that_imports_nothing_is_fine() -> None:
    check(bytes(wat2wasm(f"(component {RUN})")))


def test_run_must_be_there_and_typed_as_said() -> None:
    with pytest.raises(contract.Refused, match="no export named run"):
        check(bytes(wat2wasm("(component)")))
    other = RUN.replace("(result (result string (error string)))", "(result (result string))")
    with pytest.raises(contract.Refused, match="export run is not"):
        check(bytes(wat2wasm(f"(component {other})")))


def test_a_bare_function_import_is_refused() -> None:
    text = f'(component (import "akshi:agent/task@0.1.0" (func)) {RUN})'
    with pytest.raises(contract.Refused, match="not an interface"):
        check(bytes(wat2wasm(text)))


def test_a_resource_import_is_refused() -> None:
    resource = '(import "akshi:agent/task@0.1.0" (instance (export "r" (type (sub resource)))))'
    with pytest.raises(contract.Refused, match=r"task\.r is neither"):
        check(bytes(wat2wasm(f"(component {resource} {RUN})")))


def test_the_table_of_functions_is_the_wit() -> None:
    """The table of the frames is the WIT, function by function."""
    wit = (Path(contract.__file__).parent.parent / "wit" / "akshi.wit").read_text()
    found = set()
    interface = ""
    for line in wit.splitlines():
        words = line.split()
        if line.startswith("interface "):
            interface = words[1]
        elif ": func(" in line and interface and not line.strip().startswith("export"):
            name = words[0].removesuffix(":")
            inside = line.partition("func(")[2].partition(")")[0]
            kinds = "".join("u" if "u32" in part else "s" for part in inside.split(",") if part)
            found.add((f"{interface}.{name}", kinds))
    assert found == set(FUNCTIONS.items())
