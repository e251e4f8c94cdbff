"""JSON of guests: one reading, bounded, and A2A parts that are parts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import guest_json
from sandbox.errors import MalformedJson

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=16,
)


@given(values)
def test_what_is_written_is_read_back(value: object) -> None:
    assert guest_json.read(guest_json.write(value)) == value


@given(st.text() | st.text('[]{}":,\\u0123456789abcdefnulltre.-', max_size=60))
def test_any_text_is_a_value_or_malformed(text: str) -> None:
    for read in (guest_json.read, guest_json.read_parts, guest_json.read_ids):
        try:
            read(text)
        except MalformedJson:
            continue


@pytest.mark.parametrize(
    "text",
    [
        *(
            '{"a":1,"a":2}',
            "NaN",
            "Infinity",
            "-Infinity",
            "[1,]",
            "",
            "[1] [2]",
            "'a'",
            "1e999",
            "[-1e999]",
        ),
        *("[" * 33 + "]" * 33, "[" * 40_000, '{"a":' * 33 + "1" + "}" * 33, "1" * 21),
        *('"\\ud800"', '["\\udc00 "]', "x" * (guest_json.PARTS_BYTES_MAX + 1)),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(MalformedJson):
        guest_json.read(text)


def test_brackets_in_texts_do_not_nest() -> None:
    text = json.dumps(["[" * 100, '\\"[' * 50])
    assert guest_json.read(text) == json.loads(text)
    assert guest_json.read("[" + ",".join(["[]"] * 100) + "]") == [[]] * 100


def test_a_number_or_text_that_is_none_cannot_be_written() -> None:
    for value in (float("nan"), float("inf"), "\ud800"):
        with pytest.raises(MalformedJson):
            guest_json.write(value)


@pytest.mark.parametrize(
    "part",
    [
        {"text": "ä", "metadata": {"k": [1]}},
        {"raw": "AAAA", "mediaType": "image/png", "filename": "a.png"},
        {"url": "https://example.org/"},
        {"data": {"any": ["thing", None]}},
        {"data": None},
    ],
)
def test_each_kind_of_part_is_one(part: dict[str, object]) -> None:
    assert json.loads(guest_json.read_parts(json.dumps([part, part]))) == [part, part]


@pytest.mark.parametrize(
    "parts",
    [
        *({}, [], "text", None, ["text"], [[]], [{}], [{"text": "a"}] * 65),
        *([{"text": "a", "url": "b"}], [{"text": 1}], [{"text": None}], [{"mediaType": "a"}]),
        *([{"text": "a", "kind": "text"}], [{"text": "a", "metadata": []}]),
        [{"text": "a", "mediaType": 1}],
    ],
)
def test_what_is_no_part_is_refused(parts: object) -> None:
    with pytest.raises(MalformedJson):
        guest_json.read_parts(json.dumps(parts))


def test_parts_have_a_limit_in_bytes_and_not_in_characters() -> None:
    limit = guest_json.PARTS_BYTES_MAX
    fitting = json.dumps([{"text": "x" * (limit - 20)}])
    assert guest_json.read_parts(fitting)
    with pytest.raises(MalformedJson, match="over"):
        guest_json.read_parts('[{"text":"' + "ä" * (limit - 20) + '"}]')
    with pytest.raises(MalformedJson):
        guest_json.read_parts('[{"data":1e999}]')


def test_ids_are_ids() -> None:
    one, two = "ab" * 32, "0f" * 32
    assert guest_json.read_ids(json.dumps([one, two, one])) == (one, two)
    assert guest_json.read_ids("[]") == ()
    for wrong in ([1], [one.upper()], [one[:-1]], {"id": one}, [one] * 257):
        with pytest.raises(MalformedJson):
            guest_json.read_ids(json.dumps(wrong))
