"""Bodies about tasks: round trips, each field changed once, and any bytes at all."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import Scope, cbor
from identity.keys import SigningKey
from sync.errors import MalformedTask
from sync.proto import task_bodies, task_messages
from sync.proto.task_bodies import Receipt, TaskBody
from sync.proto.task_messages import text_parts, user_message
from sync.proto.task_states import Cancelled, Completed, Disposition, Failed, Rejected, TaskState
from tests.strategies import scopes

KEY = SigningKey.from_seed(bytes(32))
ME = KEY.public_key
HOP = f"{KEY.did}/librarian"
TASK_ID = "ab" * 32
GOOD = TaskBody("echo", "m1", (HOP,), user_message(text_parts("hello"), "m1"))


def test_bodies_come_back_as_they_were() -> None:
    assert task_bodies.load_task(task_bodies.dump_task(GOOD), ME) == GOOD
    receipts = [Receipt(bytes(32), disposition, "why") for disposition in Disposition]
    assert task_bodies.load_receipts(task_bodies.dump_receipts(receipts)) == receipts
    assert task_bodies.load_json(task_bodies.dump_json("{}")) == "{}"
    task_bodies.load_cancel(task_bodies.CANCEL_BODY)


@given(scopes)
def test_a_scope_comes_back_if_it_may_travel(scope: Scope) -> None:
    body = replace(GOOD, scope=scope.as_said_by(str(KEY.did)))
    assert task_bodies.load_task(task_bodies.dump_task(body), ME) == body
    if body.scope != scope:
        with pytest.raises(MalformedTask):
            task_bodies.load_task(task_bodies.dump_task(replace(GOOD, scope=scope)), ME)


def test_no_scope_and_an_empty_one_are_two_things() -> None:
    nothing = replace(GOOD, scope=Scope())
    assert task_bodies.load_task(task_bodies.dump_task(nothing), ME).scope == Scope()
    assert task_bodies.load_task(task_bodies.dump_task(GOOD), ME).scope is None


FIELDS = {1: "echo", 2: "m1", 3: [HOP], 4: GOOD.message}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((1, bad) for bad in ("", "../etc", ".a", "a/b", "x" * 65, "é", 7, None, b"echo")),
        *((2, bad) for bad in ("", "x" * 129, 7, None)),
        *((3, bad) for bad in (None, "x", [7], [""], [HOP] * 5, [str(KEY.did)], [HOP + "/"])),
        (3, [f"{SigningKey.from_seed(bytes(31) + b'1').did}/librarian"]),
        (3, ["did:key:zzz/librarian"]),
        (3, [HOP, "did:web:example.org/x"]),
        *((4, bad) for bad in (None, 7, b"{}")),
        *((5, bad) for bad in (1, None, {}, {1: "journal"}, {1: ["shell"]}, {1: ["mcp", "a2a"]})),
        *((5, {1: ["spend"], 2: bad}) for bad in ([1], [0, "EUR"], [1, "eur"], ["1", "EUR"])),
        (5, {1: ["a2a:self/reader"]}),
        (5, {1: ["journal"], 2: [1, "EUR"]}),
        (6, 1),
    ],
)
def test_each_field_of_a_task_changed_once(field: int, value: cbor.Value) -> None:
    data = cbor.dumps(FIELDS | {field: value})
    with pytest.raises(MalformedTask):
        task_bodies.load_task(data, ME)


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_of_a_task_left_out(field: int) -> None:
    fields = {key: value for key, value in FIELDS.items() if key != field}
    with pytest.raises(MalformedTask):
        task_bodies.load_task(cbor.dumps(fields), ME)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        "x",
        [[]],
        [[bytes(32), 0]],
        [[bytes(31), 0, ""]],
        [[bytes(32), 8, ""]],
        [[bytes(32), -1, ""]],
        [[bytes(32), True, ""]],
        [[bytes(32), 0, 7]],
        [[bytes(32), 0, "x" * 301]],
        [[bytes(32), 0, "", 1]],
        [[bytes(32), 0, ""]] * 129,
    ],
)
def test_each_line_of_a_receipt_changed_once(lines: cbor.Value) -> None:
    with pytest.raises(MalformedTask):
        task_bodies.load_receipts(cbor.dumps({1: lines}))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_malformed(data: bytes) -> None:
    for load in (
        lambda: task_bodies.load_task(data, ME),
        lambda: task_bodies.load_receipts(data),
        lambda: task_bodies.load_json(data),
        lambda: task_bodies.load_cancel(data),
    ):
        with suppress(MalformedTask):
            load()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("messageId", "contextId", "role", "parts", "metadata", "text", "raw"),
                    *("id", "status", "state", "artifacts", "artifactId", "taskId", "data"),
                    *("message", "history", "extensions", "timestamp", "url", "x"),
                ]
            ),
            inner | st.sampled_from(["ROLE_USER", *TaskState, TASK_ID]),
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(st.text(max_size=60) | JSON.map(json.dumps))
def test_any_text_is_a_message_or_malformed(text: str) -> None:
    for check in (
        lambda: task_messages.check_message(text),
        lambda: task_messages.check_parts(text),
        lambda: task_messages.check_result(text, TASK_ID),
        lambda: task_messages.check_update(text, TASK_ID),
    ):
        with suppress(MalformedTask):
            check()


TEXTS = st.text(max_size=40)


@given(
    text=TEXTS,
    message_id=st.text(min_size=1, max_size=20),
    context=st.none() | st.text("ab", min_size=1),
)
def test_what_we_write_we_would_accept(text: str, message_id: str, context: str | None) -> None:
    message = user_message(text_parts(text), message_id, context)
    read = task_messages.check_message(message)
    assert (read.message_id, read.context_id) == (message_id, context)
    for outcome in (
        Completed(text_parts(text)),
        Failed("trapped", text),
        Rejected("expired", text),
        Cancelled(text),
    ):
        result = task_messages.result_task(TASK_ID, context, outcome, 1_700_000_000_123)
        state = task_messages.check_result(result, TASK_ID)
        assert state is task_messages.state_of(result)
        if not isinstance(outcome, Completed):
            assert task_messages.words_of(result) == text
        moved = task_messages.readdressed(result, "cd" * 32)
        assert task_messages.check_result(moved, "cd" * 32) is state
    update = task_messages.status_update(TASK_ID, context, text, 1_700_000_000_123)
    assert task_messages.check_update(update, TASK_ID) is TaskState.WORKING
    assert '"2023-11-14T22:13:20.123Z"' in update


MESSAGE = {
    "messageId": "m1",
    "contextId": "c",
    "role": "ROLE_USER",
    "parts": [
        {"text": "a", "filename": "f", "mediaType": "text/plain", "metadata": {"k": [1]}},
        {"raw": "AAAA"},
        {"url": "https://example.org"},
        {"data": {"any": [None, 1.5, "x"]}},
    ],
    "metadata": {},
    "extensions": ["x"],
    "referenceTaskIds": ["y"],
}


def test_every_field_of_a2a_is_accepted() -> None:
    task_messages.check_message(json.dumps(MESSAGE))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("messageId", bad) for bad in ("", 7, None, "x" * 129)),
        *(("contextId", bad) for bad in ("", 7, None)),
        *(("role", bad) for bad in ("user", "ROLE_AGENT", None, 1, ["ROLE_USER"])),
        *(("parts", bad) for bad in ([], None, {}, "x", [1], [{}], [{"text": "a"}] * 65)),
        *(("parts", [bad]) for bad in ({"text": 1}, {"raw": "?"}, {"url": 1}, {"kind": "text"})),
        ("parts", [{"text": "a", "raw": "AAAA"}]),
        ("parts", [{"text": "a", "filename": 1}]),
        ("parts", [{"text": "a", "metadata": []}]),
        ("parts", [{"text": "half \ud800 a character"}]),
        *(("metadata", bad) for bad in ([], 1, None)),
        *(("extensions", bad) for bad in ("x", [1], None)),
        ("referenceTaskIds", [{}]),
        ("taskId", "another"),
        ("unknown", 1),
    ],
)
def test_each_field_of_a_message_changed_once(field: str, value: object) -> None:
    with pytest.raises(MalformedTask):
        task_messages.check_message(json.dumps(MESSAGE | {field: value}))


@pytest.mark.parametrize(
    "text",
    [
        '{"messageId":"a","messageId":"b","role":"ROLE_USER","parts":[{"text":"x"}]}',
        '{"messageId":"a","role":"ROLE_USER","parts":[{"data":NaN}]}',
        '{"messageId":"a","role":"ROLE_USER","parts":[{"data":' + "[" * 40 + "]" * 40 + "}]}",
        '{"messageId":"a","role":"ROLE_USER","parts":[{"data":' + "[" * 9000 + "]" * 9000 + "}]}",
        '{"messageId":"a","role":"ROLE_USER","parts":[{"data":' + "9" * 5000 + "}]}",
        '{"messageId":"a","role":"ROLE_USER","parts":[{"data":' + "9" * 21 + "}]}",
        '{"messageId":"a","role":"ROLE_USER","parts":[{"data":1e999}]}',
        '{"messageId":"a","role":"ROLE_USER","parts":[{"data":{"\\ud800":1}}]}',
        '{"messageId":"a","role":"ROLE_USER","parts":[{"text":"x"}]} ',
        "[]",
    ],
    ids=[
        "twice",
        "nan",
        "deep",
        "very deep",
        "long number",
        "21",
        "1e999",
        "half",
        "fine",
        "array",
    ],
)
def test_json_that_two_readers_could_read_differently(text: str) -> None:
    if text.endswith(" "):
        task_messages.check_message(text)
        return
    with pytest.raises(MalformedTask):
        task_messages.check_message(text)


RESULT = json.loads(task_messages.result_task(TASK_ID, None, Completed(text_parts("x")), 0))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("id", bad) for bad in ("cd" * 32, None, 7, TASK_ID.upper())),
        *(("contextId", bad) for bad in ("", 7)),
        *(("status", bad) for bad in (None, {}, {"state": "completed"}, {"state": []})),
        ("status", {"state": TaskState.WORKING}),
        ("status", {"state": TaskState.COMPLETED, "timestamp": 1}),
        ("status", {"state": TaskState.COMPLETED, "message": {"role": "ROLE_AGENT"}}),
        *(("artifacts", bad) for bad in (None, {}, [1], [{}], [{"artifactId": "a", "parts": []}])),
        ("artifacts", [{"artifactId": "a", "parts": [{"text": "x"}], "name": 1}]),
        *(("history", bad) for bad in (None, [1], [{}])),
        ("metadata", []),
        ("unknown", 1),
    ],
)
def test_each_field_of_a_result_changed_once(field: str, value: object) -> None:
    with pytest.raises(MalformedTask):
        task_messages.check_result(json.dumps(RESULT | {field: value}), TASK_ID)


UPDATE = json.loads(task_messages.status_update(TASK_ID, None, "x", 0))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("taskId", "cd" * 32),
        ("contextId", None),
        ("status", None),
        ("metadata", 1),
        ("final", True),
    ],
)
def test_each_field_of_an_update_changed_once(field: str, value: object) -> None:
    with pytest.raises(MalformedTask):
        task_messages.check_update(json.dumps(UPDATE | {field: value}), TASK_ID)


def test_a_chain_may_begin_with_the_node_that_asked() -> None:
    for chain in ((str(KEY.did), HOP), (str(KEY.did), *[HOP] * 4)):
        body = replace(GOOD, chain=chain)
        assert task_bodies.load_task(task_bodies.dump_task(body), KEY.public_key) == body
    for chain in ((str(KEY.did),), (HOP, str(KEY.did)), (str(KEY.did), *[HOP] * 5)):
        with pytest.raises(MalformedTask):
            task_bodies.load_task(task_bodies.dump_task(replace(GOOD, chain=chain)), KEY.public_key)
