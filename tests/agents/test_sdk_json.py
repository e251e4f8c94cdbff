"""The JSON of the Zig SDK agrees with Python's: any text is a value or malformed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agents.harness import HOSTILE, Agent, AgentFailed, Host

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
ALMOST = st.text(st.sampled_from('[]{}",:\\u0019afde+-. \t\ntrulsn\x00é'), max_size=24)


@pytest.fixture(scope="module")
def mirror() -> Agent:
    return Agent(HOSTILE / "mirror.wasm")


def mirrored(mirror: Agent, text: str) -> object:
    [answer] = Host().run(mirror, text)
    return json.loads(answer)


@given(value=VALUES, is_ascii=st.booleans(), indent=st.sampled_from([None, 0, 2]))
def test_any_value_comes_back(
    mirror: Agent, value: object, is_ascii: bool, indent: int | None
) -> None:
    assert mirrored(mirror, json.dumps(value, ensure_ascii=is_ascii, indent=indent)) == value


def _refuse(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are Python's own


@given(text=ALMOST)
def test_any_text_is_a_value_or_malformed(mirror: Agent, text: str) -> None:
    try:
        value = json.loads(text, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, UnicodeEncodeError):
        with pytest.raises(AgentFailed, match="malformed"):
            mirrored(mirror, text)
    else:
        assert mirrored(mirror, text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\u00e9\uD83D\ude00\/\b\f\n\r\t\"\\"', 'é😀/\b\f\n\r\t"\\'),
        ('{"a":1,"a":2}', {"a": 2}),
        (" [ 1 , -0.5e+10 ] ", [1, -0.5e10]),
        ("[" * 32 + "]" * 32, None),
    ],
)
def test_a_text_and_its_value(mirror: Agent, text: str, value: object) -> None:
    assert mirrored(mirror, text) == (json.loads(text) if value is None else value)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "nul", "01", "1.", ".5", "1e", "+1", "--1", "'a'", "[1,]", "{,}", "[1 2]"),
        *('{"a"}', '{"a":}', "{1:2}", '"', '"\\"', '"\\x"', '"\\u12"', '"\\u12g4"', "[1]]"),
        *(r'"\ud83d"', r'"\ude00"', r'"\ud83d\u0041"', r'"\ud83dA"', '"\t"', "[" * 40 + "]" * 40),
    ],
)
def test_malformed(mirror: Agent, text: str) -> None:
    with pytest.raises(AgentFailed, match="malformed"):
        mirrored(mirror, text)
