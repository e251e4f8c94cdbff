"""The imports of a component, read without an engine: as the engine itself reads them."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import Config, Engine, component, wat2wasm

from sandbox.capability import FUNCTIONS, Capability
from sandbox.component import (
    COMPONENT_BYTES_MAX,
    CORE_MAGIC,
    INTERFACE_VERSION,
    MAGIC,
    form_problem,
    read_component,
)
from sandbox.errors import MalformedComponent
from sandbox.worker import contract, settings

ROOT = Path(__file__).parent.parent.parent
FILES = sorted([*ROOT.glob("examples/agents/*.wasm"), *ROOT.glob("tests/agents/*.wasm")])


def test_the_version_is_the_one_that_workers_link() -> None:
    assert INTERFACE_VERSION == settings.INTERFACE_VERSION


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_reads_what_the_engine_reads(path: Path) -> None:
    wasm = path.read_bytes()
    engine = Engine(Config())
    loaded = component.Component(engine, wasm)
    wanted = {
        name: tuple(
            member
            for member, extern in item.ty.exports(engine).items()
            if isinstance(extern.ty, component.FuncType)
        )
        for name, item in loaded.type.imports(engine).items()
        if isinstance(item.ty, component.ComponentInstanceType)
    }
    read = read_component(wasm)
    # The engine forgets the order of members; so do we, to compare.
    assert {one.name: set(one.members) for one in read.imports} == {
        name: set(members) for name, members in wanted.items()
    }
    assert set(read.exports) >= set(loaded.type.exports(engine))
    assert set(refusal(loaded, engine)) <= set(read.problems)
    assert bool(refusal(loaded, engine)) == bool(read.problems)


def refusal(loaded: component.Component, engine: Engine) -> list[str]:
    """What a worker says of it; empty if it would run."""
    try:
        contract.check(loaded, engine)
    except contract.Refused as refused:
        return [str(refused)]
    return []


def test_what_it_could_use_follows_from_its_functions() -> None:
    scribe = read_component((ROOT / "examples/agents/scribe.wasm").read_bytes())
    assert scribe.capabilities == {Capability.JOURNAL}
    assert set(scribe.functions) == {
        "journal.append",
        "journal.read",
        "task.progress",
        "task.now",
    }
    every = read_component((ROOT / "examples/agents/every.wasm").read_bytes())
    assert every.capabilities == set(Capability)


@pytest.mark.parametrize(
    ("wat", "problem"),
    [
        ("(component)", "no export named run"),
        (
            '(component (import "wasi:io/poll@0.2.0" (instance)))',
            "import 'wasi:io/poll@0.2.0' is not part of the contract",
        ),
        (
            '(component (import "akshi:agent/journal@9.9.9" (instance)))',
            "import 'akshi:agent/journal@9.9.9' is not part of the contract",
        ),
        (
            '(component (import "akshi:agent/root@0.1.0" (instance)))',
            "import 'akshi:agent/root@0.1.0' is not part of the contract",
        ),
        (
            '(component (import "f" (func (param "a" (list (tuple u8 (option string)))))))',
            "import 'f' is not part of the contract",
        ),
        (
            '(component (import "akshi:agent/journal@0.1.0" (instance (export "x" (func)))))',
            "import journal.x is not part of the contract",
        ),
    ],
)
def test_what_no_node_links_is_named(wat: str, problem: str) -> None:
    assert problem in read_component(wat2wasm(wat)).problems


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (b"", "not wasm"),
        (b"(component)", "text form; want the binary component"),
        (b" ;; a comment\n(component)", "text form; want the binary component"),
        (CORE_MAGIC, "a core module; want a component"),
        (b"\0asm\x63\0\x01\0", "an unknown version of wasm"),
        (b"\x7fELF\x02\x01\x01", "compiled for a machine; want the component it was made of"),
        (b"#!/bin/sh", "not wasm"),
    ],
)
def test_what_is_no_component_is_said_in_one_line(first: bytes, why: str) -> None:
    assert form_problem(first) == why
    with pytest.raises(MalformedComponent, match=why):
        read_component(first)


def test_one_that_is_too_large_is_not_looked_into() -> None:
    with pytest.raises(MalformedComponent, match="larger than 32 MiB"):
        read_component(MAGIC + bytes(COMPONENT_BYTES_MAX))


@pytest.mark.parametrize("cut", [9, 40, 200, 1_000, 5_000])
def test_one_that_is_cut_off_says_so(cut: int) -> None:
    whole = (ROOT / "examples/agents/scribe.wasm").read_bytes()
    with pytest.raises(MalformedComponent, match="cut off"):
        read_component(whole[:cut])


@pytest.mark.parametrize(
    ("section", "why"),
    [
        (b"\x0a\x05\xff\xff\xff\xff\x0f", "a list of"),  # four thousand million imports
        (b"\x0a\x06\x01\x00\xff\xff\xff\x7f", "cut off|a name of"),
        (b"\x0a\x06\xff\xff\xff\xff\xff\x7f", "more than 32 bits"),
        (b"\x07\x02\x01\x41", "cut off"),
        (b"\x07\x50" + b"\x01" + b"\x42\x01\x01" * 26, "nested|cut off"),
        (b"\x0d\x00", "unknown kind"),
    ],
)
def test_a_length_that_lies_costs_nothing(section: bytes, why: str) -> None:
    with pytest.raises(MalformedComponent, match=why):
        read_component(MAGIC + section)


# A section of 16,383 types, each one byte: what a length of two bytes can say.
TYPES = b"\x07\x81\x80\x01" + b"\xff\x7f" + b"\x7f" * 16_383


@pytest.mark.parametrize("flood", [b"\0\0" * 20_000, TYPES * 70], ids=["sections", "types"])
def test_a_flood_of_declarations_is_left_unread(flood: bytes) -> None:
    with pytest.raises(MalformedComponent, match="more declarations than any agent has"):
        read_component(MAGIC + flood)


def test_what_is_below_a_flood_is_read() -> None:
    assert read_component(MAGIC + TYPES * 3).problems == ("no export named run",)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_component_or_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedComponent):
        read_component(MAGIC + data)


SCRIBE = (ROOT / "examples/agents/scribe.wasm").read_bytes()


@given(st.integers(8, len(SCRIBE) - 1), st.integers(0, 255))
def test_one_changed_byte_is_read_or_malformed(at: int, value: int) -> None:
    changed = bytearray(SCRIBE)
    changed[at] = value
    try:
        read = read_component(bytes(changed))
    except MalformedComponent:
        return
    assert all(len(name) < 2_000 for name in read.functions)


def test_every_function_of_the_world_is_known() -> None:
    caller = read_component((ROOT / "tests/agents/caller.wasm").read_bytes())
    assert set(caller.functions) <= set(FUNCTIONS)
