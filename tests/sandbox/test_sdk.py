"""The SDKs know the whole world: each function of each language, named as the world names it."""

import re
from pathlib import Path

import pytest

from sandbox.capability import FUNCTIONS
from sandbox.fault import FaultCode

SDK = Path(__file__).parents[2] / "sandbox" / "sdk"
WIT = (SDK.parent / "wit" / "akshi.wit").read_text()


def camel(name: str) -> str:
    head, *rest = name.split("-")
    return head + "".join(word.capitalize() for word in rest)


def function(name: str) -> tuple[str, str]:
    interface, _, member = name.partition(".")
    return interface, member


@pytest.mark.parametrize("name", FUNCTIONS)
def test_python_calls_it(name: str) -> None:
    interface, member = function(name)
    call = rf"_call\(\s*_{interface.replace('-', '_')}\.{member.replace('-', '_')}\b"
    assert re.search(call, (SDK / "akshi.py").read_text())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_javascript_calls_it(name: str) -> None:
    interface, member = function(name)
    text = (SDK / "akshi.js").read_text()
    [alias] = re.findall(rf'import \* as (\w+) from "akshi:agent/{interface}@0.1.0"', text)
    assert re.search(rf"call\({alias}\.{camel(member)}\b", text)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rust_calls_it(name: str) -> None:
    interface, member = function(name)
    declared = rf'(\w+) = "akshi:agent/{interface}@0.1.0" "{member}" "{name}" '
    [alias] = re.findall(declared, (SDK / "border.rs").read_text())
    callers = (SDK / "akshi.rs").read_text() + (SDK / "outside.rs").read_text()
    assert re.search(rf"border::{alias}\(", callers)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_c_calls_it(name: str) -> None:
    interface, member = function(name)
    border = (SDK / "akshi_border.h").read_text()
    [alias] = re.findall(rf'X\((\w+), "{interface}", "{member}", \w+\)', border)
    callers = (SDK / "akshi.c").read_text() + (SDK / "akshi_outside.c").read_text()
    assert f"akshi_call_{alias}(" in callers
    assert f"bool akshi_{alias}(" in (SDK / "akshi.h").read_text()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_crosses_the_border_is_what_the_world_says(name: str) -> None:
    interface, member = function(name)
    kinds = "".join(parameter.value[0] for parameter in FUNCTIONS[name].parameters)
    texts, numbers = kinds.count("t"), kinds.count("u")
    border = (SDK / "akshi_border.h").read_text()
    shape = f"T{texts}{'N' * numbers}"
    assert re.search(rf'X\(\w+, "{interface}", "{member}", {shape}\)', border)
    lists = re.search(rf'"{name}" \[(.*?)\] \[(.*?)\];', (SDK / "border.rs").read_text())
    assert lists is not None
    assert [len(re.findall(r"\w+", one)) for one in lists.groups()] == [texts, numbers]


@pytest.mark.parametrize("name", ["akshi_testing.py", "akshi_testing.js"])
def test_the_player_has_every_function_and_no_other(name: str) -> None:
    text = (SDK / name).read_text()
    table = re.search(r"FUNCTIONS = \{\n(.*?)\n\}", text, re.S)
    assert table is not None
    rows = re.findall(r'"?([\w-]+)"?: [(\[](.*?)[)\]]', table[1], re.S)
    played = {f"{row[0]}.{one}" for row in rows for one in re.findall(r'"([\w-]+)"', row[1])}
    assert played == set(FUNCTIONS)


@pytest.mark.parametrize("code", FaultCode)
def test_every_code_has_a_name_in_every_language(code: FaultCode) -> None:
    for name in ("akshi_testing.py", "akshi.c", "akshi.rs", "akshi.zig"):
        assert f'"{code}"' in (SDK / name).read_text() or str(code) in (SDK / name).read_text()


def test_the_codes_stand_in_the_order_of_the_world() -> None:
    words = [str(code) for code in FaultCode]
    for name in ("akshi.c", "akshi.rs", "akshi_testing.py"):
        found = re.findall(r'"([a-z-]+)"', (SDK / name).read_text())
        assert [word for word in found if word in words][: len(words)] == words
    enum = re.findall(r"AKSHI_([A-Z_]+),", (SDK / "akshi.h").read_text())
    assert [one.lower().replace("_", "-") for one in enum][: len(words)] == words
