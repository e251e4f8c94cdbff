"""Every function of the Python SDK: what crosses the border is what docs/spec/agent-abi.md says."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SDK = Path(__file__).parents[2] / "sandbox" / "sdk"
OURS = ("akshi", "akshi_values", "akshi_testing", "wit_world", "componentize_py_types")


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """The SDK as an agent sees it, and the player."""
    monkeypatch.syspath_prepend(str(SDK))
    import akshi_testing

    akshi_testing.install()
    import akshi

    yield akshi, akshi_testing
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]


ENTRY = {"id": "1", "at_ms": 5, "author": "did:a", "originator": "did:b", "tag": "t", "text": "x"}
CHARGE = {"amount_micros": 500_000, "currency": "EUR", "rail": "ledger", "payee": "shop"}
TASK = {
    "id": "e3",
    "status": {"state": "TASK_STATE_FAILED", "message": {"parts": [{"text": "no"}]}},
    "artifacts": [{"artifactId": "a", "parts": [{"text": "one"}, {"text": "two"}]}],
}

# function, how the agent calls it, what crosses, what comes back, what the agent gets.
CASES: list[tuple[str, str, tuple[Any, ...], Any, str]] = [
    (
        "inference.prompt",
        "akshi.inference.prompt('hi', model='small', max_tokens=3, temperature=0.5, stop=['.'])",
        (
            {
                "prompt": "hi",
                "model": "small",
                "max_tokens": 3,
                "temperature": 0.5,
                "stop": ["."],
            },
        ),
        {
            "text": "ho",
            "model": "small",
            "finish": "stop",
            "usage": {"tokens_in": 3, "tokens_out": None},
            "cost": "0.0002USD",
        },
        "akshi.Reply('ho', 'small', 'stop', 3, None, '0.0002USD')",
    ),
    (
        "inference.prompt",
        "akshi.inference.prompt([('user', 'hi')]).text",
        ({"messages": [{"role": "user", "content": "hi"}]},),
        {"text": "ho", "model": "m", "finish": "stop", "usage": {}, "cost": None},
        "'ho'",
    ),
    ("journal.append", "akshi.journal.append('t', 'x')", ("t", "x"), {"id": "9"}, "'9'"),
    (
        "journal.read",
        "akshi.journal.read('c', 2)",
        ("c", 2),
        {"entries": [ENTRY, {"id": "2", "tag": "t", "text": "y", "originator": "o"}], "next": None},
        "([akshi.Entry('1', 't', 'x', 'did:b', 'did:a', 5, None),"
        " akshi.Entry('2', 't', 'y', 'o', None, None, None)], None)",
    ),
    (
        "journal.search",
        "akshi.journal.search('x', 3)[0].score",
        ("x", 3),
        {"entries": [{**ENTRY, "score": 1.5}]},
        "1.5",
    ),
    (
        "journal.find",
        "akshi.journal.find('x', mode='vector', limit=4)",
        ({"query": "x", "mode": "vector", "limit": 4},),
        {"entries": []},
        "[]",
    ),
    (
        "database.query",
        "akshi.database.query('select ?, ?', 1, b'\\xff')",
        ("select ?, ?", [1, {"base64": "/w=="}]),
        {"columns": ["a", "b"], "rows": [[1, {"base64": "/w=="}]]},
        "akshi.Rows(['a', 'b'], [[1, b'\\xff']])",
    ),
    (
        "database.execute",
        "akshi.database.execute('delete from t')",
        ("delete from t", []),
        {"changes": 2, "last_row_id": 7},
        "akshi.Rows([], [], 2, 7)",
    ),
    (
        "http-fetch.fetch",
        "akshi.http.fetch('https://a.org/', method='POST', headers={'A': 'b'}, body=b'\\xff',"
        " timeout_ms=9, payment='f0')",
        (
            {
                "url": "https://a.org/",
                "method": "POST",
                "headers": {"A": "b"},
                "body_base64": "/w==",
                "timeout_ms": 9,
                "payment": "f0",
            },
        ),
        {"status": 402, "headers": {"x": "y"}, "body_base64": "/w==", "url": "https://a.org/"},
        "akshi.Response(402, {'x': 'y'}, b'\\xff', 'https://a.org/', None)",
    ),
    (
        "http-fetch.fetch",
        "akshi.http.fetch('https://a.org/', body='ü', method='PUT').text",
        ({"url": "https://a.org/", "method": "PUT", "body": "ü"},),
        {"status": 200, "headers": {}, "body": "ä", "url": "https://a.org/"},
        "'ä'",
    ),
    (
        "a2a.send",
        "akshi.a2a.send('self/b', 'hi')",
        ("self/b", [{"text": "hi"}]),
        "e3",
        "'e3'",
    ),
    (
        "a2a.wait",
        "akshi.a2a.wait(['e3'], 50)",
        (["e3"], 50),
        TASK,
        "akshi.Ended('e3', 'TASK_STATE_FAILED', [{'text': 'one'}, {'text': 'two'}], 'no')",
    ),
    ("a2a.wait", "akshi.a2a.wait([], 0)", ([], 0), None, "None"),
    ("a2a.cancel", "akshi.a2a.cancel('e3')", ("e3",), "", "None"),
    (
        "mcp.list-tools",
        "akshi.mcp.list_tools('s')",
        ("s",),
        {"tools": [{"name": "a"}], "refused": [{"name": "b", "why": "w"}]},
        "([{'name': 'a'}], [{'name': 'b', 'why': 'w'}])",
    ),
    (
        "mcp.call-tool",
        "akshi.mcp.call_tool('s', 't', {'page': 3})",
        ("s", "t", {"page": 3}),
        {"content": [{"type": "text", "text": "x"}], "isError": True, "structuredContent": {}},
        "akshi.ToolAnswer([{'type': 'text', 'text': 'x'}], True, {})",
    ),
    (
        "filesystem.list-files",
        "akshi.filesystem.list_files('/s', after='a', limit=2)",
        ("/s", "a", 2),
        {"files": [{"name": "b", "kind": "file", "bytes": 12}], "next": "b"},
        "([akshi.File('b', 'file', 12)], 'b')",
    ),
    (
        "filesystem.read-file",
        "akshi.filesystem.read_file('/s/b')",
        ("/s/b",),
        {"base64": "/w=="},
        "b'\\xff'",
    ),
    (
        "filesystem.read-file",
        "akshi.filesystem.read_file('b')",
        ("b",),
        {"text": "ü"},
        "'ü'.encode()",
    ),
    ("spend.balance", "akshi.spend.balance()", (), {"left_micros": 1}, "{'left_micros': 1}"),
    (
        "spend.quote",
        "akshi.spend.quote(akshi.Charge(500_000, 'EUR', 'ledger', 'shop'))['allowed']",
        (CHARGE,),
        {"allowed": True},
        "True",
    ),
    (
        "spend.charge",
        "akshi.spend.charge(akshi.Charge(500_000, 'EUR', 'ledger', 'shop', 'a map', '5c'))",
        ({**CHARGE, "memo": "a map", "challenge": "5c"},),
        {"payment": "9f"},
        "{'payment': '9f'}",
    ),
    ("task.progress", "akshi.task.progress('half')", ("half",), "", "None"),
    ("task.is-cancelled", "akshi.task.is_cancelled()", (), "true", "True"),
    ("task.log", "akshi.task.log('info', 'x')", ("info", "x"), "", "None"),
    ("task.now", "akshi.task.now()", (), "1795324444689", "1795324444689"),
    ("task.random", "akshi.task.random(2)", (2,), "00ff", "b'\\x00\\xff'"),
]
PLAIN = {"a2a.send", "a2a.cancel", "task.progress", "task.is-cancelled", "task.log", "task.now"}
PLAIN |= {"task.random"}  # answered with words, not with JSON


def crossed(argument: object) -> object:
    """An argument as JSON where it is JSON, else as it is."""
    if not isinstance(argument, str) or argument[:1] not in ("{", "["):
        return argument
    return json.loads(argument)


@pytest.mark.parametrize(("name", "call", "sent", "answer", "got"), CASES)
def test_what_crosses_and_what_comes_back(
    guest: tuple[ModuleType, ModuleType],
    name: str,
    call: str,
    sent: tuple[Any, ...],
    answer: Any,
    got: str,
) -> None:
    akshi, testing = guest
    text = answer if name in PLAIN else json.dumps(answer)
    host = testing.host({name: lambda *_: text})
    assert eval(call, {"akshi": akshi}) == eval(got, {"akshi": akshi})
    [(called, arguments)] = host.calls
    assert called == name
    assert tuple(map(crossed, arguments)) == sent


def test_every_function_has_a_case() -> None:
    from sandbox.capability import FUNCTIONS

    assert {case[0] for case in CASES} == set(FUNCTIONS)


def test_a_fault_has_its_code_and_reason(guest: tuple[ModuleType, ModuleType]) -> None:
    akshi, testing = guest

    def refused(*_: object) -> str:
        raise testing.Refusal("budget-exceeded", "daily cap")

    testing.host({"spend.balance": refused})
    with pytest.raises(akshi.Fault) as fault:
        akshi.spend.balance()
    assert (fault.value.code, fault.value.why) == ("budget-exceeded", "daily cap")


def test_a_fault_that_nobody_catches_fails_the_task(
    guest: tuple[ModuleType, ModuleType],
) -> None:
    akshi, testing = guest
    testing.host()
    world = akshi.agent(lambda task: akshi.journal.append("t", task.text))
    with pytest.raises(testing.Failed, match=r"^capability-denied: journal\.append"):
        testing.ask(world, "x")
