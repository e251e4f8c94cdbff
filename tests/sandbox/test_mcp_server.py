"""What an owner may configure for an MCP server, and what a guest may ask of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import guest_json
from sandbox.errors import MalformedJson, MalformedMcpServer, MalformedRequest
from sandbox.mcp_server import (
    CallTool,
    ListTools,
    McpServerSpec,
    fields_of,
    fold,
    read_call_tool,
    read_list_tools,
)

PROGRAM = ("/usr/bin/server",)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("name", {"name": "../up", "argv": PROGRAM}),
        ("argv", {"argv": ()}),
        ("argv", {"argv": PROGRAM, "url": "https://example.org/mcp"}),
        ("argv", {"argv": ("server",)}),
        ("argv", {"argv": ("/usr/../bin/server",)}),
        ("argv", {"argv": ("/bin/a\0b",)}),
        ("argv", {"argv": ("/bin/a",) * 65}),
        ("url", {"url": "ftp://example.org"}),
        ("url", {"url": "https://exa mple.org"}),
        ("url", {"url": "https://example.org/", "network": True}),
        ("tools", {"argv": PROGRAM, "tools": ("röd",)}),
        ("tools", {"argv": PROGRAM, "tools": ("*a*b*c*d*",)}),
        ("tools", {"argv": PROGRAM, "tools": ("a",) * 129}),
        ("env", {"argv": PROGRAM, "env": ("A=B",)}),
        ("env", {"argv": PROGRAM, "env": ("AKSHI_PASSPHRASE",)}),
        ("env", {"argv": PROGRAM, "env": ("LD_PRELOAD",)}),
        ("read", {"argv": PROGRAM, "read": ("data",)}),
        ("read", {"argv": PROGRAM, "read": ("/",)}),
        ("write", {"argv": PROGRAM, "write": ("/a/../b",)}),
        ("write", {"argv": PROGRAM, "write": ("/a",) * 65}),
        ("timeout_s", {"argv": PROGRAM, "timeout_s": float("nan")}),
        ("memory_mb", {"argv": PROGRAM, "memory_mb": 0}),
        ("processes", {"argv": PROGRAM, "processes": 0}),
    ],
)
def test_a_server_that_cannot_be_right_is_refused(key: str, values: dict[str, object]) -> None:
    with pytest.raises(MalformedMcpServer) as refused:
        McpServerSpec(**{"name": "files", **values})  # type: ignore[arg-type]
    assert refused.value.key == key


def test_no_tools_means_none() -> None:
    assert not McpServerSpec("files", argv=PROGRAM).allows("read_file")


def test_a_pattern_allows_what_it_covers_and_a_name_itself() -> None:
    spec = McpServerSpec("files", argv=PROGRAM, tools=("read_*", "stat"))
    assert spec.allows("read_file")
    assert spec.allows("stat")
    assert spec.names("stat")
    assert not spec.names("read_file")
    assert not spec.allows("Read_file")
    assert not spec.allows("unread_file")
    assert not spec.allows("stat2")


def test_no_pattern_allows_a_name_of_another_alphabet() -> None:
    assert not McpServerSpec("files", argv=PROGRAM, tools=("*",)).allows("rеad_file")  # Cyrillic


def test_a_call_is_read_with_the_paths_of_its_arguments() -> None:
    call = read_call_tool("mail", "send", '{"to": [{"name":"x"},{"Mail":1}], "a.b": {}}')
    assert call == CallTool(
        "mail",
        "send",
        '{"to":[{"name":"x"},{"Mail":1}],"a.b":{}}',
        ('"a.b"', "to[].mail", "to[].name"),
    )
    assert read_list_tools("mail") == ListTools("mail")


@pytest.mark.parametrize(
    "arguments",
    [
        '{"to":1,"TO":2}',
        '{"to":1,"ｔｏ":2}',
        '{"to":1,"t\\u200bo":2}',
        '{"a":[{"b":{"to":1,"To":2}}]}',
        '{"ß":1,"SS":2}',
        "[]",
        '"{}"',
        json.dumps({"k" * 513: 1}),
        json.dumps({str(n): n for n in range(1_025)}),
    ],
)
def test_arguments_in_which_something_hides_are_refused(arguments: str) -> None:
    with pytest.raises(MalformedRequest):
        read_call_tool("mail", "send", arguments)


@pytest.mark.parametrize("arguments", ["", '{"a":1,"a":2}', '{"a":NaN}', "{" * 40, "{}x"])
def test_arguments_that_are_no_strict_json_are_refused(arguments: str) -> None:
    with pytest.raises(MalformedJson):
        read_call_tool("mail", "send", arguments)


@pytest.mark.parametrize(("server", "tool"), [("a/b", "t"), ("", "t"), ("s", ""), ("s", "a b")])
def test_a_name_that_nothing_can_have_is_refused(server: str, tool: str) -> None:
    with pytest.raises(MalformedRequest):
        read_call_tool(server, tool, "{}")
    with pytest.raises(MalformedRequest):
        read_list_tools("a/b")


def test_a_key_that_imitates_a_path_is_another_path() -> None:
    assert fields_of({"a": {"b": 1}}) != fields_of({"a.b": 1})
    assert fields_of({"a": [1]}) != fields_of({"a[]": 1})


@given(st.text())
def test_any_arguments_are_a_call_or_malformed(text: str) -> None:
    try:
        call = read_call_tool("s", "t", text)
    except (MalformedRequest, MalformedJson):
        return
    assert read_call_tool("s", "t", call.arguments_json) == call


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_every_value_has_a_path_or_the_call_is_refused(arguments: dict[str, object]) -> None:
    try:
        fields = fields_of(json.loads(guest_json.write(arguments)))
    except (MalformedRequest, MalformedJson):
        return
    assert bool(fields) == bool(arguments)
    for key in arguments:
        plain = fold(key)
        quoted = guest_json.write(plain)
        assert any(path.startswith((plain, quoted)) for path in fields)


def test_a_server_may_be_given_several_variables_and_paths() -> None:
    spec = McpServerSpec("x", argv=PROGRAM, env=("HOME", "LANG"), read=("/a", "/b"), write=("/c",))
    assert spec.env == ("HOME", "LANG")
    for wrong in ({"env": ("HOME", "LD_AUDIT")}, {"read": ("/a", "b")}):
        with pytest.raises(MalformedMcpServer):
            McpServerSpec("x", argv=PROGRAM, **wrong)  # type: ignore[arg-type]
