"""What a worker sends is a request, a request that makes no sense, or a broken worker."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import hostcall
from sandbox.capability import FUNCTIONS
from sandbox.errors import ProtocolBroken
from sandbox.fault import FaultCode
from sandbox.request import (
    ARGUMENTS_BYTES_MAX,
    TEXT_BYTES_MAX,
    AppendEntry,
    CancelTask,
    Unreadable,
    WaitForTasks,
    WriteLog,
    read_request,
)
from tests.sandbox.fakes import PARTS
from tests.sandbox.test_policy import GOOD, ID, arguments_of

WIT = Path(__file__).parents[2] / "sandbox" / "wit" / "akshi.wit"


def wish(name: str, *arguments: str | int) -> object:
    return read_request(0, name, arguments).wish


PRICE = '{"amount_micros":500000,"currency":"EUR","rail":"ledger","payee":"shop"}'


def test_the_table_is_the_contract() -> None:
    """Every function of the WIT file, with its parameters, and no other."""
    declared = {}
    for interface, body in re.findall(r"interface ([\w-]+) \{(.*?)\n\}", WIT.read_text(), re.S):
        for name, parameters in re.findall(r"([\w-]+): func\((.*?)\)", body):
            kinds = re.findall(r": (string|u32)", parameters)
            declared[f"{interface}.{name}"] = ["text" if k == "string" else k for k in kinds]
    assert declared == {name: list(f.parameters) for name, f in FUNCTIONS.items()}
    assert {
        name: "".join("s" if kind == "text" else "u" for kind in f.parameters)
        for name, f in FUNCTIONS.items()
    } == hostcall.FUNCTIONS
    for name, function in FUNCTIONS.items():
        interface = name.partition(".")[0].replace("-", "_")
        assert interface == (function.capability or "task")


def test_the_fault_codes_are_those_of_the_contract_in_its_order() -> None:
    (body,) = re.findall(r"enum code \{(.*?)\}", WIT.read_text(), re.S)
    assert re.findall(r"[\w-]+", body) == [code.value for code in FaultCode]


@pytest.mark.parametrize("name", GOOD)
def test_good_arguments_are_read(name: str) -> None:
    assert not isinstance(wish(name, *arguments_of(FUNCTIONS[name])), Unreadable)


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("journal.append", ("t" * 65, "x"), "tag"),
        ("journal.append", ("t", "ä" * (TEXT_BYTES_MAX // 2 + 1)), "text"),
        ("journal.read", ("", 0), "limit"),
        ("journal.read", ("", 1001), "limit"),
        ("journal.read", ("c" * 4097, 1), "after"),
        ("journal.search", ("q" * 1025, 1), "query"),
        ("journal.search", ("q", 101), "limit"),
        ("a2a.send", ("reader", PARTS), "agent address"),
        ("a2a.send", ("a/b/c", PARTS), "agent address"),
        ("a2a.send", ("did:key:zzz/reader", PARTS), "ed25519"),
        ("a2a.send", ("friend/reader", "[]"), "1 to 64 parts"),
        ("a2a.wait", ("{}", 1), "array"),
        ("a2a.wait", ('["x"]', 1), "64 hexadecimal"),
        ("a2a.cancel", ("AB" * 32,), "64 hexadecimal"),
        ("filesystem.read-file", ("/a/../b",), "path"),
        ("filesystem.list-files", ("/a", "", 0), "limit"),
        ("task.log", ("loud", "x"), "debug, info"),
        ("task.random", (0,), "bytes"),
        ("task.random", (4097,), "bytes"),
        ("a2a.wait", ("x" * (ARGUMENTS_BYTES_MAX + 1), 1), "over"),
    ],
)
def test_what_a_guest_gets_wrong_is_said(
    name: str, arguments: tuple[str | int, ...], why: str
) -> None:
    read = wish(name, *arguments)
    assert isinstance(read, Unreadable)
    assert why in read.why


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("no.such", ()),
        ("task.now", ("x",)),
        ("task.random", ("x",)),
        ("task.random", (-1,)),
        ("task.random", (2**32,)),
        ("task.random", (True,)),
        ("task.progress", (1,)),
        ("journal.append", ("x",)),
    ],
)
def test_what_no_correct_worker_sends_ends_the_worker(
    name: str, arguments: tuple[str | int, ...]
) -> None:
    with pytest.raises(ProtocolBroken):
        read_request(0, name, arguments)


def test_the_hash_is_of_function_and_arguments_and_not_of_the_number() -> None:
    one = read_request(0, "journal.append", ("a", "b"))
    assert one.hash == read_request(9, "journal.append", ("a", "b")).hash
    others = [
        read_request(0, "journal.append", ("ab", "")),
        read_request(0, "journal.append", ("", "ab")),
        read_request(0, "database.query", ("a", "b")),
        read_request(0, "journal.read", ("a", 1)),
    ]
    assert len({one.hash, *(other.hash for other in others)}) == 5


def test_arguments_become_values() -> None:
    assert wish("journal.append", "tag", "text") == AppendEntry("tag", "text")
    assert wish("a2a.wait", f'["{ID}","{ID}"]', 2**32 - 1) == WaitForTasks((ID,), 604_800_000)
    assert wish("a2a.cancel", ID) == CancelTask(ID)
    assert wish("task.log", "info", "x" * 5000) == WriteLog("info", "x" * 2048)


def test_the_record_names_the_target_and_no_body() -> None:
    targets = {name: read_request(0, name, arguments).target for name, arguments in GOOD.items()}
    assert {name: target for name, target in targets.items() if target} == {
        "a2a.send": "friend/reader",
        "a2a.cancel": ID,
        "filesystem.list-files": "/shelf",
        "filesystem.read-file": "/shelf/note",
        "mcp.call-tool": "files/read",
    }


@given(st.text(), st.lists(st.text() | st.integers()))
def test_whatever_comes_is_a_request_or_a_broken_worker(
    name: str, arguments: list[str | int]
) -> None:
    for called in (name, *FUNCTIONS):
        try:
            read_request(0, called, arguments)
        except ProtocolBroken:
            continue


@pytest.mark.parametrize(
    ("name", "arguments", "target"),
    [
        (
            "http-fetch.fetch",
            ('{"url":"https://a.org/x","method":"HEAD"}',),
            "HEAD https://a.org/x",
        ),
        ("spend.charge", (PRICE,), "0.50EUR to shop by ledger"),
        ("spend.quote", (PRICE,), "0.50EUR to shop by ledger"),
        ("mcp.list-tools", ("files",), "files"),
    ],
)
def test_what_a_person_and_the_record_are_told(
    name: str, arguments: tuple[str, ...], target: str
) -> None:
    assert read_request(0, name, arguments).target == target
